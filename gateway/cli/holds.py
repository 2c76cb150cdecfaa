"""Holds as an operator reads them: what `guard.list` answers, as values and as a page. Pure but for the time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.cli.moments import shown, shown_span

OKTA_ATTEMPTS = 10  # of one task, by Okta's page on rate limits; then it fails for good
_UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Task:
    """One held operation; moments in Unix seconds."""

    id: str
    operation: str
    summary: str
    people: int
    attempts: int
    first_at: float | None
    last_at: float | None
    state: str

    @classmethod
    def of(cls, told: Mapping[str, object]) -> Task:
        """As an instance tells it; what it does not tell is empty."""
        return cls(
            id=text_of(told, "task"),
            operation=text_of(told, "operation"),
            summary=text_of(told, "summary"),
            people=number_of(told, "people"),
            attempts=number_of(told, "attempts"),
            first_at=moment_of(told, "first_at"),
            last_at=moment_of(told, "last_at"),
            state=text_of(told, "state"),
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """One wave and what became of it; moments in Unix seconds."""

    id: str
    tenant: str
    state: str  # held, approved, denied, expired
    tripped_at: float | None
    tripped_by: str
    expires_at: float | None
    counted: int  # people, when it tripped
    limit: int
    counts: Mapping[str, int]  # held, approved, denied, done -> tasks
    follow: int  # later writes to the same resources, which take nothing and wait their turn
    mode: str  # of the tenant's guard at present; "" when it is not told
    most_attempts: int
    last_chance: int  # tasks whose last attempt comes next
    decided_by: str
    decided_at: float | None
    reason: str
    tasks: tuple[Task, ...]

    @classmethod
    def of(cls, told: Mapping[str, object]) -> Hold:
        """As an instance tells it; what it does not tell is empty."""
        return cls(
            id=text_of(told, "id"),
            tenant=text_of(told, "tenant"),
            state=text_of(told, "state"),
            tripped_at=moment_of(told, "tripped_at"),
            tripped_by=text_of(told, "tripped_by"),
            expires_at=moment_of(told, "expires_at"),
            counted=number_of(told, "counted"),
            limit=number_of(told, "limit"),
            counts={state: number_of(told, state) for state in ("held", "approved", "denied", "done")},
            follow=number_of(told, "follow"),
            mode=text_of(told, "mode"),
            most_attempts=number_of(told, "most_attempts"),
            last_chance=number_of(told, "last_chance"),
            decided_by=text_of(told, "decided_by"),
            decided_at=moment_of(told, "decided_at"),
            reason=text_of(told, "reason"),
            tasks=tuple(Task.of(task) for task in objects_of(told, "tasks")),
        )


def holds_of(answer: Mapping[str, object]) -> tuple[Hold, ...]:
    """The holds of an answer to `guard.list`."""
    return tuple(Hold.of(hold) for hold in objects_of(answer, "holds"))


def page_of(holds: Sequence[Hold], now: float, *, with_tasks: bool) -> str:
    """The holds one below the other; `now` in Unix seconds."""
    if not holds:
        return "Nothing is held, and nothing was decided lately."
    pages = []
    for hold in holds:
        lines = [*_lines_of(hold, now)]
        if with_tasks:
            lines += _table(hold.tasks) if hold.tasks else ["  no tasks"]
        pages.append("\n".join(lines))
    return "\n\n".join(pages)


def _lines_of(hold: Hold, now: float) -> Iterator[str]:
    yield f"{hold.id}  tenant {hold.tenant}  {hold.state.upper()}"
    by = f" by {printable(hold.tripped_by)}" if hold.tripped_by else ""
    yield f"  tripped   {_since(hold.tripped_at, now)}{by}"
    yield f"  people    {hold.counted} would have lost access within the window; the limit is {hold.limit}"
    behind = f"; {hold.follow} wait behind them" if hold.follow else ""
    yield f"  tasks     {', '.join(f'{count} {state}' for state, count in hold.counts.items())}{behind}"
    if hold.counts["held"]:
        yield f"  attempts  up to {hold.most_attempts}; Okta gives a task up after {OKTA_ATTEMPTS}"
    if hold.last_chance:
        tasks = "1 task comes" if hold.last_chance == 1 else f"{hold.last_chance} tasks come"
        yield f"  WARNING   {tasks} for the last time soon: decide before, or they fail in Okta"
    if hold.state == "held" and hold.expires_at is not None:
        yield f"  waits     until {shown(hold.expires_at)} (in {shown_span(hold.expires_at - now)}), then it is denied"
    if hold.state == "held" and hold.mode in ("observe", "off"):
        yield f"  NOTE      the guard's mode is {hold.mode} now: what is held will be approved within seconds"
    if hold.decided_by or hold.decided_at is not None:
        yield f"  decided   by {hold.decided_by or _UNKNOWN}, {_since(hold.decided_at, now)}"
    if hold.reason:
        yield f"  reason    {hold.reason}"


def _table(tasks: Sequence[Task]) -> Iterator[str]:
    head = ("TASK", "STATE", "OPERATION", "PEOPLE", "ATTEMPTS", "FIRST", "LAST", "WHOM")
    rows = [head, *(_row(task) for task in tasks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(task: Task) -> tuple[str, ...]:
    moments = (_UNKNOWN if moment is None else shown(moment) for moment in (task.first_at, task.last_at))
    return (task.id, task.state, task.operation, str(task.people), str(task.attempts), *moments, task.summary)


def _since(moment: float | None, now: float) -> str:
    return _UNKNOWN if moment is None else f"{shown(moment)} ({shown_span(now - moment)} ago)"


# Reading what was told ------------------------------------------------------------------------------


def printable(text: str) -> str:
    """Text for a terminal, on one line.

    SECURITY: names come from the client; an escape sequence in one could rewrite what the operator decides on.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def text_of(told: Mapping[str, object], key: str) -> str:
    """A text that was told, for a terminal; "" for none."""
    value = told.get(key)
    return printable(value) if isinstance(value, str) else ""


def number_of(told: Mapping[str, object], key: str) -> int:
    """A whole number that was told; 0 for none."""
    value = told.get(key)
    return value if type(value) is int else 0  # True is an int too


def moment_of(told: Mapping[str, object], key: str) -> float | None:
    """A moment that was told, in Unix seconds."""
    value = told.get(key)
    return float(value) if isinstance(value, int | float) else None


def objects_of(told: Mapping[str, object], key: str) -> Iterator[Mapping[str, object]]:
    """The objects of a list that was told."""
    value = told.get(key)
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
