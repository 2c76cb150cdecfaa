"""What the published classes of OCSF 1.4 require is there, and nothing of a line is lost."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import lines
from gateway.audit.chain import Link, linked
from gateway.audit.merkle import Tree
from gateway.audit.ocsf import ocsf_event
from gateway.exchange import Delivery, Outcome, Stage, Trail, Unparsed
from gateway.refusal import Reason
from gateway.scim.addresses import Address, Kind
from gateway.scim.operations import NAMES, Who
from tests import worlds
from tests.audit import trails

# schema.ocsf.io: the base event's required attributes, and what each class adds to them.
BASE = {"activity_id": int, "category_uid": int, "class_uid": int, "metadata": dict, "severity_id": int, "time": int,
        "type_uid": int}  # fmt: skip
OF_CLASS: dict[int, dict[str, type]] = {
    0: {},
    3001: {"user": dict},
    3002: {"user": dict, "service": dict},
    3006: {"group": dict},
    6003: {"actor": dict, "api": dict, "src_endpoint": dict},
}
ACTIVITIES = {
    0: {99},
    3001: {*range(1, 13), 99},
    3002: {*range(1, 7), 99},
    3006: {*range(1, 9), 99},
    6003: {1, 2, 3, 4, 99},
}
ONE_OF = {
    "user": ("account", "name", "uid"),
    "group": ("name", "uid"),
    "service": ("name", "uid"),
    "src_endpoint": ("ip", "name", "uid", "hostname"),
    "actor": ("user", "app_name"),
}


def numbered(line: bytes) -> bytes:
    return linked(Link(6), [line])[0].rstrip(b"\n")


def outcome(**changes: Any) -> bytes:
    return numbered(lines.outcome_line(trails.served(**changes), now=worlds.NOW, instance="gw-1"))


def refused(reason: Reason) -> bytes:
    return numbered(lines.outcome_line(trails.turned_away(reason), now=worlds.NOW, instance="gw-1"))


def event_of(line: bytes) -> dict[str, Any]:
    """The event, with all that its class requires."""
    event: dict[str, Any] = json.loads(ocsf_event(line))
    required = BASE | OF_CLASS[event["class_uid"]]
    assert {key: type(event.get(key)) for key in required} == required
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000
    assert event["activity_id"] in ACTIVITIES[event["class_uid"]]
    assert event["activity_id"] != 99 or event["class_uid"] == 0 or event["activity_name"]
    assert event["metadata"]["version"] == "1.4.0"
    assert set(event["metadata"]["product"]) == {"name", "vendor_name"}
    assert all(set(event[part]) & set(keys) for part, keys in ONE_OF.items() if part in event)
    return event


def trail_of(name: str) -> Trail:
    group = name.startswith("group")
    address = Address(Kind.GROUPS, "Groups", "g1") if group else Address(Kind.USERS, "Users", "1")
    writes = name.rpartition(".")[2] not in ("get", "list", "search")
    return trails.served(operation=trails.operation(name, address=address, writes=writes, people=(Who("1", "ada"),)))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_operation_has_a_whole_event(name: str) -> None:
    trail = trail_of(name)
    for line in (
        lines.intent_line(trail, now=worlds.NOW, instance="gw-1"),
        lines.outcome_line(trail, now=worlds.NOW, instance="gw-1"),
    ):
        assert event_of(numbered(line))["unmapped"]["operation"] == name


@pytest.mark.parametrize(
    ("name", "type_uid"),
    [
        ("user.create", 300101), ("user.activate", 300102), ("user.deactivate", 300105), ("user.delete", 300106),
        ("user.patch", 300199), ("user.replace", 300199),
        ("group.members.add", 300603), ("group.members.remove", 300604), ("group.delete", 300605),
        ("group.create", 300606), ("group.rename", 300699),
        ("user.get", 600302), ("group.list", 600302), ("discovery.get", 600302), ("extension.create", 600301),
    ],
)  # fmt: skip
def test_what_was_done_has_its_class_and_activity(name: str, type_uid: int) -> None:
    line = numbered(lines.outcome_line(trail_of(name), now=worlds.NOW, instance="gw-1"))

    assert event_of(line)["type_uid"] == type_uid


def test_an_intent_is_no_change_yet() -> None:
    line = lines.intent_line(trails.served(operation=trails.write()), now=worlds.NOW, instance="gw-1")
    event = event_of(numbered(line))

    assert event["class_uid"] == 6003
    assert event["status_id"] == 0


def test_the_beginning_of_a_file_is_no_failure() -> None:
    event = event_of(numbered(lines.segment_line(2, 7, Tree(), now=worlds.NOW, instance="gw-1")))

    assert (event["type_uid"], event["activity_name"], event["status_id"]) == (600399, "segment", 1)


def test_an_interrupted_write_may_be_a_change() -> None:
    intent = json.loads(lines.intent_line(trail_of("user.deactivate"), now=worlds.NOW, instance="gw-1"))
    event = event_of(numbered(lines.interrupted_line(intent, now=worlds.NOW, instance="gw-1")))

    assert (event["type_uid"], event["status_id"], event["severity_id"]) == (300105, 0, 3)
    assert event["user"] == {"uid": "1", "name": "ada"}


def test_a_password_alone_is_a_password_change() -> None:
    assert event_of(outcome(operation=trails.operation("user.patch", attributes=("password",))))["activity_id"] == 3


@pytest.mark.parametrize("reason", [r for r in Reason if r.slug.startswith("credential-")])
def test_a_refused_credential_is_a_failed_authentication(reason: Reason) -> None:
    event = event_of(refused(reason))

    assert (event["class_uid"], event["status_id"]) == (3002, 2)
    assert event["src_endpoint"] == {"ip": "198.51.100.7"}
    assert event["status_detail"] == f"{reason.slug}: no such credential"


@pytest.mark.parametrize(("reason", "class_uid"), [(Reason.SOURCE_FORBIDDEN, 3002), (Reason.HOST_FOREIGN, 6003)])
def test_other_refusals_are_no_authentication(reason: Reason, class_uid: int) -> None:
    assert event_of(refused(reason))["class_uid"] == class_uid


def test_a_change_says_of_whom_by_whom_and_when() -> None:
    event = event_of(outcome(operation=trails.write(people=(Who("1", "ada@example.com", "00u1"),))))

    assert event["user"] == {"uid": "1", "name": "ada@example.com", "uid_alt": "00u1"}
    assert event["actor"] == {"user": {"name": "okta-2027"}}
    assert event["time"] == worlds.NOW * 1000
    assert event["metadata"]["uid"] == "gw-1/7"


def test_a_write_whose_end_nobody_knows_is_neither_success_nor_failure() -> None:
    trail = trails.served(operation=trails.write(), delivery=trails.undelivered(Stage.SENT), answer=None)
    event = event_of(numbered(lines.outcome_line(trail, now=worlds.NOW, instance="gw-1")))

    assert trail.outcome is Outcome.UNKNOWN
    assert (event["status_id"], event["severity_id"]) == (0, 3)


def test_what_is_no_operation_has_an_event_too() -> None:
    unparsed = Unparsed(worlds.request().id, 1.0, "198.51.100.7", Reason.HEAD_MALFORMED, "no head")
    for line in (
        lines.notice_line("start", {"version": "1"}, now=worlds.NOW, instance="gw-1"),
        lines.segment_line(2, 7, Tree(), now=worlds.NOW, instance="gw-1"),
        lines.suppressed_line("other", 3, now=worlds.NOW, instance="gw-1"),
        lines.unparsed_line(unparsed, now=worlds.NOW, instance="gw-1"),
    ):
        assert event_of(numbered(line))["class_uid"] == 6003


VALUES = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=4)
KEYS = ("seq", "time", "event", "operation", "status", "reason", "people", "resource", "address", "credential",
        "instance", "notice", "prev", "checkpoint", "unmapped", "outcome")  # fmt: skip


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_whatever_a_line_holds_its_event_is_whole(record: dict[str, Any]) -> None:
    event = event_of(orjson.dumps(record))

    for key in ("prev", "checkpoint", "people", "outcome"):
        assert event["unmapped"].get(key) == record.get(key)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[1]", b"\xff\0\x1b[2J\n", b'"text"', b'{"a":NaN}', b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"]
)
def test_what_is_no_line_of_ours_is_kept_as_it_is(line: bytes) -> None:
    event = event_of(line)

    assert event["class_uid"] == 0
    assert event["raw_data"] == line.decode("utf-8", "backslashreplace")


def test_an_event_is_one_line_of_plain_text() -> None:
    hostile = 'ada\n{"seq":8}\x1b[2J\u202e\udce9'
    event = ocsf_event(outcome(operation=trails.write(people=(Who("1", hostile),)), delivery=Delivery((), None, None)))

    assert event.isascii()
    assert b"\n" not in event
    assert b"\x1b" not in event
