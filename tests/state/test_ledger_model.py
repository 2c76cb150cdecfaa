"""The ledger against a naive one, which keeps every event and counts anew each time; and through rows after each step.

Hypothesis plays weighings, outcomes, decisions and the time in any order.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.state.ledger import Ledger, Moment, Standing, Verdict, Weighed, Write
from gateway.state.ledger.rows import row_of, text_of
from gateway.state.ledger_store import LedgerStore
from tests.state.ledgers import RULES, TENANT, off, on, out, signed

PEOPLE = "abcdefg"
HELD, FOLLOWS, APPROVED, DENIED, SUPERSEDED = Standing


@dataclass
class Kept:
    """A write that the model remembers."""

    write: Write
    people: frozenset[str]
    hold: int
    standing: Standing
    came: list[float]  # every attempt
    place: float
    decided_at: float = 0.0

    def patience(self) -> float:
        gaps = [later - earlier for earlier, later in zip(self.came, self.came[1:], strict=False)]
        return max([1500.0, *(2.5 * gap for gap in gaps)])

    def stands_in_the_way(self, now: float) -> bool:
        if self.standing is HELD:
            return True
        return self.standing in (FOLLOWS, APPROVED) and now - self.came[-1] <= self.patience()


@dataclass
class Flown:
    """A write that passed."""

    write: Write
    counting: frozenset[str]
    kept: Kept | None
    place: float


@dataclass
class Model:
    """What the ledger should say, told as slowly and plainly as possible."""

    losses: list[tuple[float, str]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    flying: dict[int, Flown] = field(default_factory=dict)
    tripped: list[float] = field(default_factory=list)  # when each hold did
    ended: dict[int, float] = field(default_factory=dict)  # holds that are over
    forgotten: set[int] = field(default_factory=set)
    pass_until: float = 0.0
    raised: tuple[int, float] = (0, 0.0)
    place: float = 0.0

    @property
    def latched(self) -> bool:
        return len(self.ended) < len(self.tripped)

    def counted(self, now: float, more: frozenset[str] = frozenset()) -> set[str]:
        lost = {person for at, person in self.losses if now - at <= RULES.window_seconds}
        return lost | more | {person for flown in self.flying.values() for person in flown.counting}

    def limit(self, now: float) -> int:
        return self.raised[0] if now < self.raised[1] else RULES.people

    def find(self, task: str) -> Kept | None:
        return next((kept for kept in self.kept if kept.write.task == task), None)

    def in_line(self, resource: str) -> list[Kept]:
        here = [kept for kept in self.kept if kept.write.resource == resource]
        return sorted((kept for kept in here if kept.standing in (HELD, FOLLOWS, APPROVED)), key=lambda k: k.place)

    def is_over(self, kept: Kept, now: float) -> bool:
        if kept.standing is HELD:
            return False
        if kept.standing in (DENIED, SUPERSEDED):
            if kept.standing is SUPERSEDED:
                return now - kept.came[-1] > 2 * kept.patience()
            return now > max(kept.decided_at + RULES.hold_seconds, kept.came[-1] + kept.patience())
        return now - max(kept.came[-1], kept.decided_at) > max(RULES.hold_seconds, kept.patience())

    def weigh(self, write: Write, now: float) -> tuple[Verdict, frozenset[str]]:
        kept = self.find(write.task)
        if kept and (self.is_over(kept, now) or (kept.standing is DENIED and write.people - kept.people)):
            self.kept.remove(kept)
            kept = None
        if kept:
            kept.came.append(now)
            if kept.standing in (HELD, FOLLOWS):
                kept.people = write.people
            if kept.standing in (DENIED, SUPERSEDED):
                return Verdict.DENY, frozenset()
        judged = write.people
        if kept and kept.standing is APPROVED:
            judged -= kept.people
        if now < self.pass_until:
            judged = frozenset()
        if kept and kept.standing is HELD:
            return Verdict.HOLD, judged
        if judged and (self.latched or len(self.counted(now, judged)) > self.limit(now)):
            if not self.latched:
                self.tripped.append(now)
            self.hold(write, kept, HELD, len(self.tripped) - 1, now)
            return Verdict.HOLD, judged
        line = self.in_line(write.resource)
        before = line[: line.index(kept)] if kept else line
        for earlier in before:
            if earlier.stands_in_the_way(now):
                if kept is None:
                    self.hold(write, None, FOLLOWS, earlier.hold, now)
                return Verdict.HOLD, judged
        return Verdict.PASS, judged

    def hold(self, write: Write, kept: Kept | None, standing: Standing, hold: int, now: float) -> None:
        if kept:
            kept.standing, kept.hold, kept.people, kept.decided_at = standing, hold, write.people, 0.0
        else:
            self.kept.append(Kept(write, write.people, hold, standing, [now], self.next_place()))

    def next_place(self) -> float:
        self.place += 1
        return self.place

    def fly(self, reservation: int, write: Write, counting: frozenset[str]) -> None:
        kept = self.find(write.task)
        self.flying[reservation] = Flown(write, counting, kept, kept.place if kept else self.next_place())

    def settle(self, reservation: int, executed: bool | None, over: bool, now: float) -> None:
        flown = self.flying.pop(reservation)
        kept = self.find(flown.write.task) if flown.kept else None
        if over and kept and kept.standing not in (DENIED, SUPERSEDED):
            self.kept.remove(kept)
        if executed is False:
            return
        self.losses += [(now, person) for person in flown.counting]
        for earlier in self.in_line(flown.write.resource):
            if earlier.place < flown.place:
                earlier.standing, earlier.decided_at = SUPERSEDED, now

    def decide(self, hold: int, chosen: list[Kept], standing: Standing, now: float) -> None:
        for kept in chosen:
            if kept.standing is DENIED:
                kept.place = self.next_place()
            kept.standing, kept.decided_at = standing, now
        if hold not in self.ended and not any(kept.standing is HELD for kept in self.kept if kept.hold == hold):
            self.ended[hold] = now
            if standing is APPROVED:
                self.losses.clear()

    def expire(self, now: float) -> None:
        if self.latched and now - self.tripped[-1] >= RULES.hold_seconds:
            self.ended[len(self.tripped) - 1] = now
            for kept in self.kept:
                if kept.standing is HELD:
                    kept.standing, kept.decided_at = DENIED, now
        self.kept = [kept for kept in self.kept if not self.is_over(kept, now)]
        for hold, at in self.ended.items():
            if now - at > RULES.hold_seconds and all(kept.hold != hold for kept in self.kept):
                self.forgotten.add(hold)


USER_WRITES = st.builds(lambda make, who: make(who), st.sampled_from([off, on]), st.sampled_from(PEOPLE))
GROUP_WRITES = st.builds(
    lambda people, task: out("".join(people), task), st.sets(st.sampled_from(PEOPLE), max_size=5), st.sampled_from("xy")
)


class LedgerPlay(RuleBasedStateMachine):
    """Everything that can happen to the ledger of one tenant."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.ledger = Ledger()
        self.model = Model()

    def hold_ids(self) -> list[str]:
        return [f"hold-{number:08x}" for number in range(len(self.model.tripped)) if number not in self.model.forgotten]

    @rule(seconds=st.sampled_from([0.5, 30.0, 99.5, 700.0, 1500.5, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(write=st.one_of(USER_WRITES, GROUP_WRITES), executed=st.sampled_from([True, True, False, None, "later"]))
    def a_write_comes(self, write: Write, executed: bool | str | None) -> None:
        weighed = self.weigh(write)
        if weighed.reservation is not None and not isinstance(executed, str):
            self.settle(weighed.reservation, executed)

    def weigh(self, write: Write) -> Weighed:
        holds = len(self.model.tripped)
        verdict, judged = self.model.weigh(write, self.now)
        counted, limit = len(self.model.counted(self.now, judged)), self.model.limit(self.now)
        passed = self.ledger.let_pass(TENANT, write.people, write.resource, RULES, self.now) if write.people else None
        if passed:
            weighed = Weighed(Verdict.PASS, passed[0], passed[1], reservation=passed[2])
        else:
            weighed = self.ledger.weigh(TENANT, write, RULES, self.now, f"hold-{holds:08x}")

        assert weighed.verdict is verdict
        assert weighed.tripped == (len(self.model.tripped) > holds)
        assert (weighed.counted, weighed.limit) == (counted, limit)
        assert weighed.reservation is None or verdict is Verdict.PASS
        assert weighed.reservation is not None or verdict is not Verdict.PASS or not write.people
        if weighed.reservation is not None:
            self.model.fly(weighed.reservation, write, judged)
        return weighed

    @precondition(lambda self: self.model.flying)
    @rule(executed=st.sampled_from([True, False, None]), choice=st.integers(0, 99))
    def an_outcome_comes(self, executed: bool | None, choice: int) -> None:
        self.settle(sorted(self.model.flying)[choice % len(self.model.flying)], executed)

    def settle(self, reservation: int, executed: bool | None) -> None:
        over = executed is not None and (executed or reservation % 2 == 0)  # told to come back, or not
        self.ledger.settle(TENANT, reservation, executed, self.now, over=over)
        self.model.settle(reservation, executed, over, self.now)

    @precondition(lambda self: self.hold_ids())
    @rule(choice=st.integers(0, 99), approves=st.booleans(), some=st.none() | st.sets(st.integers(0, 9), max_size=3))
    def a_person_decides(self, choice: int, approves: bool, some: set[int] | None) -> None:
        hold_id = self.hold_ids()[choice % len(self.hold_ids())]
        hold = int(hold_id.removeprefix("hold-"), 16)
        own = [kept for kept in self.model.kept if kept.hold == hold]
        tasks = None if some is None else [own[index % len(own)].write.task for index in some if own]
        other = DENIED if approves else APPROVED
        wanted = {HELD, other} if some is not None else {other if hold in self.model.ended else HELD}
        chosen = [kept for kept in own if kept.standing in wanted and (tasks is None or kept.write.task in tasks)]
        if tasks is not None:
            chosen.sort(key=lambda kept: tasks.index(kept.write.task))
        if not approves and tasks is None and hold in self.model.ended:
            self.model.pass_until, self.model.raised = 0.0, (self.model.raised[0], 0.0)
        decide = self.ledger.approve if approves else self.ledger.deny
        decided = decide(hold_id, signed(self.now), tasks)
        was_open = hold not in self.model.ended
        self.model.decide(hold, chosen, APPROVED if approves else DENIED, self.now)

        assert sorted(write.task for write in decided.changed) == sorted(kept.write.task for kept in chosen)
        assert decided.ended == (was_open and hold in self.model.ended)

    @precondition(lambda self: self.model.latched)
    @rule(until=st.sampled_from([10.0, 1000.0]), people=st.none() | st.integers(1, 6))
    def a_person_allows_for_a_time(self, until: float, people: int | None) -> None:
        hold = len(self.model.tripped) - 1
        if people is None:
            self.ledger.approve_until(self.hold_ids()[-1], signed(self.now), self.now + until)
            self.model.pass_until = self.now + until
        else:
            self.ledger.raise_threshold(self.hold_ids()[-1], signed(self.now), people, self.now + until)
            self.model.raised = (people, self.now + until)
        chosen = [kept for kept in self.model.kept if kept.hold == hold and kept.standing is HELD]
        self.model.decide(hold, chosen, APPROVED, self.now)

    @rule()
    def holds_expire(self) -> None:
        self.ledger.expire(self.now)
        self.model.expire(self.now)

    @rule()
    def the_process_starts_anew(self) -> None:
        rows = [row_of(*key, text_of(value)) for key, value in self.ledger.rows().items()]
        self.ledger = Ledger.restored(rows)
        self.ledger.settle_all(self.now)
        for reservation in sorted(self.model.flying):
            self.model.settle(reservation, None, False, self.now)

    @invariant()
    def both_remember_the_same(self) -> None:
        views = self.ledger.holds(TENANT)
        assert {write.task: (write.standing, write.people) for view in views for write in view.writes} == {
            kept.write.task: (kept.standing, kept.people) for kept in self.model.kept
        }
        assert [view.hold.id for view in views] == self.hold_ids()
        for resource in {kept.write.resource for kept in self.model.kept}:
            ours = [write for view in views for write in view.writes if write.resource == resource]
            line = [write for write in ours if write.standing in (HELD, FOLLOWS, APPROVED)]
            assert [write.task for write in sorted(line, key=lambda write: write.sequence)] == [
                kept.write.task for kept in self.model.in_line(resource)
            ]
        assert self.ledger.is_quiet(TENANT) == (not self.model.latched and not self.model.kept)

    @invariant()
    def through_rows_it_stays_what_it_is(self) -> None:
        rows = self.ledger.rows()
        assert Ledger.restored(row_of(*key, text_of(value)) for key, value in rows.items()).rows() == rows


class StoredPlay(LedgerPlay):
    """The same, with every step's changes saved, and the file read again."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.store = self.runner.run(self.stack.enter_async_context(LedgerStore(Path(self.directory.name) / "l.db")))

    @invariant()
    def the_file_holds_the_same(self) -> None:
        self.runner.run(self.store.save(self.ledger.take_changes(), Moment(self.now, self.now)))
        same = Ledger.restored(self.ledger.rows().items())
        same.settle_all(self.now)

        assert self.store.load().ledger.rows() == same.rows()

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.directory.cleanup()


TestLedgerPlay = LedgerPlay.TestCase
TestLedgerPlay.settings = settings(max_examples=40, stateful_step_count=40)
TestStoredPlay = StoredPlay.TestCase
TestStoredPlay.settings = settings(max_examples=8, stateful_step_count=30)
