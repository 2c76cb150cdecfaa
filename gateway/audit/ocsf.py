"""A line of the audit log as an event of the Open Cybersecurity Schema Framework (OCSF, schema.ocsf.io). Pure.

    Account Change 3001     a user was created, changed, enabled, disabled or deleted, or was not
    Group Management 3006   so with a group and its members
    Entity Management 3004  a credential was put in, changed or taken out; other settings are in use
    Authentication 3002     a request was refused for its credential or its address
    Network Activity 4001   a connection came to nothing before any request
    API Activity 6003       everything else, so reads, other refusals, the gateway's own notices

An intent is API Activity as well, for nothing has changed yet: whoever counts changes counts each once. What has no
place in the class stands in `unmapped` as it is, so nothing of a line is lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import TypeAlias

import orjson

from gateway.audit.records import Record, number_of, read_record, text_of

VERSION = "1.4.0"
UNKNOWN, OTHER = 0, 99

_Part: TypeAlias = dict[str, object]

_ACCOUNT = {"create": 1, "activate": 2, "deactivate": 5, "delete": 6}
_PASSWORD_CHANGE = 3
_GROUP = {"members.add": 3, "members.remove": 4, "delete": 5, "create": 6}
_LOGON = 1
_ENTITY = {
    "credential-added": 1,
    "credential-changed": 3,
    "credential-rotated": 3,
    "credential-extended": 3,
    "credential-removed": 4,
    "credential-revoked": 4,
    "reload": 3,
}
_FAIL, _REFUSE = 4, 5  # a connection
_NO_PLACE = ("connections", "crowded-out")
_API = {"create": 1, "get": 2, "list": 2, "search": 2, "delete": 4}
_API_UPDATE = 3
_SUCCESS, _FAILURE = 1, 2
_OF_EVENT = {"notice": _SUCCESS, "segment": _SUCCESS, "connection": _FAILURE}
_INFORMATIONAL, _LOW, _MEDIUM = 1, 2, 3
_REFUSED_ENTRY = ("credential-", "source-forbidden", "too-many-failures")

# What the event holds elsewhere; `status` and `people` say more than the event does, and stay.
_PLACED = frozenset(
    {"seq", "time", "request", "address", "reason", "note", "method", "tenant", "credential", "failure"}
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A class of OCSF, and which activity of it."""

    category: int
    class_uid: int
    activity: int


def ocsf_event(line: bytes) -> bytes:
    """The event that stands for a line (without its newline): JSON, without a newline."""
    record = read_record(line)
    try:
        return _encode(_unreadable(line) if record is None else _event(record))
    except TypeError:  # nested more deeply than orjson writes, so none of ours
        return _encode(_unreadable(line))


def _event(record: Record) -> _Part:
    kind = _kind(record)
    event = _base(record, kind) | _parties(record, kind) | _of_class(record, kind)
    event["unmapped"] = {key: value for key, value in record.items() if key not in _PLACED}
    return event


def _encode(event: _Part) -> bytes:
    """ASCII, as the line was: control and bidirectional characters stay escapes."""
    plain = orjson.dumps(event)
    if plain.isascii() and b"\x7f" not in plain:
        return plain
    return json.dumps(event, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii")


def _unreadable(line: bytes) -> _Part:
    """The base event, for what somebody or something else has put into the log."""
    return _identity(_Kind(0, 0, OTHER)) | {
        "severity_id": _MEDIUM,
        "time": 0,
        "metadata": {"version": VERSION, "product": _product()},
        "raw_data": line.decode("utf-8", "backslashreplace"),
    }


def _kind(record: Record) -> _Kind:
    subject, _, verb = text_of(record, "operation").partition(".")
    event = text_of(record, "event")
    if event == "refusal" and text_of(record, "reason").startswith(_REFUSED_ENTRY):
        return _Kind(3, 3002, _LOGON)
    if event == "connection":
        return _Kind(4, 4001, _REFUSE if text_of(record, "failure") in _NO_PLACE else _FAIL)
    if event == "notice" and (activity := _ENTITY.get(text_of(record, "notice"))):
        return _Kind(3, 3004, activity)
    if event in ("outcome", "interrupted") and verb not in ("get", "list", "search"):
        if subject == "user":
            only_password = record.get("attributes") == ["password"]
            return _Kind(3, 3001, _PASSWORD_CHANGE if only_password else _ACCOUNT.get(verb, OTHER))
        if subject == "group":
            return _Kind(3, 3006, _GROUP.get(verb, OTHER))
    return _Kind(6, 6003, _API.get(verb, _API_UPDATE) if verb else OTHER)


def _identity(kind: _Kind) -> _Part:
    return {
        "category_uid": kind.category,
        "class_uid": kind.class_uid,
        "activity_id": kind.activity,
        "type_uid": 100 * kind.class_uid + kind.activity,
    }


def _base(record: Record, kind: _Kind) -> _Part:
    event = _identity(kind)
    if kind.activity == OTHER:  # it must be named then
        event["activity_name"] = _operation(record)
    status = number_of(record, "status")
    event |= {
        "time": _milliseconds(text_of(record, "time")),
        "severity_id": _severity(record),
        "status_id": _status_id(record),
        "metadata": _metadata(record),
    }
    if status:
        event["status_code"] = str(status)
    details = [text for text in (text_of(record, key) for key in ("failure", "reason", "note")) if text]
    if details:
        event["status_detail"] = ": ".join(details)
    return event


def _status_id(record: Record) -> int:
    """Whether it came to pass: an intent, and a write of whose end nobody knows, is unknown.

    What was executed is a success, even if its record came late and the client was told to come back (429).
    """
    if text_of(record, "outcome") == "unknown" or text_of(record, "event") == "intent":
        return UNKNOWN
    if text_of(record, "outcome") == "executed":
        return _SUCCESS
    status = number_of(record, "status")
    if not status:
        return _OF_EVENT.get(text_of(record, "event"), UNKNOWN)
    return _SUCCESS if status < 400 else _FAILURE


def _severity(record: Record) -> int:
    if text_of(record, "outcome") == "unknown":
        return _MEDIUM
    return _LOW if _status_id(record) == _FAILURE else _INFORMATIONAL


def _metadata(record: Record) -> _Part:
    sequence = number_of(record, "seq")
    metadata: _Part = {
        "version": VERSION,
        "product": _product(),
        "log_name": "audit",
        "uid": f"{text_of(record, 'instance')}/{sequence}",
        "sequence": sequence,
        "original_time": text_of(record, "time"),
    }
    for key, place in (("request", "correlation_uid"), ("tenant", "tenant_uid")):
        if text := text_of(record, key):
            metadata[place] = text
    return metadata


def _product() -> _Part:
    return {"name": "SCIM gateway", "vendor_name": "SCIM gateway"}


def _parties(record: Record, kind: _Kind) -> _Part:
    """Who asked, from where: the gateway itself, where nobody did. A connection has no actor yet."""
    credential, address = text_of(record, "credential"), text_of(record, "address")
    source: _Part = {
        "src_endpoint": {"ip": address} if _is_address(address) else {"name": address or _instance(record)}
    }
    if kind.class_uid == 4001:
        return source
    return source | {"actor": {"user": {"name": credential}} if credential else {"app_name": "scim-gateway"}}


def _is_address(text: str) -> bool:
    """Not so the "other" that stands for many addresses, nor the network that stands for an IPv6 caller."""
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _of_class(record: Record, kind: _Kind) -> _Part:
    resource = text_of(record, "resource")
    uid = resource.rpartition("/")[2] if resource.count("/") > 1 else text_of(record, "resource_id")
    match kind.class_uid:
        case 3001:
            return {"user": _user(record) or _named(uid, text_of(record, "resource_name"))}
        case 3006:
            group: _Part = {"group": _named(uid, text_of(record, "resource_name"))}
            user = _user(record)
            return group | {"user": user} if user else group
        case 3004:
            return {"entity": _entity(record)}
        case 4001:
            return {"dst_endpoint": {"name": _instance(record)}}
        case 3002:
            return {"user": {"name": "unknown"}, "service": {"name": "scim-gateway"}, "is_remote": True}
        case _:
            return {"api": {"operation": _operation(record)}} | _http(record)


def _http(record: Record) -> _Part:
    """What was asked and answered, as far as a request was one."""
    told: _Part = {}
    if method := text_of(record, "method"):
        path = text_of(record, "resource") or text_of(record, "path")
        told["http_request"] = {"http_method": method, "url": {"path": path}}
    if status := number_of(record, "status"):
        told["http_response"] = {"code": status}
    return told


def _user(record: Record) -> _Part | None:
    """The person whom it concerns, if it is one: the classes have a place for one only."""
    people = record.get("people")
    if not isinstance(people, list) or len(people) != 1 or not isinstance(people[0], dict):
        return None
    places = (("id", "uid"), ("userName", "name"), ("externalId", "uid_alt"))
    user = {place: people[0][key] for key, place in places if isinstance(people[0].get(key), str)}
    return user if "uid" in user or "name" in user else None


def _entity(record: Record) -> _Part:
    """The credential that a notice tells of, below its tenant; else the settings as a whole."""
    details = record.get("details")
    told = details if isinstance(details, dict) else {}
    tenant, credential = told.get("tenant"), told.get("credential")
    if isinstance(tenant, str) and isinstance(credential, str):
        return {"type": "credential", "name": credential, "uid": f"{tenant}/{credential}"}
    return {"type": "settings", "name": "settings"}


def _named(uid: str, name: str) -> _Part:
    named: _Part = {key: text for key, text in (("uid", uid), ("name", name)) if text}
    return named or {"name": "unknown"}


def _operation(record: Record) -> str:
    texts = (text_of(record, key) for key in ("operation", "notice", "method", "event"))
    return next((text for text in texts if text), "unknown")


def _instance(record: Record) -> str:
    return text_of(record, "instance") or "scim-gateway"


def _milliseconds(time: str) -> int:
    """Since 1970; 0 for what is no moment."""
    try:
        return int(datetime.fromisoformat(time).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
