"""An auditor's report, line by line of the audit log in the order of time. Pure.

access      what was given to and taken from whom, one row a change
leavers     each task of taking access, from its first attempt to its end
refused     what was turned away or held, counted by tenant and reason
unsettled   writes of whose end nobody knows: somebody should look
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.audit.effects import Change, Whom, changes_of, group_of, people_of
from gateway.audit.leavers import Leavers, Leaving
from gateway.audit.people import folded, tenant_of
from gateway.audit.queries import BEGINNING, END, HELD_REASONS, REFUSING_EVENTS, operation_of, results_of, time_of
from gateway.audit.records import Record, number_of, text_of

Task: TypeAlias = tuple[str, str, str, str]

_READS = ("get", "list", "search")
_MOST_NAMES = 8  # of one id, the newest
TOLD_LATE = "record-unavailable"  # the reason of an outcome behind which an older one may stand


@dataclass(slots=True)
class Names:
    """The names that the log gives to ids, learnt before anything is told."""

    of_id: dict[tuple[str, str], tuple[tuple[str, ...], str]] = field(default_factory=dict)  # userNames, externalId
    ids: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # (tenant, folded userName) -> ids
    groups: dict[tuple[str, str], str] = field(default_factory=dict)

    def learn(self, record: Record) -> None:
        """From a line; later ones win."""
        tenant = tenant_of(record)
        for who in people_of(record):
            if not who.id or not (who.user_name or who.external_id):
                continue
            key = (tenant, who.id)  # case-exact, as RFC 7643 section 3.1 has it
            names, external_id = self.of_id.get(key, ((), ""))
            if who.user_name and who.user_name not in names[-1:]:
                names = (*(name for name in names if name != who.user_name), who.user_name)[-_MOST_NAMES:]
            self.of_id[key] = (names, who.external_id or external_id)
            if who.user_name:
                self.ids.setdefault((tenant, folded(who.user_name)), set()).add(who.id)
        name = text_of(record, "resource_name")
        if name and text_of(record, "operation").startswith("group.") and (group := group_of(record)) != name:
            self.groups[(tenant, group)] = name

    def known(self, tenant: str, whom: Whom) -> tuple[str, tuple[str, ...], str]:
        """Id, userNames and externalId, as far as the log knows them."""
        identifier = whom.id
        if not identifier and len(ids := self.ids.get((tenant, folded(whom.user_name)), set())) == 1:
            identifier = next(iter(ids))
        names, external_id = self.of_id.get((tenant, identifier), ((), ""))
        if whom.user_name and whom.user_name not in names:
            names = (*names, whom.user_name)
        return identifier, names, whom.external_id or external_id

    def group(self, tenant: str, group: str) -> str:
        """What a group is called; its id where nobody said."""
        return self.groups.get((tenant, group), group)


@dataclass(frozen=True, slots=True)
class Access:
    """Something was given to or taken from somebody, or should have been."""

    record: Record
    change: Change


@dataclass(frozen=True, slots=True)
class Refused:
    """How often something was turned away (or held) for a reason, and between which moments."""

    tenant: str
    reason: str
    is_held: bool
    count: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A write of whose end nobody knows, asked for at `time`; what came later of it did not settle it."""

    record: Record
    why: str
    time: str


@dataclass(slots=True)
class Report:
    """Takes the lines of a log; `since` and `until` as the log writes moments."""

    since: str = BEGINNING
    until: str = END
    leavers: Leavers = field(default_factory=Leavers)
    totals: Counter[str] = field(default_factory=Counter)  # by effect, how often it was done
    _not_done: dict[tuple[str, ...], tuple[str, int]] = field(default_factory=dict)  # by whom: effect, people
    _refused: dict[tuple[str, str, bool], tuple[int, str, str]] = field(default_factory=dict)
    _intents: dict[tuple[str, str], tuple[Task, Record]] = field(default_factory=dict)  # by request, without an end
    _unsettled: dict[Task, dict[tuple[str, str], Unsettled]] = field(default_factory=dict)  # by request
    most_late: int = 65_536  # requests with an outcome that was told late; of more, the oldest are told twice
    _late: dict[tuple[str, str], int] = field(default_factory=dict)  # (instance, request) -> seq of its last outcome

    def foresee(self, record: Record) -> None:
        """From a line, before any is taken: which requests have an outcome that was told late, for it alone counts."""
        if text_of(record, "reason") != TOLD_LATE or text_of(record, "event") != "outcome":
            return
        if time_of(record) >= self.until:
            return
        self._late[_request_key(record)] = number_of(record, "seq")
        if len(self._late) > self.most_late:
            del self._late[next(iter(self._late))]

    def take(self, record: Record) -> Iterator[Access | Leaving]:
        """Go on by a line: what it tells at once."""
        time, event = time_of(record), text_of(record, "event")
        if time >= self.until:
            return
        if event == "notice":
            self.leavers.note(record)
        if event in ("outcome", "interrupted") and number_of(record, "seq") < self._late.get(_request_key(record), 0):
            return  # of two outcomes of one request the later counts
        is_in = time >= self.since
        if is_in and ("reason" in record or event in REFUSING_EVENTS):
            self._count(record, time)
        if event not in ("intent", "outcome", "interrupted") or _reads(record):
            return
        changes = changes_of(record)
        for task in self.leavers.take(record, changes):
            if task.settled >= self.since:
                yield task
        self._settle(record, changes, event)
        if is_in and event != "intent":
            for change in changes:
                self._total(record, change, is_done=text_of(record, "outcome") == "executed")
                yield Access(record, change)

    def end(self) -> Iterator[Leaving | Refused | Unsettled]:
        """What is left when all lines were taken."""
        unsettled = [one for of_task in self._unsettled.values() for one in of_task.values()]
        yield from sorted(
            [one for one in unsettled if max(one.time, time_of(one.record)) >= self.since], key=lambda one: one.time
        )
        yield from self.leavers.open_tasks()
        for (tenant, reason, is_held), (count, first, last) in sorted(self._refused.items()):
            yield Refused(tenant, reason, is_held, count, first, last)

    def _settle(self, record: Record, changes: list[Change], event: str) -> None:
        """Go on by a write: whoever is done, is done, and so are earlier attempts at the same."""
        request, outcome = _request_key(record), text_of(record, "outcome")
        if event == "intent":
            task = _task(record, changes)
            self._intents[request] = (task, record)
            why = "no end on record: under way, or the gateway ended and did not start again"
            self._unsettled.setdefault(task, {})[request] = Unsettled(record, why, time_of(record))
            return
        # An interrupted write is told at the next start, which may be days later, and with less.
        intent = self._intents.pop(request, None)
        task, asked = intent or (_task(record, changes), record)
        of_task = self._unsettled.setdefault(task, {})
        of_task.pop(request, None)
        if outcome == "executed":
            of_task.clear()
        elif event == "interrupted":
            of_task[request] = Unsettled(record, "the gateway ended meanwhile", time_of(asked))
        elif outcome == "unknown":
            of_task[request] = Unsettled(record, "the application may have done it or not", time_of(record))
        if not of_task:
            del self._unsettled[task]

    def _total(self, record: Record, change: Change, *, is_done: bool) -> None:
        """Of what is not done people are counted, not attempts, and nobody for whom it is done by a later one."""
        who, effect = change.whom, change.effect.value
        name = _name(who) or text_of(record, "resource")
        key = (tenant_of(record), effect, change.group, name)
        if is_done:
            self.totals[effect] += who.count
            self._not_done.pop(key, None)
        else:
            _, before = self._not_done.get(key, ("", 0))
            self._not_done[key] = (effect, max(before, who.count))

    def not_done(self) -> Counter[str]:
        """By effect, for how many people it was asked for within the period and is not known to be done."""
        people: Counter[str] = Counter()
        for effect, count in self._not_done.values():
            people[effect] += count
        return people

    def _count(self, record: Record, time: str) -> None:
        results = results_of(record)
        if "refused" not in results and "held" not in results:
            return
        reason = text_of(record, "reason")
        by, number = reason, 1
        if text_of(record, "event") == "suppressed":
            by, number = "strangers without a line of their own", number_of(record, "count")
        key = (tenant_of(record), by, reason in HELD_REASONS)
        count, first, last = self._refused.get(key, (0, time, time))
        self._refused[key] = (count + number, min(first, time), max(last, time))


def _task(record: Record, changes: list[Change]) -> Task:
    """What a client's attempts at one write share: what it does to one person, or else what it says."""
    tenant = tenant_of(record)
    if len(changes) == 1 and changes[0].whom.count == 1:
        effect, who, group = changes[0].effect, changes[0].whom, changes[0].group
        return tenant, effect.value, _name(who), group
    attributes = record.get("attributes") if text_of(record, "method") == "PATCH" else ""
    whom = [_name(who) for who in people_of(record)]
    name = text_of(record, "resource_name")
    return tenant, operation_of(record), text_of(record, "resource"), f"{name} {attributes} {whom}"


def _name(who: Whom) -> str:
    """By which a client's attempts at the same person are known."""
    return who.id or folded(who.user_name or who.external_id)


def _request_key(record: Record) -> tuple[str, str]:
    """Two instances, each with its own log, number their lines for themselves."""
    return text_of(record, "instance"), text_of(record, "request")


def _reads(record: Record) -> bool:
    return operation_of(record).rpartition(".")[2] in _READS
