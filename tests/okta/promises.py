"""What a gateway promises, held against what was asked of it, what the application did, and what is on record. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.okta.application import Application

_ENDS = frozenset({"outcome", "refusal"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line on record."""

    at: float  # Unix seconds: from when on it was there
    said: Mapping[str, object]


@dataclass(slots=True)
class Asked:
    """One request as its client sees it."""

    method: str
    target: str
    at: float  # Unix seconds, as the next
    status: int | None = None
    answered_at: float = 0.0


def broken_promises(application: Application, asked: Mapping[str, Asked], record: Sequence[Entry]) -> list[str]:
    """One line for each thing that must not be; to be asked when nothing is under way."""
    intents = {str(entry.said["request"]): entry.at for entry in record if entry.said["event"] == "intent"}
    ends: dict[str, list[Entry]] = {request_id: [] for request_id in asked}
    for entry in record:
        if entry.said["event"] in _ENDS:
            ends[str(entry.said["request"])].append(entry)
    return [
        *(f"{each} was executed {count} times" for each, count in application.executions.items() if count > 1),
        *_acts_without_intent(application, intents),
        *(problem for each in asked for problem in _end_problems(each, asked[each], ends[each])),
        *_untrue_outcomes(application, ends),
    ]


def _acts_without_intent(application: Application, intents: Mapping[str, float]) -> list[str]:
    """No write may happen before it is on record that it was about to."""
    return [
        f"{act.request_id}: {act.method} was executed before its intent was on record"
        for act in application.acts
        if intents.get(act.request_id, float("inf")) > act.at
    ]


def _end_problems(request_id: str, asked: Asked, ends: Sequence[Entry]) -> list[str]:
    """Whatever was asked comes to one end, which is on record before anybody hears of it."""
    if len(ends) != 1:
        return [f"{request_id}: {len(ends)} ends are on record"]
    (end,) = ends
    if asked.status is None or end.at > asked.answered_at:
        return [f"{request_id}: answered before its end was on record, or not at all"]
    if end.said["status"] != asked.status:
        return [f"{request_id}: answered {asked.status}, and {end.said['status']} is on record"]
    return [f"{request_id}: the gateway failed"] if end.said.get("reason") == "gateway-fault" else []


def _untrue_outcomes(application: Application, ends: Mapping[str, Sequence[Entry]]) -> list[str]:
    """Of a write that came to an effect nobody may say that it did not, nor the other way round; "unknown" is true."""
    effects = {act.request_id for act in application.acts if act.status < 300}
    problems = []
    for request_id, entries in ends.items():
        for said in (entry.said for entry in entries if entry.said.get("method") != "GET"):
            if said["outcome"] != "unknown" and (said["outcome"] == "executed") != (request_id in effects):
                problems.append(f"{request_id}: {said['outcome']} is on record, which is untrue")
    return problems
