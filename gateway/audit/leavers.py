"""From the first attempt to take access from somebody until it is taken: one task, however often it was tried. Pure.

Attempts belong together by what they would do to whom in which group, so a client that tries with PUT after PATCH, or
at another instance, is understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.audit.effects import Change, Effect
from gateway.audit.people import details_of, folded, tenant_of
from gateway.audit.queries import HELD_REASONS, time_of
from gateway.audit.records import Record, number_of, text_of

DONE, NOT_THERE, WITHDRAWN, DELETED = "done", "not there any more", "given back meanwhile", "deleted meanwhile"
SETTLED = (DONE, NOT_THERE, WITHDRAWN, DELETED)
HELD, DENIED, UNKNOWN, UNDER_WAY = "held", "denied", "unknown", "under way"


@dataclass(slots=True)
class Leaving:
    """One task. Moments as the log writes them; `settled` is "" while access is not taken."""

    tenant: str
    change: Change
    credential: str
    received: str
    first_request: str
    settled: str = ""
    state: str = UNDER_WAY
    attempts: int = 0
    last_request: str = ""
    last_at: str = ""
    holds: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether access is taken by it."""
        return self.state == DONE


@dataclass(slots=True)
class Leavers:
    """The tasks that are open, and what people decided about holds."""

    tasks: dict[tuple[str, str], dict[tuple[Effect, str], Leaving]] = field(default_factory=dict)
    decisions: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # (tenant, hold) -> in words

    def take(self, record: Record, changes: list[Change]) -> Iterator[Leaving]:
        """Go on by a line (intent, outcome, interrupted) with its changes; the tasks that end by it."""
        for change in changes:
            if change.whom.count != 1 or change.effect is Effect.GROUP_DELETED:
                continue  # nobody is named
            if change.effect.takes:
                yield from self._attempt(record, change)
            elif text_of(record, "outcome") == "executed":
                yield from self._given(record, change)

    def note(self, record: Record) -> None:
        """Take up a notice."""
        kind, details = text_of(record, "notice"), details_of(record)
        if kind == "guard-decision":
            some = details.get("tasks")
            part = f" ({len(some)} of its tasks)" if isinstance(some, list) else ""
            words = f"{text_of(details, 'ruling')} by {text_of(details, 'by')} at {time_of(record)}{part}: "
            words += text_of(details, "reason")
        elif kind == "wave-expired":
            words = f"denied at {time_of(record)}, for nobody decided in time"
        else:
            return
        key = (tenant_of(record), text_of(details, "hold"))
        self.decisions[key] = (*self.decisions.get(key, ()), words)

    def decided(self, task: Leaving) -> str:
        """What people decided about the holds of a task, in words; "" for nothing."""
        return "; ".join(words for hold in task.holds for words in self.decisions.get((task.tenant, hold), ()))

    def open_tasks(self) -> Iterator[Leaving]:
        """Those that are not settled, the oldest first."""
        tasks = (task for of_person in self.tasks.values() for task in of_person.values())
        return iter(sorted(tasks, key=lambda task: task.received))

    def _attempt(self, record: Record, change: Change) -> Iterator[Leaving]:
        person, key = _person(record, change), (change.effect, change.group)
        of_person = self.tasks.setdefault(person, {})
        task = of_person.get(key)
        if task is None:
            credential, request = text_of(record, "credential"), text_of(record, "request")
            task = of_person[key] = Leaving(person[0], change, credential, time_of(record), request)
        _advance(task, record)
        if not task.settled:
            return
        yield of_person.pop(key)
        if change.effect is Effect.DELETED and task.is_done:
            for other in of_person.values():
                other.state, other.settled = DELETED, task.settled
                yield other
            of_person.clear()
        if not of_person:
            del self.tasks[person]

    def _given(self, record: Record, change: Change) -> Iterator[Leaving]:
        """What was to be taken is given again: nobody waits for the older task any more."""
        person = _person(record, change)
        undone = {Effect.ACTIVATED: Effect.DEACTIVATED, Effect.ADDED: Effect.REMOVED}.get(change.effect)
        of_person = self.tasks.get(person, {})
        if undone is None or (undone, change.group) not in of_person:
            return
        task = of_person.pop((undone, change.group))
        task.state, task.settled = WITHDRAWN, time_of(record)
        if not of_person:
            del self.tasks[person]
        yield task


def _person(record: Record, change: Change) -> tuple[str, str]:
    """Ids are case-exact (RFC 7643 section 3.1), userNames are not."""
    return tenant_of(record), change.whom.id or folded(change.whom.user_name)


def _advance(task: Leaving, record: Record) -> None:
    event, outcome, reason = (text_of(record, key) for key in ("event", "outcome", "reason"))
    task.last_at, task.last_request = time_of(record), text_of(record, "request")
    if event == "intent":
        return
    task.attempts = max(task.attempts + 1, number_of(record, "attempt"))
    guard = record.get("guard")
    hold = text_of(guard, "hold") if isinstance(guard, dict) else ""
    if hold and hold not in task.holds:
        task.holds = (*task.holds, hold)
    task.state = _state(record, outcome, reason)
    if task.state in (DONE, NOT_THERE):
        task.settled = task.last_at


def _state(record: Record, outcome: str, reason: str) -> str:
    if outcome == "executed":
        return DONE
    if outcome == "unknown":
        return UNKNOWN
    if reason in HELD_REASONS:
        return HELD
    if reason == "guard-denied":
        return DENIED
    status = number_of(record, "status")
    if not reason and status == 404:
        return NOT_THERE
    return f"not done: {reason}" if reason else f"not done: the application answered {status}"
