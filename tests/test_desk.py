"""The desk: what operators are shown and may decide, what they are refused, and who hears of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.app import Instance
from gateway.cli.holds import Hold, Task, holds_of, page_of
from gateway.exchange import RequestId
from gateway.journal import Journal, JournalUnavailable, Line, written_out
from gateway.server.control import ControlRefused, User
from gateway.stages.guarding import GuardEvent
from gateway.stages.recording import Recording
from gateway.state.ledger import Verdict
from gateway.webhook import Webhook
from tests.state.keepers import PlainKeeper
from tests.state.ledgers import RULES, TENANT, off, on, out, weigh
from tests.worlds import NOW, PUBLIC_URL, settings, tenant

ALICE = User(1000, "alice")
DAY = 86400.0
OBSERVED = settings(tenants={"jira": tenant(guard={"mode": "observe"}).model_dump(mode="python")})


class Notices(Journal):
    """Keeps what it is told in memory, unless it fails; `ended` is how the holds stood when each line came."""

    def __init__(self, keeper: PlainKeeper) -> None:
        super().__init__(Path("/nonexistent"))
        self.lines: list[dict[str, Any]] = []
        self.ended: list[list[bool]] = []
        self.is_failing = False
        self.passes: asyncio.Event | None = None  # until then each line waits
        self.is_waiting = asyncio.Event()
        self._keeper = keeper

    async def append(self, line: Line, *, vital: bool = False) -> None:
        if self.passes is not None:
            self.is_waiting.set()
            await self.passes.wait()
        if self.is_failing:
            raise JournalUnavailable("the disk is full")
        self.lines.append(json.loads(written_out(line)))
        if self._keeper.ledger is not None:
            self.ended.append([view.hold.ended_at is not None for view in self._keeper.ledger.holds()])


class Heard(Webhook):
    """A webhook that delivers at once."""

    def __init__(self, told: list[dict[str, Any]]) -> None:
        super().__init__("http://127.0.0.1:9/", None, 1.0)
        self.told = told

    def tell(self, event: Mapping[str, object]) -> None:
        self.told.append(orjson.loads(orjson.dumps(event)))


@dataclass(slots=True)
class Office:
    """An instance that is not running, with its desk."""

    unreadable: str | None = None
    told: list[dict[str, Any]] = field(default_factory=list)
    keeper: PlainKeeper = field(init=False)
    journal: Notices = field(init=False)
    instance: Instance = field(init=False)

    def __post_init__(self) -> None:
        self.instance = Instance(settings())
        self.keeper = self.instance.keeper = PlainKeeper(unreadable=self.unreadable)
        self.journal = Notices(self.keeper)
        self.instance.recording = Recording(self.journal, self.instance.metrics, instance="gw-1", now=lambda: NOW)
        self.instance.webhook = Heard(self.told)

    async def wave(self, people: str = "abcdef") -> str:
        """People, a letter each, are deactivated: three pass, the others are held. The id of the hold."""
        for person in people:
            self.attempt(person)
        await self.keeper.keep()
        return self.keeper.books.holds()[-1].hold.id

    def attempt(self, person: str) -> Verdict:
        ledger, now = self.keeper.books, self.keeper.now
        weighed = ledger.weigh(TENANT, off(person), RULES, now, f"hold-{int(now * 10):x}")
        if weighed.reservation is not None:
            ledger.settle(TENANT, weighed.reservation, True, now)
        return weighed.verdict

    async def ask(self, command: str, **words: object) -> Mapping[str, Any]:
        """As over the control socket: what is asked and answered is JSON."""
        answer = await self.instance.desk.handlers[command](json.loads(json.dumps(words)), ALICE)
        read: Mapping[str, Any] = orjson.loads(orjson.dumps(answer))
        return read

    async def shown(self, **words: object) -> tuple[Hold, ...]:
        return holds_of(await self.ask("guard.list", **words))

    async def refused(self, command: str, **words: object) -> str:
        with pytest.raises(ControlRefused) as refused:
            await self.ask(command, **words)
        return str(refused.value)

    def notices(self) -> list[str]:
        return [line["notice"] for line in self.journal.lines]


# Showing --------------------------------------------------------------------------------------------


async def test_nothing_held_is_shown_as_nothing() -> None:
    assert await Office().shown() == ()


async def test_a_hold_is_shown_as_the_command_line_reads_it() -> None:
    office = Office()
    name = await office.wave("abcdef")
    office.keeper.seconds = 700.0
    office.attempt("d")
    weigh(office.keeper.books, on("e"), office.keeper.now)
    (hold,) = await office.shown(tenant="jira", tasks=True)

    assert (hold.id, hold.tenant, hold.state) == (name, "jira", "held")
    assert (hold.tripped_at, hold.expires_at) == (NOW, NOW + RULES.hold_seconds)
    assert hold.tripped_by == "user.deactivate of d@x.org"
    assert (hold.counted, hold.limit) == (4, 3)
    assert hold.counts == {"held": 3, "approved": 0, "denied": 0, "done": 0}
    assert (hold.follow, hold.mode) == (1, "hold")
    assert (hold.most_attempts, hold.last_chance) == (2, 0)
    assert (hold.decided_by, hold.decided_at, hold.reason) == ("", None, "")
    assert hold.tasks[0] == Task("off-d", "user.deactivate", "d@x.org", 1, 2, NOW, NOW + 700, "held")
    assert [(task.id, task.people, task.state) for task in hold.tasks][-1] == ("on-e", 0, "follows")


class Watched(dict[str, object]):
    """Remembers what it was asked for."""

    def __init__(self, told: Mapping[str, object]) -> None:
        super().__init__(told)
        self.read: set[str] = set()

    def get(self, key: str, default: object = None) -> object:
        self.read.add(key)
        return super().get(key, default)


async def test_nothing_is_told_that_the_command_line_does_not_read_nor_read_that_is_not_told() -> None:
    office = Office()
    await office.wave()
    (hold,) = (await office.ask("guard.list", tasks=True))["holds"]
    of_hold, of_task = Watched(hold), Watched(hold["tasks"][0])
    Hold.of(of_hold)
    Task.of(of_task)

    assert of_hold.read == set(of_hold)
    assert of_task.read == set(of_task)


@pytest.mark.parametrize(
    ("command", "words", "state", "counts"),
    [
        ("guard.approve", {}, "approved", {"held": 0, "approved": 3, "denied": 0, "done": 0}),
        ("guard.deny", {}, "denied", {"held": 0, "approved": 0, "denied": 3, "done": 0}),
        ("guard.approve", {"tasks": ["off-d"]}, "held", {"held": 2, "approved": 1, "denied": 0, "done": 0}),
        ("guard.approve", {"until": NOW + 60}, "approved", {"held": 0, "approved": 3, "denied": 0, "done": 0}),
    ],
)
async def test_what_was_decided_is_shown(
    command: str, words: Mapping[str, object], state: str, counts: Mapping[str, int]
) -> None:
    office = Office()
    name = await office.wave()
    await office.ask(command, hold=name, reason="asked HR", **words)
    (hold,) = await office.shown()

    assert (hold.state, hold.counts) == (state, counts)
    assert (hold.decided_by, hold.decided_at, hold.reason) == ("alice", NOW, "asked HR")
    assert "alice" in page_of([hold], NOW, with_tasks=True)


async def test_a_task_whose_last_attempt_comes_next_is_counted() -> None:
    office = Office()
    await office.wave("abcd")
    for _ in range(7):
        office.attempt("d")
    (before,) = await office.shown()
    office.attempt("d")
    (hold,) = await office.shown()

    assert (before.most_attempts, before.last_chance) == (8, 0)
    assert (hold.most_attempts, hold.last_chance) == (9, 1)


async def test_one_tenants_holds_are_shown_when_it_is_named() -> None:
    office = Office()
    await office.wave()
    assert "there is no tenant wiki; there are jira" in await office.refused("guard.list", tenant="wiki")
    assert "tenant is a text" in await office.refused("guard.list", tenant=7)
    assert len(await office.shown(tenant="jira")) == 1
    assert (await office.shown())[0].tasks == ()


# Deciding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words", "verdicts"),
    [
        ("guard.approve", {}, [Verdict.PASS] * 3),
        ("guard.approve", {"tasks": ["off-e"]}, [Verdict.HOLD, Verdict.PASS, Verdict.HOLD]),
        ("guard.deny", {}, [Verdict.DENY] * 3),
        ("guard.deny", {"tasks": ["off-d", "off-f"]}, [Verdict.DENY, Verdict.HOLD, Verdict.DENY]),
    ],
)
async def test_a_decision_is_on_record_before_it_takes_effect_and_told_and_kept(
    command: str, words: Mapping[str, object], verdicts: list[Verdict]
) -> None:
    office = Office()
    name = await office.wave()
    office.keeper.kept.clear()
    answer = await office.ask(command, hold=name, reason="  asked HR\n", **words)
    ruling, changed = command.removeprefix("guard."), len(verdicts) - verdicts.count(Verdict.HOLD)

    assert office.journal.ended == [[False]], "on record while it was still undecided"
    (line,) = office.journal.lines
    assert (line["notice"], line["details"]["tenant"], line["details"]["hold"]) == ("guard-decision", "jira", name)
    assert (line["details"]["ruling"], line["details"]["reason"]) == (ruling, "asked HR")
    assert (line["details"]["by"], line["details"]["uid"]) == ("alice", 1000)
    assert (answer["hold"], answer["changed"]) == (name, changed)
    assert ("hold", "jira", name) in office.keeper.kept
    (event,) = office.told
    assert (event["event"], event["gateway"], event["tenant"]) == ("wave-decided", PUBLIC_URL, "jira")
    assert (event["hold"], event["ruling"], event["by"], event["changed"]) == (name, ruling, "alice", changed)
    assert [office.attempt(person) for person in "def"] == verdicts


async def test_what_is_approved_until_a_time_passes_until_then() -> None:
    office = Office()
    name = await office.wave()
    await office.ask("guard.approve", hold=name, reason="a merger", until=NOW + 600)

    assert {office.attempt(person) for person in "ghijklmn"} == {Verdict.PASS}
    office.keeper.seconds = 601.0
    assert [office.attempt(person) for person in "opqr"] == [Verdict.PASS] * 3 + [Verdict.HOLD]


async def test_a_raised_threshold_is_the_limit_until_its_end() -> None:
    office = Office()
    name = await office.wave()
    await office.ask("guard.approve", hold=name, reason="a merger", until=NOW + 600, raise_to=8)

    assert [office.attempt(person) for person in "ghijklmnop"] == [Verdict.PASS] * 8 + [Verdict.HOLD] * 2


SHORT = {"reason": "asked HR"}
REFUSED: list[tuple[Mapping[str, object], str]] = [
    ({"reason": None}, "gives a reason"),
    ({"reason": " \n"}, "gives a reason"),
    ({"reason": 7}, "reason is a text"),
    ({"hold": None}, "names the hold"),
    ({"hold": ["hold-1"]}, "hold is a text"),
    ({"hold": "hold-0"}, "there is no hold hold-0; `scim-gateway guard list`"),
    ({"tasks": "off-d"}, "tasks is a list of their ids"),
    ({"tasks": []}, "tasks is a list of their ids"),
    ({"tasks": ["off-d", 7]}, "tasks is a list of their ids"),
    ({"tasks": {"off-d": 1}}, "tasks is a list of their ids"),
    ({"tasks": ["off-d", "off-z"]}, "has no task off-z"),
]
APPROVALS: list[tuple[Mapping[str, object], str]] = [
    ({"until": NOW}, "within the next seven days"),
    ({"until": NOW - 1}, "within the next seven days"),
    ({"until": NOW + 7 * DAY + 1}, "within the next seven days"),
    ({"until": "tomorrow"}, "until is a moment"),
    ({"until": True}, "until is a moment"),
    ({"raise_to": 30}, "needs --until"),
    ({"raise_to": 0, "until": NOW + 60}, "raise_to is a whole number above 0"),
    ({"raise_to": 7.5, "until": NOW + 60}, "raise_to is a whole number above 0"),
    ({"raise_to": True, "until": NOW + 60}, "raise_to is a whole number above 0"),
    ({"raise_to": 3, "until": NOW + 60}, "the limit is 3 already"),
    ({"tasks": ["off-d"], "until": NOW + 60}, "excludes --task"),
]


@pytest.mark.parametrize(
    ("command", "words", "text"),
    [
        *(("guard.approve", *each) for each in REFUSED + APPROVALS),
        *(("guard.deny", *each) for each in REFUSED),
    ],
    ids=str,
)
async def test_a_decision_that_is_none_changes_nothing_and_leaves_no_record(
    command: str, words: Mapping[str, object], text: str
) -> None:
    office = Office()
    name = await office.wave()
    before = office.keeper.books.rows()

    assert text in await office.refused(command, **({"hold": name, "reason": "asked HR"} | dict(words)))
    assert (office.keeper.books.rows(), office.journal.lines, office.told) == (before, [], [])


async def test_moments_are_those_of_the_wall_though_its_clock_was_set() -> None:
    office = Office()
    name = await office.wave()
    office.keeper.wall_ahead_seconds = 3600.0
    (hold,) = await office.shown(tasks=True)
    assert (hold.tripped_at, hold.expires_at) == (NOW + 3600, NOW + 3600 + RULES.hold_seconds)
    assert (hold.tasks[0].first_at, hold.tasks[0].last_at) == (NOW + 3600, NOW + 3600)
    assert "seven days" in await office.refused("guard.approve", hold=name, reason="x", until=NOW + 60)
    await office.ask("guard.approve", hold=name, reason="a merger", until=NOW + 3600 + 60)
    (hold,) = await office.shown()
    assert hold.decided_at == NOW + 3600

    office.keeper.seconds = 59.0
    assert {office.attempt(person) for person in "ghijkl"} == {Verdict.PASS}
    office.keeper.seconds = 61.0
    assert [office.attempt(person) for person in "mnop"] == [Verdict.PASS] * 3 + [Verdict.HOLD]


async def test_an_end_that_is_no_moment_is_refused() -> None:
    office = Office()
    name = await office.wave()

    for until in (float("nan"), float("inf"), float("-inf")):
        assert "seven days" in await office.refused("guard.approve", hold=name, reason="x", until=until)


async def test_a_hold_that_is_decided_allows_nothing_for_a_time_and_no_record_says_so() -> None:
    office = Office()
    name = await office.wave()
    await office.ask("guard.deny", hold=name, reason="asked HR")

    assert f"{name} is decided already" in await office.refused(
        "guard.approve", hold=name, reason="asked again", until=NOW + 60
    )
    assert office.notices() == ["guard-decision"]
    assert (await office.ask("guard.approve", hold=name, reason="asked again"))["changed"] == 3


async def test_a_decision_that_cannot_be_put_on_record_is_not_made() -> None:
    office = Office()
    name = await office.wave()
    before, office.journal.is_failing = office.keeper.books.rows(), True

    assert "nothing was decided" in await office.refused("guard.approve", hold=name, reason="asked HR")
    assert (office.keeper.books.rows(), office.told) == (before, [])


async def test_a_decision_that_cannot_be_kept_holds_and_is_told_of_and_says_so() -> None:
    office = Office()
    name = await office.wave()
    office.keeper.fails = "the disk is full"

    assert "it is decided, but a restart would forget it" in await office.refused(
        "guard.deny", hold=name, reason="asked HR"
    )
    assert office.attempt("d") is Verdict.DENY
    assert [event["event"] for event in office.told] == ["wave-decided"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("guard.list", {}),
        ("guard.approve", {"hold": "hold-1", "reason": "asked HR"}),
        ("guard.deny", {"hold": "hold-1", "reason": "asked HR"}),
    ],
)
async def test_without_a_ledger_there_is_nothing_to_show_or_decide(command: str, words: Mapping[str, object]) -> None:
    office = Office(unreadable="it is damaged: put a backup in its place")

    assert await office.refused(command, **words) == f"the guard has no ledger: {office.unreadable}"


async def test_a_long_reason_is_kept_short() -> None:
    office = Office()
    name = await office.wave()
    await office.ask("guard.deny", hold=name, reason="x" * 5000)

    assert office.journal.lines[0]["details"]["reason"] == "x" * 500
    assert (await office.shown())[0].reason == "x" * 500


async def test_a_decision_says_what_still_waits() -> None:
    office = Office()
    name = await office.wave()
    some = await office.ask("guard.approve", hold=name, reason="asked HR", tasks=["off-d"])
    rest = await office.ask("guard.deny", hold=name, reason="asked HR")

    assert some["said"] == "2 more wait for a decision."
    assert rest["said"] == "Nothing of it waits for a decision any more."


# By itself ------------------------------------------------------------------------------------------


async def test_what_nobody_decides_in_time_is_denied_and_told_of() -> None:
    office = Office()
    name = await office.wave()
    office.keeper.seconds = RULES.hold_seconds - 1
    await office.instance.desk.expire()
    assert (office.notices(), office.told) == ([], [])
    office.keeper.seconds = RULES.hold_seconds
    await office.instance.desk.expire()
    await office.instance.desk.expire()
    (hold,) = await office.shown()

    assert (hold.state, hold.counts["denied"], hold.decided_by) == ("expired", 3, "")
    assert [(line["notice"], line["details"]["hold"], line["details"]["denied"]) for line in office.journal.lines] == [
        ("wave-expired", name, 3)
    ]
    assert [(event["event"], event["hold"], event["denied"]) for event in office.told] == [("wave-expired", name, 3)]
    assert office.attempt("d") is Verdict.DENY


async def test_an_expiry_is_on_record_before_it_takes_effect() -> None:
    office = Office()
    await office.wave()
    office.keeper.seconds = RULES.hold_seconds
    await office.instance.desk.expire()

    assert office.journal.ended == [[False]]


async def test_an_expiry_does_not_wait_for_an_audit_log_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    office = Office()
    name = await office.wave()
    office.keeper.seconds, office.journal.is_failing = RULES.hold_seconds, True
    await office.instance.desk.expire()

    assert office.attempt("d") is Verdict.DENY
    assert [event["event"] for event in office.told] == ["wave-expired"]
    assert f"{name} ends all the same, though the audit log fails" in caplog.text


async def test_a_hold_that_is_being_decided_as_its_time_ends_does_not_expire_on_record() -> None:
    office = Office()
    name = await office.wave()
    office.keeper.seconds = RULES.hold_seconds
    async with asyncio.TaskGroup() as tasks:
        office.journal.passes = asyncio.Event()
        tasks.create_task(office.ask("guard.approve", hold=name, reason="asked HR"))
        await office.journal.is_waiting.wait()
        tasks.create_task(office.instance.desk.expire())
        await asyncio.sleep(0)  # it has come as far as it can
        office.journal.passes.set()

    assert office.notices() == ["guard-decision"]
    assert [event["event"] for event in office.told] == ["wave-decided"]
    assert office.attempt("d") is Verdict.PASS


async def test_without_a_ledger_nothing_expires_and_nothing_is_let_go() -> None:
    office = Office(unreadable="it is damaged")
    await office.instance.desk.expire()
    office.instance.settings = OBSERVED
    await office.instance.desk.let_go()

    assert office.told == []


async def test_a_guard_that_holds_no_more_approves_what_waits_by_the_settings_and_on_record() -> None:
    office = Office()
    await office.wave()
    await office.instance.desk.let_go()
    assert office.told == []
    office.instance.settings = OBSERVED
    for _ in range(2):
        await office.instance.desk.let_go()

    (line,) = office.journal.lines
    assert (line["notice"], line["details"]["by"]) == ("guard-decision", "the settings")
    (event,) = office.told
    assert (event["event"], event["reason"]) == ("wave-decided", 'the guard\'s mode is "observe"')
    assert not office.keeper.books.wave_waits(TENANT)
    assert office.attempt("d") is Verdict.PASS


EVENTS = [
    (GuardEvent(kind, "jira", "hold-1", "user.deactivate", "ada (/Users/1)", 4, 3, 8, RequestId("req-1")), text, level)
    for kind, text, level in (
        ("wave-waits", "still waits for a decision: it began with user.deactivate of ada (/Users/1)", "ERROR"),
        ("wave-held", "a wave is held: with user.deactivate of ada (/Users/1), 4 people would lose access", "ERROR"),
        ("wave-observed", "only observes: with user.deactivate of ada (/Users/1), 4 people lose access", "WARNING"),
        ("last-attempts", "gives up soon: user.deactivate of ada (/Users/1)", "ERROR"),
    )
]


@pytest.mark.parametrize(("event", "text", "level"), EVENTS, ids=lambda each: getattr(each, "kind", ""))
async def test_what_the_guard_met_is_logged_recorded_and_told(
    event: GuardEvent, text: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office()
    await office.instance.desk.tell(event)

    (record,) = [record for record in caplog.records if record.name == "gateway.desk"]
    assert text in record.getMessage()
    assert record.levelname == level
    (line,), (heard,) = office.journal.lines, office.told
    known = {"hold": "hold-1", "operation": "user.deactivate", "whom": "ada (/Users/1)", "counted": 4, "limit": 3}
    assert line["notice"] == heard["event"] == event.kind
    assert line["details"].items() >= known.items()
    assert heard.items() >= (known | {"attempts": 8, "request": "req-1", "tenant": "jira"}).items()
    assert text in heard["text"]


async def test_people_hear_of_a_wave_though_it_cannot_be_put_on_record() -> None:
    office = Office()
    office.journal.is_failing = True
    await office.instance.desk.tell(EVENTS[0][0])

    assert [event["event"] for event in office.told] == ["wave-waits"]


async def test_an_instance_without_a_webhook_decides_all_the_same() -> None:
    office = Office()
    name, office.instance.webhook = await office.wave(), None

    assert (await office.ask("guard.deny", hold=name, reason="asked HR"))["changed"] == 3


async def test_a_wave_of_one_group_is_decided_as_one_task() -> None:
    office = Office()
    ledger = office.keeper.books
    weighed = ledger.weigh(TENANT, out("abcdefgh"), RULES, office.keeper.now, "hold-1")
    (hold,) = await office.shown(tasks=True)

    assert weighed.verdict is Verdict.HOLD
    assert [(task.people, task.summary) for task in hold.tasks] == [(8, "Group G")]
