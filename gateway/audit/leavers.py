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
from gateway.audit.records import Record, number_of, text_of, texts_of
from gateway.audit.tasks import tasks_of

_GIVES_BACK = {
    Effect.ACTIVATED: Effect.DEACTIVATED,
    Effect.GIVEN_OR_KEPT: Effect.DEACTIVATED,
    Effect.ADDED: Effect.REMOVED,
    Effect.LISTED: Effect.REMOVED,
}
_GIVES_SURELY = (Effect.ACTIVATED, Effect.ADDED)
_WHOLE_LISTS = ("group.replace", "group.members.replace")  # whoever stands in it is in the group
DONE, NOT_THERE, WITHDRAWN, DELETED = "done", "not there any more", "given back meanwhile", "deleted meanwhile"
SETTLED = (DONE, NOT_THERE, WITHDRAWN, DELETED)
HELD, DENIED, UNKNOWN, UNDER_WAY = "held", "denied", "unknown", "under way"
APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person, or time, decided about a hold, or about some `tasks` of it."""

    ruling: str
    by: str  # "" where nobody decided in time
    at: str
    reason: str
    tasks: frozenset[str] | None  # None: all that waited

    def covers(self, task: Leaving) -> bool:
        """Whether it was about a task, which may be known by several digests, or by none."""
        return self.tasks is None or not task.digests or not self.tasks.isdisjoint(task.digests)

    def turns(self, task: Leaving) -> bool:
        """Whether the opposite was decided about a task before."""
        return bool(task.decisions) and task.decisions[-1].ruling != self.ruling

    def words(self, at: str) -> str:
        """In words, with its moment as `at`."""
        if not self.by:
            return f"denied at {at}, for nobody decided in time"
        part = "" if self.tasks is None else f" ({len(self.tasks)} of its tasks)"
        return f"{self.ruling} by {self.by} at {at}{part}: {self.reason}"


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
    digests: tuple[str, ...] = ()  # as the guard calls the held ones of its attempts
    decisions: tuple[Decision, ...] = ()  # about its holds, those that cover it
    waits_for_somebody: bool = False  # held itself, not behind another
    is_weighed: bool = False  # by a guard, which is on for this tenant then

    @property
    def is_done(self) -> bool:
        """Whether access is taken by it."""
        return self.state == DONE


@dataclass(slots=True)
class Leavers:
    """The tasks that are open, and what people decided about holds."""

    tasks: dict[tuple[str, str], dict[tuple[Effect, str], Leaving]] = field(default_factory=dict)
    decisions: dict[tuple[str, str], tuple[Decision, ...]] = field(default_factory=dict)  # by (tenant, hold)

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
        """Take up a notice: what it decides, also about those whose client has not come again yet."""
        kind, details, at = text_of(record, "notice"), details_of(record), time_of(record)
        if kind == "guard-decision":
            tasks = frozenset(texts_of(details, "tasks")) if isinstance(details.get("tasks"), list) else None
            by, reason = text_of(details, "by") or "somebody", text_of(details, "reason")
            decision = Decision(text_of(details, "ruling"), by, at, reason, tasks)
        elif kind == "wave-expired":
            decision = Decision("deny", "", at, "", None)
        else:
            return
        key = (tenant_of(record), text_of(details, "hold"))
        self.decisions[key] = (*self.decisions.get(key, ()), decision)
        for task in self._chosen(key, decision):
            task.decisions = (*task.decisions, decision)
            if decision.tasks is None or task.digests:  # else it may be another's, and is told, no more
                task.state = DENIED if decision.ruling == "deny" else APPROVED

    def _chosen(self, key: tuple[str, str], decision: Decision) -> list[Leaving]:
        """Those that a decision changes, as the ledger has it: of a hold that is over it turns what was decided."""
        of_hold = [task for task in self._all() if task.tenant == key[0] and key[1] in task.holds[-1:]]
        waiting = [task for task in of_hold if task.state == HELD and task.waits_for_somebody]
        if not decision.by:
            return waiting
        turned = [task for task in of_hold if task.state not in (UNKNOWN, UNDER_WAY) and decision.turns(task)]
        if decision.tasks is not None:
            return [task for task in (*waiting, *turned) if decision.covers(task)]
        return waiting or turned

    def _all(self) -> Iterator[Leaving]:
        return (task for of_person in self.tasks.values() for task in of_person.values())

    def open_tasks(self) -> Iterator[Leaving]:
        """Those that are not settled, the oldest first."""
        return iter(sorted(self._all(), key=lambda task: task.received))

    def _attempt(self, record: Record, change: Change) -> Iterator[Leaving]:
        person, key = _person(record, change), (change.effect, change.group)
        of_person = self.tasks.setdefault(person, {})
        task = of_person.get(key)
        if task is None:
            credential, request = text_of(record, "credential"), text_of(record, "request")
            task = of_person[key] = Leaving(person[0], change, credential, time_of(record), request)
        if hold := _advance(task, record):
            # What was decided before the first attempt that is on this log.
            earlier = self.decisions.get((task.tenant, hold), ())
            task.decisions = (*task.decisions, *(decision for decision in earlier if decision.covers(task)))
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
        """What was to be taken is given again: nobody waits for the older task any more.

        `active` that was written with a profile is true only where a guard would have seen it take access.
        """
        person = _person(record, change)
        undone = _GIVES_BACK.get(change.effect)
        of_person = self.tasks.get(person, {})
        if undone is None or (undone, change.group) not in of_person:
            return
        is_sure = change.effect in _GIVES_SURELY or text_of(record, "operation") in _WHOLE_LISTS
        if not is_sure and not of_person[(undone, change.group)].is_weighed:
            return
        task = of_person.pop((undone, change.group))
        task.state, task.settled = WITHDRAWN, time_of(record)
        if not of_person:
            del self.tasks[person]
        yield task


def _person(record: Record, change: Change) -> tuple[str, str]:
    """Ids are case-exact (RFC 7643 section 3.1), userNames are not."""
    return tenant_of(record), change.whom.id or folded(change.whom.user_name)


def _advance(task: Leaving, record: Record) -> str:
    """Go on by an attempt; the hold that it is the first one in."""
    event, outcome, reason = (text_of(record, key) for key in ("event", "outcome", "reason"))
    task.last_at, task.last_request = time_of(record), text_of(record, "request")
    guard = record.get("guard")
    hold = text_of(guard, "hold") if isinstance(guard, dict) else ""
    task.is_weighed = task.is_weighed or isinstance(guard, dict)
    if hold:
        task.digests = tuple(dict.fromkeys((*task.digests, *tasks_of(record))))
    is_new = bool(hold) and hold not in task.holds
    if is_new:
        task.holds = (*task.holds, hold)
    if event != "intent":
        task.attempts = max(task.attempts + 1, number_of(record, "attempt"))
        task.state, task.waits_for_somebody = _state(record, outcome, reason), reason == "guard-held"
        if task.state in (DONE, NOT_THERE):
            task.settled = task.last_at
    return hold if is_new else ""


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
