"""The book of one tenant: weighs its writes, keeps those that are held, and takes down what became of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gateway.state.ledger.held import HeldWrites
from gateway.state.ledger.limits import Rules, limit_of
from gateway.state.ledger.rows import Kind
from gateway.state.ledger.values import (
    LAST_ATTEMPTS_FROM,
    LIVE,
    REFUSED,
    WAITING,
    Figures,
    Flight,
    HeldWrite,
    Hold,
    HoldView,
    Passed,
    Standing,
    Terms,
    Verdict,
    Weighed,
    Write,
)
from gateway.state.ledger.window import Window

LONGEST_WINDOW_SECONDS = 604_800.0
NOBODY: frozenset[str] = frozenset()


class Book:
    """All that is remembered of one tenant. Whatever changes is noted in `changed`, by its row."""

    def __init__(self, tenant: str, max_writes: int) -> None:
        self.tenant = tenant
        self.window = Window()
        self.watched = Window()  # of a guard that only observes: what it would have held was not held, and counts
        self.writes = HeldWrites()
        self.holds: dict[str, Hold] = {}
        self.open_hold: Hold | None = None
        self.flights: dict[int, Flight] = {}
        self.terms = Terms()
        self.changed: set[tuple[Kind, str]] = set()
        self._max_writes = max_writes
        self.window_seconds = LONGEST_WINDOW_SECONDS  # until a write tells
        self.last_flight = 0

    @property
    def is_quiet(self) -> bool:
        """Whether a write that takes nothing passes for certain."""
        return self.open_hold is None and not self.writes

    def binds(self, task: str, resource: str) -> bool:
        """Whether what is remembered has a say in a write: its earlier attempts, or those before it on its resource."""
        return task in self.writes.by_task or self.writes.concern(resource)

    # Weighing ---------------------------------------------------------------------------------------

    def let_pass(self, people: frozenset[str], resource: str, rules: Rules, now: float) -> Passed | None:
        """What `weigh` would say of any write that takes access from these people, at a fraction of the price.

        None unless nothing is held, and this is no wave.
        """
        if not self.is_quiet or now < self.terms.pass_until:
            return None
        self.window_seconds = rules.window_seconds
        self._forget("lost", self.window, now - rules.window_seconds)
        limit = self._limit(rules, now)
        counted = self.window.count + self.window.added_by(people)
        if counted > limit:
            return None
        "".join((resource, *people)).encode()  # SECURITY: as of every `Write`
        self.window.reserve(people)
        return counted, limit, self._take_off(Flight(people, resource, None, self.writes.next_sequence()))

    def weigh(self, write: Write, rules: Rules, now: float, new_hold_id: str) -> Weighed:
        """The verdict on one attempt at a write, and its reservation if it passes: one step, so none slips between."""
        self.window_seconds = rules.window_seconds
        self._forget("lost", self.window, now - rules.window_seconds)
        limit = self._limit(rules, now)
        held = self._meet(write, now)
        if held is None and self.open_hold and self.open_hold.beyond:  # what it has to wait for may not be remembered
            self.set_hold(replace(self.open_hold, beyond=self.open_hold.beyond + 1))
            return self._keep_waiting(None, self.open_hold.id, self.window.count, limit)
        if held is None and not write.people and not self.writes.concern(write.resource):
            return Weighed(Verdict.PASS, self.window.count, limit)
        if held and held.standing in REFUSED:
            return self._answer(Verdict.DENY, held, self.window.count, limit)
        judged = self._unapproved(write, held, now)
        counted = self.window.count + self.window.added_by(judged)
        if held and held.standing is Standing.HELD:
            return self._answer(Verdict.HOLD, held, counted, limit)
        if judged and (self.open_hold or counted > limit):
            tripped = self.open_hold is None
            by = f"{write.operation} of {write.summary}"
            new = Hold(new_hold_id, now, now + rules.hold_seconds, counted, limit, tripped_by=by)
            hold = self.open_hold or new
            held = self._join(hold, write, held, now)
            return replace(self._keep_waiting(held, hold.id, counted, limit), tripped=tripped)
        if blocker := self.writes.blocker(write.resource, write.task, now):
            held = held or self._enrol(write, Standing.FOLLOWS, blocker.hold, now)
            return self._keep_waiting(held, blocker.hold, counted, limit)
        reservation = self._reserve(write, held, judged)
        if held is None:
            return Weighed(Verdict.PASS, counted, limit, reservation=reservation)
        return replace(self._answer(Verdict.PASS, held, counted, limit), reservation=reservation)

    def observe(self, write: Write, rules: Rules, now: float) -> Weighed:
        """What `weigh` would say without anybody's decision; the write passes whatever it is."""
        self.window_seconds = rules.window_seconds
        self._forget("watched", self.watched, now - rules.window_seconds)
        limit = limit_of(rules.people, rules.share, rules.directory)
        if self.terms.latched and not self.watched.count:
            self.set_terms(replace(self.terms, latched=False))
        if not write.people:
            return Weighed(Verdict.PASS, self.watched.count, limit)
        counted = self.watched.count + self.watched.added_by(write.people)
        tripped = counted > limit and not self.terms.latched
        if tripped:
            self.set_terms(replace(self.terms, latched=True))
        self.watched.reserve(write.people)
        reservation = self._take_off(Flight(write.people, write.resource, None, 0, watched=True))
        latched = self.terms.latched
        return Weighed(Verdict.PASS, counted, limit, tripped=tripped, would_hold=latched, reservation=reservation)

    def _limit(self, rules: Rules, now: float) -> int:
        if now < self.terms.raised_until:
            return self.terms.raised_people
        return limit_of(rules.people, rules.share, rules.directory)

    def _forget(self, kind: Kind, window: Window, before: float) -> None:
        for person in window.forget(before):
            self.changed.add((kind, person))

    def _meet(self, write: Write, now: float) -> HeldWrite | None:
        """Take down another attempt at a write that is remembered."""
        held = self.writes.by_task.get(write.task)
        if held is None:
            return None
        others = held.standing is Standing.DENIED and not write.people <= held.people
        if others or self._is_over(held, now):  # a denial covers those whom somebody has looked at, and nobody else
            self._drop(held)
            return None
        # What was approved or denied stays what it was; all else is what it would do now.
        undecided = held.standing in (Standing.HELD, Standing.FOLLOWS)
        held = replace(
            held,
            people=write.people if undecided else held.people,
            summary=write.summary,
            last_at=now,
            last_request=write.request_id,
            attempts=held.attempts + 1,
            longest_gap_seconds=max(held.longest_gap_seconds, now - held.last_at),
        )
        self.keep(held)
        return held

    def _unapproved(self, write: Write, held: HeldWrite | None, now: float) -> frozenset[str]:
        """Those whom nobody has looked at.

        SECURITY: an approval covers the people it was shown. A repeat of the same task may take access from others by
        now, for a task is not told by its body.
        """
        if now < self.terms.pass_until:
            return NOBODY
        if held and held.standing is Standing.APPROVED:
            return write.people - held.people
        return write.people

    def _join(self, hold: Hold, write: Write, held: HeldWrite | None, now: float) -> HeldWrite | None:
        """A write that takes access joins a hold, which may be new; None when there is no room to remember it."""
        if held:
            held = replace(held, standing=Standing.HELD, hold=hold.id, people=write.people, decided_at=None)
            self.keep(held)
        else:
            held = self._enrol(write, Standing.HELD, hold.id, now)
        if held is None:
            self.set_hold(replace(hold, beyond=hold.beyond + 1))
        elif self.open_hold is None:
            self.set_hold(hold)
        return held

    def _keep_waiting(self, held: HeldWrite | None, hold_id: str, counted: int, limit: int) -> Weighed:
        if held is None:
            return Weighed(Verdict.HOLD, counted, limit, hold_id, note="held; there is no room to remember it")
        return self._answer(Verdict.HOLD, held, counted, limit)

    def _enrol(self, write: Write, standing: Standing, hold_id: str, now: float) -> HeldWrite | None:
        """Remember a write; None when there is no room."""
        if len(self.writes) >= self._max_writes:
            return None
        held = HeldWrite(
            task=write.task,
            resource=write.resource,
            operation=write.operation,
            people=write.people,
            summary=write.summary,
            hold=hold_id,
            sequence=self.writes.next_sequence(),
            standing=standing,
            first_at=now,
            last_at=now,
            first_request=write.request_id,
            last_request=write.request_id,
        )
        self.keep(held)
        return held

    def _answer(self, verdict: Verdict, held: HeldWrite, counted: int, limit: int) -> Weighed:
        near_its_end = verdict is Verdict.HOLD and held.attempts >= LAST_ATTEMPTS_FROM
        hold = self.holds[held.hold]
        warning_due = near_its_end and not hold.warned
        if warning_due:  # once: of five hundred tasks one is reason enough to decide
            self.set_hold(replace(hold, warned=True))
        return Weighed(
            verdict,
            counted,
            limit,
            held.hold,
            held.attempts,
            warning_due=warning_due,
            last_chance=held.attempts > LAST_ATTEMPTS_FROM,
            note=_NOTES[held.standing] if verdict is not Verdict.PASS else "",
        )

    # Outcomes ---------------------------------------------------------------------------------------

    def _reserve(self, write: Write, held: HeldWrite | None, counting: frozenset[str]) -> int:
        self.window.reserve(counting)
        if held:
            return self._take_off(Flight(counting, write.resource, held.task, held.sequence))
        return self._take_off(Flight(counting, write.resource, None, self.writes.next_sequence()))

    def _take_off(self, flight: Flight) -> int:
        self.last_flight += 1
        self.flights[self.last_flight] = flight
        self.changed.add(("flight", str(self.last_flight)))
        return self.last_flight

    def settle(self, reservation: int, executed: bool | None, now: float, *, over: bool) -> None:
        """Take down what became of a write that passed; None when nobody can say, which counts as executed.

        `over` is whether its client got an answer after which it does not come again.
        """
        flight = self.flights.pop(reservation)
        self.changed.add(("flight", str(reservation)))
        window = self.watched if flight.watched else self.window
        window.release(flight.people)
        if over and flight.task:
            self._end(flight.task, executed)
        if executed is False:
            return
        window.lose(flight.people, now)
        kind: Kind = "watched" if flight.watched else "lost"
        for person in flight.people:
            self.changed.add((kind, person))
        if not flight.watched:
            self._land(flight, now)

    def _end(self, task: str, executed: bool | None) -> None:
        """A write that was held passed, and its client is content: nothing waits for it any more."""
        held = self.writes.by_task.get(task)
        if held is None or held.standing in REFUSED:
            return
        self._drop(held)
        if executed is not False:
            hold = self.holds[held.hold]
            self.set_hold(replace(hold, done=hold.done + 1))

    def _land(self, flight: Flight, now: float) -> None:
        """A write was executed: those it has overtaken must not undo it."""
        for overtaken in self.writes.overtaken(flight.resource, flight.sequence):
            self.keep(replace(overtaken, standing=Standing.SUPERSEDED, decided_at=now))

    # Keeping ----------------------------------------------------------------------------------------

    def keep(self, held: HeldWrite) -> None:
        """Remember a write, or what became of it."""
        self.writes.put(held)
        self.changed.add(("write", held.task))

    def set_hold(self, hold: Hold) -> None:
        """Remember a hold, or what became of it."""
        self.holds[hold.id] = hold
        if hold.ended_at is None:
            self.open_hold = hold
        elif self.open_hold and self.open_hold.id == hold.id:
            self.open_hold = None
        self.changed.add(("hold", hold.id))

    def overdue_hold(self, now: float) -> Hold | None:
        """The hold that nobody has decided in time, while it still holds."""
        return self.open_hold if self.open_hold and now >= self.open_hold.expires_at else None

    def set_terms(self, terms: Terms) -> None:
        """Change what people allowed."""
        self.terms = terms
        self.changed.add(("terms", ""))

    def clear_window(self) -> None:
        """A person has looked at those who were counted: they count no more. Those in flight still do."""
        self.changed.update(("lost", person) for person in self.window.lost)
        self.window.forget(float("inf"))

    def _drop(self, held: HeldWrite) -> None:
        self.writes.drop(held.task)
        self.changed.add(("write", held.task))

    def tidy(self, now: float) -> None:
        """Forget whom no window counts any more, denials that have run out, writes given up, and empty holds."""
        self._forget("lost", self.window, now - self.window_seconds)
        self._forget("watched", self.watched, now - self.window_seconds)
        for held in [held for held in self.writes.by_task.values() if self._is_over(held, now)]:
            self._drop(held)
        referred = {held.hold for held in self.writes.by_task.values()}
        for hold in [hold for hold in self.holds.values() if hold.id not in referred]:
            if hold.ended_at is not None and now - hold.ended_at > hold.seconds:
                del self.holds[hold.id]
                self.changed.add(("hold", hold.id))

    def _is_over(self, held: HeldWrite, now: float) -> bool:
        if held.standing is Standing.HELD:
            return False
        kept_seconds = self.holds[held.hold].seconds
        if held.standing is Standing.SUPERSEDED:  # a new one like it is the next leaver's, not the old one's repeat
            return now - held.last_at > 2 * held.patience_seconds
        if held.standing is Standing.DENIED:  # and its client may come again much later
            return now > max((held.decided_at or 0.0) + kept_seconds, held.last_at + held.patience_seconds)
        return now - max(held.last_at, held.decided_at or 0.0) > max(kept_seconds, held.patience_seconds)

    def figures(self) -> Figures:
        """Costs a look at every remembered write."""
        waiting = [write for write in self.writes.by_task.values() if write.standing in WAITING]
        near = sum(write.attempts >= LAST_ATTEMPTS_FROM for write in waiting)
        return Figures(int(self.open_hold is not None), len(waiting), near)

    def view(self, hold: Hold) -> HoldView:
        """A hold with its writes in order of arrival."""
        writes = sorted(self.writes.of(hold.id), key=lambda write: write.sequence)
        return HoldView(self.tenant, hold, tuple(writes))

    def views(self) -> Iterator[HoldView]:
        """Every hold that is remembered."""
        yield from map(self.view, self.holds.values())

    def was_away(self, seconds: float) -> None:
        """The process did not run for so long: nobody could lose access meanwhile, and no client could come."""
        self.changed.update(("lost", person) for person in self.window.lost)
        self.window.lift(seconds)
        for held in [held for held in self.writes.by_task.values() if held.standing in LIVE]:
            self.keep(replace(held, last_at=held.last_at + seconds))


_NOTES = {
    Standing.HELD: "waits for a person",
    Standing.FOLLOWS: "waits for an earlier write to the same resource",
    Standing.APPROVED: "approved; waits for an earlier write to the same resource",
    Standing.DENIED: "denied",
    Standing.SUPERSEDED: "superseded by a later write to the same resource",
}
