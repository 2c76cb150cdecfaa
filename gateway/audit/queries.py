"""What a search of the audit log asks for, and whether a line is an answer. Pure.

Moments are texts as the log writes them (`2027-01-15T09:00:00.000000Z`), so that they compare as texts. What a line
says of an end is its results: a held write is `held`, and `not-executed` as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.audit.people import Person, address_in, details_of, tenant_of
from gateway.audit.records import Record, text_of
from gateway.scim.operations import NAMES

RESULTS = ("executed", "not-executed", "unknown", "refused", "held", "interrupted")
HELD_REASONS = ("guard-held", "guard-behind")

_NONE: frozenset[str] = frozenset()
_FAMILIES = {"Users": "user", "Groups": "group"}
_OF_ALL = {"GET": "list", "POST": "create"}
_OF_ONE = {"GET": "get", "PUT": "replace", "DELETE": "delete"}  # what a PATCH does, only its body tells

BEGINNING, END = "", "\U0010ffff"  # before and after every moment
_TIME_LENGTH = len("2027-01-15T09:00:00.000000Z")
REFUSING_EVENTS = ("refusal", "unparsed", "suppressed")


@dataclass(frozen=True, slots=True)
class Query:
    """Every part that is given must hold; of several operations, results or notices, one."""

    person: Person | None = None
    tenant: str | None = None
    operations: tuple[str, ...] = ()  # names, or families as "group.members.*"
    results: frozenset[str] = frozenset()
    request: str | None = None
    hold: str | None = None
    notices: frozenset[str] = frozenset()
    since: str = BEGINNING
    until: str = END  # no line of this moment or later

    def is_answered_by(self, record: Record) -> bool:
        """Whether a line is what is asked for."""
        return (
            self.since <= time_of(record) < self.until
            and (self.tenant is None or tenant_of(record) == self.tenant)
            and (self.request is None or self.request in requests_of(record))
            and (self.hold is None or hold_of(record) == self.hold)
            and (not self.notices or text_of(record, "notice") in self.notices)
            and (not self.operations or not families_on(record).isdisjoint(self.operations))
            and (not self.results or not self.results.isdisjoint(results_of(record)))
            and (self.person is None or self.person.is_on(record))
        )


def written(moment: float) -> str:
    """A moment (Unix seconds) as the log writes it."""
    return _as_written(datetime.fromtimestamp(moment, UTC))


def time_of(record: Record) -> str:
    """When a line was written; "" where it does not say so."""
    time = text_of(record, "time")
    if len(time) == _TIME_LENGTH and time[-1] == "Z":
        return time
    try:
        return _as_written(datetime.fromisoformat(time).astimezone(UTC))
    except (ValueError, OverflowError):
        return BEGINNING


def _as_written(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def requests_of(record: Record) -> tuple[str, ...]:
    """The requests that a line tells of: its own, or the one that a notice names."""
    own = text_of(record, "request")
    if "details" not in record:  # nearly all
        return (own,) if own else ()
    return tuple([request for request in (own, text_of(details_of(record), "request")) if request])


def hold_of(record: Record) -> str:
    """The hold that a line tells of: that of a write, or the one that a notice names."""
    guard = record.get("guard")
    return text_of(guard, "hold") if isinstance(guard, dict) else text_of(details_of(record), "hold")


def operation_of(record: Record) -> str:
    """The operation that a line is about; a notice has it among its details."""
    return text_of(record, "operation") or text_of(details_of(record), "operation")


def results_of(record: Record) -> tuple[str, ...]:
    """What a line says of an end: some of RESULTS, none for an intent or a notice.

    What was executed is not refused, although the client of an outcome that is told late was told to come back; nor is
    what the application may have done.
    """
    event, outcome, reason = (text_of(record, key) for key in ("event", "outcome", "reason"))
    if event == "intent":
        return ()
    found = [outcome] if event in ("outcome", "interrupted") and outcome else []
    if event == "interrupted":
        found.append("interrupted")
    if reason in HELD_REASONS:
        found.append("held")
    elif (reason and outcome not in ("executed", "unknown")) or event in REFUSING_EVENTS:
        found.append("refused")
    return tuple(found)


def families_of(operation: str) -> frozenset[str]:
    """An operation's name and the families it belongs to: user.get, user.*."""
    parts = operation.split(".")
    return frozenset((operation, *(".".join((*parts[:length], "*")) for length in range(1, len(parts)))))


def families_on(record: Record) -> frozenset[str]:
    """The operation of a line and its families; of a refusal what its method and path tell, for it names none."""
    if operation := operation_of(record):
        return families_of(operation)
    collection, _, rest = address_in(text_of(record, "path"))[1:].partition("/") if "path" in record else ("", "", "")
    if collection not in _FAMILIES:
        return _NONE
    family, method = _FAMILIES[collection], text_of(record, "method")
    verb = "search" if rest == ".search" else (_OF_ONE if rest else _OF_ALL).get(method)
    return families_of(f"{family}.{verb}") if verb else frozenset((f"{family}.*",))


OPERATIONS = tuple(sorted(NAMES))


def unknown_operations(asked: Iterable[str]) -> tuple[str, ...]:
    """Those that are neither an operation's name nor a family's."""
    known = frozenset().union(*map(families_of, NAMES))
    return tuple(name for name in asked if name not in known)
