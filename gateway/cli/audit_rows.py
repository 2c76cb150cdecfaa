"""Lines of the audit log as rows of a table for people. Pure but for the time zone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias
from unicodedata import combining, east_asian_width

from gateway.audit.effects import Whom, group_of, people_of, user_of
from gateway.audit.people import EXTERNAL_ID, ID, USER_NAME, Person, details_of, ids_that_differ, tenant_of
from gateway.audit.queries import HELD_REASONS, operation_of, requests_of, time_of
from gateway.audit.records import Record, number_of, text_of
from gateway.audit.reporting import Names
from gateway.cli.holds import printable
from gateway.cli.moments import shown
from gateway.journal.search import Found, Log

Row: TypeAlias = tuple[str, ...]

_HEAD = ("TIME", "TENANT", "OPERATION", "RESULT", "TOOK", "WHOM", "REQUEST")
_SHOWN_PEOPLE = 3
_EARLIEST_MOMENT = 1e9  # of a notice, in Unix seconds: other numbers are less
_LONGEST_CELL = 48  # or one long name makes every row long
_LONGEST_CELLS = {"LOG": 4096, "OPERATION": 80, "RESULT": 64, "WHOM": 80, "WHAT": 80}
_KINDS = ((USER_NAME, "userName"), (ID, "id"), (EXTERNAL_ID, "externalId"))


def without_answered_intents(newest_first: Iterable[Found]) -> Iterator[Found]:
    """One line a request: its last end, which says again what the intent says; of two outcomes the later counts."""
    ended: set[str] = set()
    for found in newest_first:
        event, request = text_of(found.record, "event"), text_of(found.record, "request")
        if request and event in ("intent", "outcome", "interrupted"):
            if request in ended:
                if event == "intent":
                    ended.discard(request)
                continue
            if event != "intent":
                ended.add(request)
        yield found


def beginnings_page(logs: Iterable[Log], since: str) -> list[str]:
    """Which logs begin later than what is asked for, for they were cut."""
    found = [(log.directory, first) for log in logs if (first := log.first()) is not None]
    return [
        f"{directory} begins with line {number_of(first, 'seq')}, {moment_of(first)}: what was before is not in it."
        for directory, first in found
        if number_of(first, "seq") > 1 and since < time_of(first)
    ]


def nobody_named(tenant: str, tenants: Iterable[str], there_are: str) -> str:
    """That it may be a slip."""
    others = ", ".join(sorted(filter(None, tenants))) or "none"
    return f"No line names the tenant {tenant}; {there_are} {others}."


def copies_page(logs: Iterable[Log]) -> list[str]:
    """Which logs repeat others; to be asked when all was read."""
    return [
        f"{log.lines_of_others} lines of {log.directory} stand in another of these logs too, and count once: "
        "one is a copy of the other, or of a part of it."
        for log in logs
        if log.lines_of_others
    ]


def table(found: Sequence[Found], person: Person | None = None, *, with_directory: bool) -> str:
    """One line below the other, in their order; by the names that these lines, or a person's, give to ids."""
    names = Names()
    for tenant, of_kind in person.names().items() if person else ():
        if len(ids := of_kind.get(ID, ())) == 1:  # of several nobody knows whose the names are
            names.of_id[(tenant, ids[0])] = (of_kind.get(USER_NAME, ()), "")
    for one in found:
        names.learn(one.record)
    rows = [((str(one.directory),) if with_directory else ()) + row_of(one.record, names) for one in found]
    return aligned((("LOG",) if with_directory else ()) + _HEAD, rows)


def aligned(head: Row, rows: Iterable[Row], whole: str = "") -> str:
    """A table of cells that are made fit for a terminal here, and cut, but for those of the column `whole`."""
    safe = [
        head,
        *(tuple(_fit(printable(cell), column, whole) for column, cell in zip(head, row, strict=True)) for row in rows),
    ]
    widths = [max(map(_width, column)) for column in zip(*safe, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in safe
    )


def _fit(cell: str, column: str, whole: str) -> str:
    """As much of a cell as its column has room for, at the end of a word where there is one."""
    longest = _LONGEST_CELLS.get(column, _LONGEST_CELL)
    if column == whole or _width(cell) <= longest:
        return cell
    short = cell[: longest - 3]
    while _width(short) > longest - 3:
        short = short[:-1]
    words = short.rpartition(" ")[0].rstrip(",;: ")
    return (words if len(words) > len(short) // 2 else short) + "..."


def _width(text: str) -> int:
    """How many columns of a terminal it takes: signs of the Far East two, accents that are put over others none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def row_of(record: Record, names: Names) -> Row:
    """What a line says, to be made fit for a terminal."""
    request, concerned = next(iter(requests_of(record)), ""), whom(record, names)
    return (moment_of(record), tenant_of(record), _what(record), _result(record), _took(record), concerned, request)


def moment_of(record: Record) -> str:
    """When, in this machine's zone."""
    return local(time_of(record)) or text_of(record, "time")


def local(time: str) -> str:
    """A moment of the log in this machine's zone; "" for none."""
    try:
        return shown(datetime.fromisoformat(time).timestamp())
    except (ValueError, OverflowError, OSError):
        return ""


def _what(record: Record) -> str:
    event = text_of(record, "event")
    if event == "notice":
        return text_of(record, "notice")
    return operation_of(record) or f"{text_of(record, 'method')} {text_of(record, 'path')}".strip() or event


def _result(record: Record) -> str:
    event, reason, status = text_of(record, "event"), text_of(record, "reason"), number_of(record, "status")
    if event == "intent":
        return "about to leave"
    if event == "interrupted":
        return "interrupted: nobody knows whether it was done"
    if event == "connection":
        return f"failed: {text_of(record, 'failure')}"
    if event == "suppressed":
        return f"refused {number_of(record, 'count')} times"
    outcome = text_of(record, "outcome")
    if reason:
        outcome = "held" if reason in HELD_REASONS else "refused" if outcome in ("", "not-executed") else outcome
    parts = [outcome, str(status) if status else "", reason, _hold(record)]
    if attempt := number_of(record, "attempt"):
        parts.append(f"attempt {attempt}")
    return " ".join(part for part in parts if part)


def _hold(record: Record) -> str:
    guard = record.get("guard")
    return text_of(guard, "hold") if isinstance(guard, dict) else ""


def _took(record: Record) -> str:
    seconds = seconds_of(record)
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"


def seconds_of(record: Record) -> float | None:
    """How long a request took in all; None where the line does not say."""
    stages = record.get("seconds")
    if not isinstance(stages, dict):
        return None
    return float(sum(value for value in stages.values() if isinstance(value, int | float)))


def whom(record: Record, known: Names) -> str:
    """The group and the people whom a line concerns, by the best names it has."""
    if text_of(record, "event") == "notice":
        return "; ".join(f"{key} {_told(value)}" for key, value in details_of(record).items() if _tells(key, value))
    names = _people(record, known)
    resource = text_of(record, "resource_name") or _named(record, known)
    if text_of(record, "operation").startswith("group.") or not names:
        names.insert(0, resource or text_of(record, "address"))
    return ", ".join(dict.fromkeys(name for name in names if name))


def _tells(key: str, value: object) -> bool:
    return key not in ("tenant", "request", "uid") and value not in (None, "", [])


def _told(value: object) -> str:
    """A list as one reads it, and a moment in this machine's zone, as all others on the page."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, float) and value > _EARLIEST_MOMENT:
        return shown(value)
    return (isinstance(value, str) and "T" in value and local(value)) or str(value)


def _named(record: Record, known: Names) -> str:
    """The name of what a line is about, or else its address."""
    resource, tenant = text_of(record, "resource"), tenant_of(record)
    if resource.startswith("/Groups/"):
        identifier = group_of(record)
        name = known.group(tenant, identifier)
    elif resource.startswith("/Users/"):
        who = user_of(record)
        identifier, name = who.id, best_name(tenant, who, known)
    else:
        return resource
    return resource if name == identifier else name


def _people(record: Record, known: Names) -> list[str]:
    names = [best_name(tenant_of(record), who, known) for who in people_of(record)]
    total = max(number_of(record, "people_total"), len(names))
    shown_names = names[:_SHOWN_PEOPLE]
    return [*shown_names, f"{total - len(shown_names)} more"] if total > len(shown_names) else shown_names


def best_name(tenant: str, who: Whom, known: Names) -> str:
    """The userName that somebody had last, or else an id."""
    identifier, user_names, external_id = known.known(tenant, who)
    return who.user_name or (user_names[-1] if user_names else identifier or external_id)


def names_page(person: Person) -> list[str]:
    """Which names were taken as the same person, and what to doubt about it."""
    said = []
    for tenant, names in person.names().items():
        told = "; ".join(f"{word} {', '.join(names[kind])}" for kind, word in _KINDS if kind in names)
        said.append(f"{person.asked} is taken as, in tenant {tenant}: {told}")
        if ids := ids_that_differ(names):
            said.append(
                f"  {len(ids)} ids bore one of these names: perhaps different people, for a name may be given again; "
                "or one who was created anew. An id with --exact shows one of them alone."
            )
    if person.is_cut:
        said.append("  There were more names than one person has, and not all were followed: try --exact.")
    return [printable(line) for line in said]
