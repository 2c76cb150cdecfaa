"""One event, one line of JSON: what the audit log says of requests, strangers and the gateway itself. Pure.

Every line is ASCII (control, bidirectional and other odd characters show as escapes), at most MAX_LINE_BYTES
long, ends in a newline and holds these keys; what is not known is left out:

    seq, v, time, instance    the line's number, without gaps; 2 (1: without `prev`); RFC 3339 in UTC; which instance
    event                     intent      a write is about to leave
                              outcome     what became of a request that was understood and allowed
                              refusal     a request was turned away before that
                              unparsed    bytes never became a request
                              connection  a connection came to nothing before any request: `failure` says how
                              suppressed  `count` refusals of strangers at `address` have no line of their own
                              notice      something about the gateway: `notice` says what, `details` more
                              segment     a file begins: `segment` is its number, `first` its first line's, `size` and
                                          `edge` the Merkle tree of all chained lines before (see `audit.merkle`)
                              interrupted a write was about to leave when the gateway ended: line `intent` says more
    request, address          the request's id; the network address it came from
    settings                  a digest of the settings that the request was judged by, as the notices `start` and
                              `reload` name them
    tenant, credential        the tenant that was asked for; the name of the credential that was accepted
    method, path, query       as it came; names of query parameters only; path only where `resource` is not known
    operation, resource       the operation's name; the SCIM address below the tenant's path
    resource_name             the displayName or userName that a write gives
    resource_id               the id that the application gave to what was created
    people                    whom it concerns: objects of id, userName, externalId, as the request gives them; in the
                              outcome of an executed write to a user also what only the application's answer says
    attributes, dropped       names of the attributes written; of those that the policy took out
    values                    what the write gives to those attributes that `tenants.*.audit.values` lists: objects of
                              attribute and value (null: taken away), lists and objects as their JSON
    status, reason, note      what the client got; the refusal's slug; for operators
    guard                     what the guard made of a write: verdict (pass, hold, deny, would-hold, exempt), loss
                              (deactivated, deleted, removed), people (how many), counted, limit, hold, attempts,
                              note (why it could not tell whom, and let pass what it only observes)
    lost                      ids of the people who lose access by it
    attempts, outcome         node, stage, seconds, status, note of each; executed, not-executed or unknown
    retry_after               when the client was told to come back, in seconds
    attempt, gap_seconds      the how manieth try at what was put off before, and how long after the last one it came
    seconds                   how long each stage took
    bytes_in, bytes_out       sizes of the request's and the answer's body
    people_total, ...         how many there were, when a list was too long to be shown whole
    prev                      the digest of the line before; always the last key (see `audit.chain`)

Values of other attributes, bodies, query values and credentials never get here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote

import orjson

from gateway.audit.merkle import Tree
from gateway.audit.records import Record, number_of, read_record
from gateway.exchange import Answer, Attempt, Judgement, Operation, Trail, Unparsed
from gateway.scim.operations import Who

MAX_LINE_BYTES = 65_536  # what log shippers take as one line
_LINK_BYTES = 128  # what the chain adds at most: the number and `prev`

Value: TypeAlias = "str | int | float | bool | tuple[Value, ...] | Mapping[str, Value] | None"

# (characters of a string, items of a list): the first that gives a line short enough is taken; the last always does.
_BOUNDS = ((1024, 256), (256, 64), (64, 8), (16, 4))
_CUT = "...(cut)"
_STRANGERS_BYTES = 200  # of a text that a stranger wrote
_OUR_TOKEN = re.compile(r"scimgw_[0-9A-Za-z_]+")  # somebody may have put one into a path
_SCIM_PARAMETERS = (
    "filter",
    "attributes",
    "excludedattributes",
    "sortby",
    "sortorder",
    "startindex",
    "count",
    "cursor",
)
_ENTRA_FLAGS = (
    "aadoptscim062020",
    "azureadscimpatch2017",
    "azureadscimpatch062020",
)  # how it was told to spell a PATCH
_INTERRUPTED = ("request", "address", "tenant", "credential", "operation", "resource", "people", "lost")
_PARAMETERS = frozenset((*_SCIM_PARAMETERS, *_ENTRA_FLAGS))


def intent_line(trail: Trail, *, now: float, instance: str) -> bytes:
    """A write is about to leave; only for a trail with an operation. `now` in Unix seconds."""
    record = _head("intent", now, instance)
    _ask(record, trail)
    return _line(record)


def outcome_line(trail: Trail, *, now: float, instance: str, repeat: tuple[int, float] | None = None) -> bytes:
    """What became of a request. `now` in Unix seconds; `repeat` is what `state.repeats` knows of its task."""
    record = _head("outcome" if trail.operation else "refusal", now, instance)
    _ask(record, trail)
    if repeat:
        record["attempt"], record["gap_seconds"] = repeat[0], round(repeat[1], 3)
    if created := trail.created_id:
        record["resource_id"] = created
    if trail.answer:
        _tell_answer(record, trail.answer)
    reason, note = trail.reason, _note(trail)
    if reason:
        record["reason"] = reason.slug
    if note:
        record["note"] = note
    if trail.delivery and trail.delivery.attempts:
        record["attempts"] = tuple([_attempt(attempt) for attempt in trail.delivery.attempts])
    record["outcome"] = trail.outcome.value
    # Here and below as round(seconds, 6) does it, at half the price.
    record["seconds"] = {stage: round(seconds * 1e6) / 1e6 for stage, seconds in trail.seconds.items()}
    record["bytes_in"] = trail.body_bytes
    return _line(record)


def unparsed_line(unparsed: Unparsed, *, now: float, instance: str) -> bytes:
    """Bytes never became a request. `now` in Unix seconds."""
    record = _head("unparsed", now, instance) | {
        "request": unparsed.id,
        "address": unparsed.address,
        "status": unparsed.reason.status,
        "reason": unparsed.reason.slug,
    }
    if unparsed.note:
        record["note"] = unparsed.note
    return _line(record)


def connection_line(address: str, failure: str, *, now: float, instance: str) -> bytes:
    """A connection came to nothing: `failure` is a name of `server.listener`, and of the metrics."""
    return _line(_head("connection", now, instance) | {"address": address, "failure": failure})


def suppressed_line(address: str, count: int, *, now: float, instance: str) -> bytes:
    """So many refusals of strangers at an address ("other" for many addresses) have no line of their own."""
    return _line(_head("suppressed", now, instance) | {"address": address, "count": count})


def notice_line(kind: str, details: Mapping[str, Value], *, now: float, instance: str) -> bytes:
    """Something happened to the gateway itself: it was started, stopped, given new settings."""
    return _line(_head("notice", now, instance) | {"notice": kind, "details": details})


def segment_line(number: int, first: int, tree: Tree, *, now: float, instance: str) -> bytes:
    """A segment begins with line `first`, after a tree of all chained lines so far."""
    edge = tuple([node.hex() for node in tree.edge])
    begun: dict[str, Value] = {"segment": number, "first": first, "size": tree.size, "edge": edge}
    return _encode(_head("segment", now, instance) | begun) + b"\n"


def interrupted_line(intent: Record, *, now: float, instance: str) -> bytes:
    """What an intent asked for was under way when the gateway ended, and nothing on record says what became of it."""
    told = {key: _value(intent[key]) for key in _INTERRUPTED if key in intent}
    ending: dict[str, Value] = {"intent": number_of(intent, "seq"), "outcome": "unknown"}
    return _line(_head("interrupted", now, instance) | told | ending)


def read_sequence(line: bytes) -> int | None:
    """The number of a whole line of ours, without its newline; None for anything else."""
    record = read_record(line)
    sequence = number_of(record, "seq") if record is not None else 0
    return sequence if sequence > 0 else None


def _head(event: str, now: float, instance: str) -> dict[str, Value]:
    second, microseconds = divmod(round(now * 1e6), 1_000_000)
    return {"v": 2, "time": f"{_second(second)}.{microseconds:06}Z", "instance": instance, "event": event}


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    """A Unix second in UTC; each of them is asked for by hundreds of lines."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _ask(record: dict[str, Value], trail: Trail) -> None:
    """Put down what was asked for, by whom."""
    request, operation = trail.request, trail.operation
    path, _, query = request.target.partition("?")
    record["request"] = request.id
    record["address"] = request.address
    if trail.settings:
        record["settings"] = trail.settings
    if trail.tenant_name:
        record["tenant"] = trail.tenant_name
    if trail.client:
        record["credential"] = trail.client.credential
    # SECURITY: strangers have so many lines a minute, whose length must not be theirs to choose.
    record["method"] = request.method if trail.client else _short(request.method)
    if query:
        record["query"] = _parameters(query)
    if operation:
        _tell_operation(record, trail, operation)
        if trail.judgement is not None:
            record["guard"] = _guard(trail.judgement)
            if trail.judgement.lost:
                record["lost"] = trail.judgement.lost
    elif shown := _without_secrets(path.partition("#")[0]):
        record["path"] = shown if trail.client else _short(shown)


def _tell_operation(record: dict[str, Value], trail: Trail, operation: Operation) -> None:
    record["operation"] = operation.name
    record["resource"] = operation.address.path or "/"
    if operation.resource_name:
        record["resource_name"] = operation.resource_name
    if people := _people(trail):
        record["people"] = people
    if operation.attributes:
        record["attributes"] = operation.attributes
    if operation.values:
        record["values"] = tuple([{"attribute": name, "value": value} for name, value in operation.values])
    if operation.dropped:
        record["dropped"] = operation.dropped


def _tell_answer(record: dict[str, Value], answer: Answer) -> None:
    record["status"] = answer.status
    record["bytes_out"] = len(answer.body)
    for name, value in answer.fields if answer.status in (429, 503) else ():
        if name == "Retry-After":
            record["retry_after"] = int(value)


def _note(trail: Trail) -> str:
    if trail.refusal:
        return trail.refusal.note
    return trail.delivery.note if trail.delivery else ""


def _guard(judgement: Judgement) -> dict[str, Value]:
    told: dict[str, Value] = {"verdict": judgement.verdict.value}
    if judgement.loss:
        told |= {"loss": judgement.loss, "people": len(judgement.lost)}
        told |= {"counted": judgement.counted, "limit": judgement.limit}
    if judgement.hold is not None:
        told |= {"hold": judgement.hold, "attempts": judgement.attempts}
    if judgement.note and judgement.reason is None:  # else the line has it as the refusal's
        told["note"] = judgement.note
    return told


def _people(trail: Trail) -> tuple[dict[str, Value], ...]:
    return tuple([_person(who) for who in trail.people])


def _person(who: Who) -> dict[str, Value]:
    told: dict[str, Value] = {}
    if who.id:
        told["id"] = who.id
    if who.user_name:
        told["userName"] = who.user_name
    if who.external_id:
        told["externalId"] = who.external_id
    return told


def _attempt(attempt: Attempt) -> dict[str, Value]:
    told: dict[str, Value] = {
        "node": attempt.node,
        "stage": attempt.stage.value,
        "seconds": round(attempt.seconds * 1e6) / 1e6,
    }
    if attempt.status is not None:
        told["status"] = attempt.status
    if attempt.note:
        told["note"] = attempt.note
    return told


def _parameters(query: str) -> tuple[str, ...]:
    """The names of SCIM's query parameters and Entra's flags; any other may be a secret, and shows as "other".

    # SECURITY: each name once, or a stranger could fill a line with `filter`, `Filter`, `FILTER` and so on.
    """
    if not query:
        return ()
    names: dict[str, str] = {}
    for part in query.split("&"):
        name = part.partition("=")[0]
        known = name.lower() in _PARAMETERS
        if part:
            names.setdefault(name.lower() if known else "other", name if known else "other")
    return tuple(sorted(names.values()))


def _without_secrets(target: str) -> str:
    """A target as it came, but for the user and password that an absolute one may hold (RFC 3986 section 3.2.1).

    One that hides a token of ours behind escapes is not shown; a plain one is, without the token.
    """
    if "%" in target and _OUR_TOKEN.search(unquote(target)):
        return "(hidden: it holds a token)"
    if target.startswith("/") and not target.startswith("//"):
        return target
    return target.rpartition("@")[2]


def _line(record: Mapping[str, Value]) -> bytes:
    line = _encode_plain(record)
    if line is None:
        for max_chars, max_items in _BOUNDS:
            line = _encode(_bounded(record, max_chars, max_items))
            if len(line) < MAX_LINE_BYTES - _LINK_BYTES:
                break
    return (line or b"") + b"\n"


def _encode_plain(record: Mapping[str, Value]) -> bytes | None:
    """Most lines at a third of the price: None for one that needs a closer look.

    A line no longer than the longest string allowed holds no string and no list that is too long.
    """
    try:
        line = orjson.dumps(record)
    except TypeError:  # a lone surrogate
        return None
    plain = len(line) <= _BOUNDS[0][0] and line.isascii() and b"\x7f" not in line and b"scimgw_" not in line
    return line if plain else None


def _encode(record: Mapping[str, Value]) -> bytes:
    text = json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f").encode("ascii")


def _bounded(record: Mapping[str, Value], max_chars: int, max_items: int) -> dict[str, Value]:
    bounded: dict[str, Value] = {}
    for key, value in record.items():
        bounded[key] = _bounded_value(value, max_chars, max_items)
        if isinstance(value, tuple) and len(value) > max_items:
            bounded[f"{key}_total"] = len(value)
    return bounded


def _value(read: object, depth: int = 3) -> Value:
    """What a line that was read holds, as a value of a new one; without what is nested deeper than we ever nest."""
    if isinstance(read, str | int | float):
        return read
    if isinstance(read, list) and depth:
        return tuple([_value(item, depth - 1) for item in read])
    if isinstance(read, dict) and depth:
        return {str(key): _value(item, depth - 1) for key, item in read.items()}
    return None


def _bounded_value(value: Value, max_chars: int, max_items: int) -> Value:
    if isinstance(value, str):
        return _harmless(value, max_chars)
    if isinstance(value, tuple):
        return tuple(_bounded_value(item, max_chars, max_items) for item in value[:max_items])
    if isinstance(value, Mapping):
        return _bounded(value, max_chars, max_items)
    return value


def _short(text: str) -> str:
    """A stranger's text, cut to so much as is written with _STRANGERS_BYTES: some characters take twelve."""
    kept = text[:_STRANGERS_BYTES]
    while len(_encode({"": _harmless(kept, _STRANGERS_BYTES)})) > _STRANGERS_BYTES + len('{"":""}'):
        kept = kept[: len(kept) * 7 // 8]
    return kept if kept == text else kept + _CUT


def _harmless(text: str, max_chars: int) -> str:
    if len(text) > max_chars:
        text = text[:max_chars] + _CUT
    if not text.isascii():  # a lone surrogate stands for a byte that is no UTF-8; many JSON readers stumble over one
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return _OUR_TOKEN.sub("scimgw_(hidden)", text) if "scimgw_" in text else text
