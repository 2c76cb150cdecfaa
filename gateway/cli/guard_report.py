"""What the guard did, read from the audit log: how much passed or was held, the busiest window, and a fitting limit.

A reduction is a write that takes access from somebody. A client tries a held one again and again: however often it
comes, it counts once, at its first attempt, for that is when it would have passed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import orjson

from gateway.cli.holds import printable
from gateway.cli.moments import shown, shown_span

DEFAULT_WINDOW_SECONDS = 3600.0
VERDICTS = ("pass", "hold", "deny", "would-hold", "exempt")
_PUT_OFF = ("hold", "deny")
_MARK = (
    b'"guard":{'  # what a line of interest holds, and a stage of that name does not; reading all costs many times more
)


@dataclass(frozen=True, slots=True)
class Reduction:
    """One request that takes access from somebody, as the record tells it."""

    at: float  # Unix seconds
    request: str
    tenant: str
    verdict: str
    task: tuple[str, str]  # the operation's name and its resource: the same for every attempt of one task
    people: frozenset[str]  # ids; "?..." for each whom the record counts and does not name
    limit: int
    outcome: str  # executed, not-executed, unknown; "" when it is not on record

    @property
    def took_access(self) -> bool:
        """Whether somebody lost access by it, as far as is known; in doubt they did."""
        return self.verdict not in _PUT_OFF and self.outcome != "not-executed"


@dataclass(frozen=True, slots=True)
class Found:
    """The reductions of a log in order of time, and how many lines that might tell of more cannot be read."""

    reductions: tuple[Reduction, ...]
    unreadable: int


@dataclass(frozen=True, slots=True)
class TenantReport:
    """What the guard did for one tenant."""

    tasks: Mapping[str, int]  # verdict -> reductions; attempts of one task count once
    attempts: int  # requests put off, all attempts counted; one that was denied is over
    people: int  # distinct, who lost access; exempt groups aside
    window_seconds: float
    busiest_people: int  # distinct, who lost access or would have, had nothing been held, within one window
    busiest_at: float | None  # where that window ends
    limit: int | None  # the lowest that was in force
    unnamed: bool  # the record counts people whom it does not name, so numbers of people may be too high


# Reading -------------------------------------------------------------------------------------------


def read_reductions(directory: Path, since: float) -> Found:
    """The reductions that the log in `directory` tells of from `since` (Unix seconds) on.

    Raises:
        OSError: a file cannot be read, or there is no log.
    """
    files = sorted(directory.glob("audit-*.jsonl"))
    if not files:
        raise OSError(None, "there is no audit log (audit-*.jsonl)", str(directory))
    by_request: dict[str, Reduction] = {}
    unreadable = 0
    for file in files:
        if file.stat().st_mtime < since:  # written to for the last time before
            continue
        with file.open("rb") as lines:
            for line in lines:
                if _MARK not in line:
                    continue
                told = _reduction(line)
                if told is None:
                    unreadable += 1
                elif told.at >= since and told.people:  # nobody: it only waited behind another write
                    by_request[told.request] = _merged(by_request.get(told.request), told)
    return Found(tuple(sorted(by_request.values(), key=lambda reduction: reduction.at)), unreadable)


def _merged(intent: Reduction | None, told: Reduction) -> Reduction:
    """One reduction of the two lines of a write that left: its intent, then its outcome."""
    if intent is None:
        return told
    people = intent.people if len(intent.people) >= len(told.people) else told.people
    return replace(told, at=intent.at, people=people)


def _reduction(line: bytes) -> Reduction | None:
    """What a line tells; None for a torn one, or one that is not understood."""
    try:
        record = orjson.loads(line)
        guard = record["guard"]
        lost = [str(person) for person in record.get("lost", ())]
        total = int(record.get("lost_total") or max(len(lost), int(guard.get("people") or 0)))
        task = (str(record.get("operation", "")), str(record.get("resource", "")))
        unnamed = [f"?{task[1]}?{number}" for number in range(total - len(set(lost)))]
        return Reduction(
            at=datetime.fromisoformat(record["time"]).timestamp(),
            request=str(record["request"]),
            tenant=str(record["tenant"]),
            verdict=str(guard["verdict"]),
            task=task,
            people=frozenset((*lost, *unnamed)),
            limit=int(guard.get("limit") or 0),
            outcome=str(record.get("outcome") or ""),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


# Reckoning -----------------------------------------------------------------------------------------


def reckon(reductions: Iterable[Reduction], window_seconds_of: Callable[[str], float]) -> dict[str, TenantReport]:
    """Tenant -> what the guard did; `reductions` in order of time, `window_seconds_of` by a tenant's name."""
    by_tenant: dict[str, list[Reduction]] = {}
    for reduction in reductions:
        by_tenant.setdefault(reduction.tenant, []).append(reduction)
    return {tenant: _reckon_one(told, window_seconds_of(tenant)) for tenant, told in sorted(by_tenant.items())}


def _reckon_one(reductions: Sequence[Reduction], window_seconds: float) -> TenantReport:
    first = [reduction for reduction in _first_attempts(reductions) if reduction.verdict != "exempt"]
    busiest_people, busiest_at = busiest_window(first, window_seconds)
    limits = [reduction.limit for reduction in reductions if reduction.limit]
    took = [reduction.people for reduction in reductions if reduction.took_access and reduction.verdict != "exempt"]
    return TenantReport(
        tasks=_tasks_by_verdict(reductions),
        attempts=sum(reduction.verdict == "hold" for reduction in reductions),
        people=len(frozenset().union(*took)),
        window_seconds=window_seconds,
        busiest_people=busiest_people,
        busiest_at=busiest_at,
        limit=min(limits, default=None),
        unnamed=any(person.startswith("?") for reduction in reductions for person in reduction.people),
    )


def _tasks_by_verdict(reductions: Sequence[Reduction]) -> dict[str, int]:
    counts = Counter(r.verdict for r in reductions if r.verdict not in _PUT_OFF)
    for verdict in _PUT_OFF:
        counts[verdict] = len({(r.task, r.people) for r in reductions if r.verdict == verdict})
    return {verdict: counts[verdict] for verdict in VERDICTS}


def _first_attempts(reductions: Iterable[Reduction]) -> Iterator[Reduction]:
    """Each task once: an attempt at what was held before is no news, until it passed or was denied."""
    waiting: set[tuple[tuple[str, str], frozenset[str]]] = set()
    for reduction in reductions:
        key = (reduction.task, reduction.people)
        if key not in waiting:
            yield reduction
        if reduction.verdict == "hold":
            waiting.add(key)
        else:
            waiting.discard(key)


def busiest_window(reductions: Iterable[Reduction], window_seconds: float) -> tuple[int, float | None]:
    """The most distinct people within one window, and the moment it ends; `reductions` in order of time. Pure."""
    inside: deque[Reduction] = deque()
    counts: Counter[str] = Counter()
    most, ends_at = 0, None
    for reduction in reductions:
        inside.append(reduction)
        counts.update(reduction.people)
        while inside[0].at <= reduction.at - window_seconds:
            for person in inside.popleft().people:
                counts[person] -= 1
                if not counts[person]:
                    del counts[person]
        if len(counts) > most:
            most, ends_at = len(counts), reduction.at
    return most, ends_at


# Telling -------------------------------------------------------------------------------------------


def as_json_object(tenants: Mapping[str, TenantReport], since: float, unreadable: int) -> dict[str, object]:
    """What `guard report --json` prints."""
    return {
        "since": since,
        "unreadable_lines": unreadable,
        "tenants": {
            name: {
                "reductions": dict(told.tasks),
                "attempts_put_off": told.attempts,
                "people": told.people,
                "busiest_window": {
                    "people": told.busiest_people,
                    "seconds": told.window_seconds,
                    "ends_at": told.busiest_at,
                },
                "limit": told.limit,
                "fitting_limit": told.busiest_people,
                "people_may_be_fewer": told.unnamed,
            }
            for name, told in tenants.items()
        },
    }


def page_of_report(tenants: Mapping[str, TenantReport], since: float, unreadable: int) -> str:
    """The same for people."""
    blocks = [f"Since {shown(since)}:"]
    if unreadable:
        blocks.append(f"{unreadable} lines cannot be read (half-written, or damaged) and are not in these numbers.")
    blocks += ["\n".join(_tenant_lines(name, told)) for name, told in tenants.items()]
    if not tenants:
        blocks.append("The record tells of no write that takes access from anybody.")
    return "\n\n".join(blocks)


def _tenant_lines(name: str, told: TenantReport) -> Iterator[str]:
    tasks = told.tasks
    yield f"tenant {printable(name)}"
    yield f"  passed           {tasks['pass']} reductions; {tasks['exempt']} more in exempt groups"
    yield f"  held             {tasks['hold']} tasks; {told.attempts} attempts put off in all"
    yield f"  denied           {tasks['deny']} tasks, when the client tried them again"
    yield f"  would have held  {tasks['would-hold']} reductions (mode observe)"
    yield f"  lost access      {told.people} people"
    if told.busiest_at is not None:
        window = shown_span(told.window_seconds)
        yield f"  busiest window   {told.busiest_people} people within {window}, up to {shown(told.busiest_at)}"
        limit = f"; the lowest limit in force was {told.limit}" if told.limit else ""
        yield f"  fitting limit    {told.busiest_people} would have held nothing{limit}"
    if told.unnamed:
        yield "  note             some lines name only a part of whom they count: people may be fewer"
