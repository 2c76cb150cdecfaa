"""An auditor's report as rows: for a spreadsheet, for machines, and as a page. Pure but for the time zone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import TypeAlias

from gateway.audit.effects import Effect, Whom, group_of, people_of, user_of
from gateway.audit.leavers import SETTLED, Leaving
from gateway.audit.people import tenant_of
from gateway.audit.queries import HELD_REASONS, time_of
from gateway.audit.records import Record, number_of, text_of
from gateway.audit.reporting import Access, Names, Refused, Report, Unsettled
from gateway.cli.audit_rows import aligned, local, whom
from gateway.cli.holds import printable
from gateway.cli.moments import shown_span

Item: TypeAlias = Access | Leaving | Refused | Unsettled
Cells: TypeAlias = dict[str, str | int | float]

COLUMNS = (
    "section", "time", "tenant", "what", "person", "user_names", "id", "external_id", "people", "group", "operation",
    "credential", "address", "request", "result", "status", "reason", "received", "done", "seconds", "attempts", "hold",
    "decision", "count", "first", "last",
)  # fmt: skip
_MOST_NAMED = 3  # of a group's write whose end nobody knows
MOST_ROWS = 100  # of each table, on the page

# SECURITY: what a spreadsheet takes for a formula, also in its full-width form, and behind blanks.
_FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
# The same where a spreadsheet separates cells by semicolons, as many countries' do: it does not see our quotes then.
_HIDDEN_FORMULA = re.compile(rf""";(?=[\s"\N{{REPLACEMENT CHARACTER}}]*[{re.escape(_FORMULA_SIGNS)}])""")


def cells_of(item: Item, names: Names) -> Cells:
    """A row by its columns; those that it has nothing for are left out."""
    match item:
        case Access():
            return _access(item, names)
        case Leaving():
            return _leaving(item, names)
        case Refused():
            kind = "held" if item.is_held else "refused"
            told: Cells = {"section": "refused", "tenant": item.tenant, "result": kind, "reason": item.reason}
            return told | {"count": item.count, "first": item.first, "last": item.last}
        case Unsettled():
            told = {"section": "unsettled", "what": item.why, **_concerned(item.record, names), **_asked(item.record)}
            return told | {"time": item.time, "result": text_of(item.record, "outcome") or "no end"}


def safe_cell(value: str | float) -> str | float:
    """For a spreadsheet: text on one line, and no formula, for names come from the client."""
    if not isinstance(value, str):
        return value
    text = _HIDDEN_FORMULA.sub(";'", printable(value))
    return f"'{text}" if value.strip().startswith(tuple(_FORMULA_SIGNS)) else text


def _access(item: Access, names: Names) -> Cells:
    record, change = item.record, item.change
    tenant, reason = tenant_of(record), text_of(record, "reason")
    told: Cells = {"section": "access", "what": change.effect.value, **_person(names, tenant, change.whom)}
    if change.group:
        told["group"] = names.group(tenant, change.group)
    return told | _asked(record) | {"result": "held" if reason in HELD_REASONS else text_of(record, "outcome")}


def _person(names: Names, tenant: str, who: Whom) -> Cells:
    if who == Whom():
        return {}
    if who.count != 1:
        return {"person": f"{who.count} more, whom the line does not name", "people": who.count}
    identifier, user_names, external_id = names.known(tenant, who)
    best = user_names[-1] if user_names else identifier or external_id
    return {
        "person": best,
        "user_names": ", ".join(user_names),
        "id": identifier,
        "external_id": external_id,
        "people": 1,
    }


def _concerned(record: Record, names: Names) -> Cells:
    """The user, or the group and those who are named with it, of any write."""
    tenant, operation = tenant_of(record), text_of(record, "operation")
    if operation.startswith("user."):
        return _person(names, tenant, user_of(record))
    if not operation.startswith("group."):
        return {"person": whom(record, names)}
    each = [str(_person(names, tenant, who).get("person", "")) for who in people_of(record)]
    more = max(number_of(record, "people_total"), len(each)) - _MOST_NAMED
    people = ", ".join([*each[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])])
    return {"group": names.group(tenant, group_of(record)), **({"person": people} if people else {})}


def _asked(record: Record) -> Cells:
    told: Cells = {"time": time_of(record), "tenant": tenant_of(record)}
    for key in ("operation", "credential", "address", "request", "reason"):
        if text := text_of(record, key):
            told[key] = text
    if status := number_of(record, "status"):
        told["status"] = status
    return told


def _leaving(task: Leaving, names: Names) -> Cells:
    told: Cells = {"section": "leavers", "time": task.last_at, "tenant": task.tenant, "what": task.change.effect.value}
    told |= _person(names, task.tenant, task.change.whom)
    if task.change.group:
        told["group"] = names.group(task.tenant, task.change.group)
    told |= {"credential": task.credential, "request": task.last_request, "result": task.state}
    told |= {"received": task.received, "attempts": task.attempts}
    if task.is_done:
        told |= {"done": task.settled, "seconds": round(seconds_between(task.received, task.settled), 3)}
    if task.holds:
        told |= {"hold": ", ".join(task.holds), "decision": "; ".join(one.words(one.at) for one in task.decisions)}
    return told


def _last_decision(task: Leaving) -> str:
    """The one that counts, for the page, whose moments are this machine's."""
    *earlier, last = task.decisions
    before = f" (and {len(earlier)} before it)" if earlier else ""
    return last.words(local(last.at) or last.at) + before


def seconds_between(first: str, last: str) -> float:
    """Between two moments of the log; 0 where one of them is none."""
    try:
        return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


# The page -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Page:
    """Gathers what a page shows: of each table the newest rows, and counts of all."""

    rows: dict[str, list[Cells]] = field(default_factory=dict)  # by table
    counts: Counter[str] = field(default_factory=Counter)  # by table, and of requests by "refused" and "held"
    states: Counter[str] = field(default_factory=Counter)  # of leavers
    waits: list[float] = field(default_factory=list)  # seconds, of what was done

    def take(self, item: Item, cells: Cells) -> None:
        """One row more."""
        if isinstance(item, Leaving) and item.decisions:
            cells = cells | {"decision": _last_decision(item)}
        table, result = str(cells["section"]), str(cells["result"])
        if table == "access" and result not in ("executed", "unknown"):
            if "reason" in cells or (isinstance(item, Access) and item.change.effect.takes):
                return  # nothing happened: leavers and refusals tell of it
            table = "declined"
        if table == "refused":
            self.counts[result] += int(cells["count"])
        if table == "leavers":
            self.states[result] += 1
            if "seconds" in cells:
                self.waits.append(float(cells["seconds"]))
            elif result not in SETTLED:
                table = "open"
        self.counts[f"rows of {table}"] += 1
        rows = self.rows.setdefault(table, [])
        rows.append(cells)
        if len(rows) > 2 * MOST_ROWS:
            del rows[:-MOST_ROWS]

    def text(self, headline: str, report: Report) -> str:
        """All of it, totals first."""
        tables = [self._table(*described) for described in _TABLES if described[0] in self.rows]
        return "\n\n".join([headline, "\n".join(self._totals(report)), *tables])

    def _totals(self, report: Report) -> Iterator[str]:
        yield f"given      {_counted(report.totals, takes=False)}"
        yield f"taken      {_counted(report.totals, takes=True)}"
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        yield f"leavers    {printable(states) or 'nobody'}"
        if self.waits:
            middle, most = _span(median(self.waits)), _span(max(self.waits))
            yield f"           from the first attempt until it was done: {middle} (median), {most} at most"
        yield f"refused    {self.counts['refused']} requests"
        yield f"held       {self.counts['held']} requests"
        unsettled = self.counts["rows of unsettled"]
        yield f"unsettled  {unsettled} writes" + (": somebody should look at them, see below" if unsettled else "")

    def _table(self, name: str, title: str, columns: Sequence[str]) -> str:
        """Without columns that would be empty."""
        rows, count = self.rows[name][-MOST_ROWS:], self.counts[f"rows of {name}"]
        shown = [column for column in columns if any(row.get(column) not in (None, "") for row in rows)]
        head = tuple(_HEADS.get(column, column.upper()) for column in shown)
        more = f" (the last {len(rows)} of {count}; --csv has all)" if count > len(rows) else ""
        cells = (tuple(_cell(row, column) for column in shown) for row in rows)
        return f"{title}{more}\n" + aligned(head, cells, whole="DECISION")


_LEAVER = ("received", "done", "seconds", "attempts", "result", "tenant", "what", "group", "person", "hold", "decision")
_ACCESS = ("time", "tenant", "what", "group", "person", "credential", "result", "request")
_TABLES = (
    ("open", "ASKED FOR AND NOT DONE", _LEAVER),
    ("leavers", "LEAVERS", _LEAVER),
    ("access", "ACCESS GIVEN AND TAKEN", _ACCESS),
    ("declined", "REFUSED BY THE APPLICATION", ("time", "tenant", "what", "group", "person", "status", "request")),
    ("refused", "REFUSED AND HELD", ("tenant", "result", "reason", "count", "first", "last")),
    ("unsettled", "SOMEBODY SHOULD LOOK", ("time", "tenant", "operation", "group", "person", "request", "what")),
)
_MOMENTS = frozenset({"time", "received", "done", "first", "last"})
_HEADS = {"seconds": "AFTER"}


def _counted(totals: Mapping[str, int], *, takes: bool) -> str:
    parts = [
        f"{count} {effect.value}"
        for effect in Effect
        if effect.takes is takes and (count := totals.get(effect.value, 0))
    ]
    return ", ".join(parts) or "nothing"


def _cell(row: Cells, column: str) -> str:
    value = row.get(column, "")
    if column in _MOMENTS:
        return local(str(value)) or str(value)
    return _span(value) if column == "seconds" and isinstance(value, float) else str(value)


def _span(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 10 else shown_span(seconds)


def json_totals(report: Report, directories: Sequence[str]) -> dict[str, object]:
    """The last line of the report for machines."""
    return {
        "section": "totals",
        "since": report.since or None,
        "until": None if report.until > "9999" else report.until,
        "logs": list(directories),
        "executed": dict(sorted(report.totals.items())),
        "asked_for_and_not_known_to_be_done": dict(sorted(report.not_done().items())),
    }
