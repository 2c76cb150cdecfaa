"""Every event is one that OCSF 1.4's published schema takes, and nothing of a line is lost.

The schema is the one of ocsf-json-schema, which brings schema.ocsf.io's own files. py-ocsf-models 0.10 has no class but
findings, asks of a user what the schema leaves open (an account), and pins another email-validator than the lock.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from gateway.audit import lines
from gateway.audit.chain import Link, linked
from gateway.audit.merkle import Tree
from gateway.audit.ocsf import ocsf_event
from gateway.exchange import Answer, Delivery, Outcome, Stage, Trail, Unparsed
from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Address, Kind
from gateway.scim.operations import NAMES, Who
from tests import worlds
from tests.audit import schema, trails

SCHEMA = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.4.0"))  # as schema.ocsf.io publishes it
CLASSES = (0, 3001, 3002, 3004, 3006, 4001, 6003)


def validator(class_uid: int) -> Draft202012Validator:
    name = SCHEMA.lookup_class_name_from_uid(class_uid=class_uid)
    return Draft202012Validator(SCHEMA.get_class_schema(class_name=name, profiles=[]))


VALIDATORS = {class_uid: validator(class_uid) for class_uid in CLASSES}


def numbered(line: bytes) -> bytes:
    whole = linked(Link(6), [line])[0].rstrip(b"\n")
    schema.check(json.loads(whole))
    return whole


def outcome(**changes: Any) -> bytes:
    return numbered(lines.outcome_line(trails.served(**changes), now=worlds.NOW, instance="gw-1"))


def refused(reason: Reason) -> bytes:
    return numbered(lines.outcome_line(trails.turned_away(reason), now=worlds.NOW, instance="gw-1"))


def event_of(line: bytes) -> dict[str, Any]:
    """The event, which the published schema of its class takes as it is: nothing missing, nothing beyond."""
    event: dict[str, Any] = json.loads(ocsf_event(line))
    VALIDATORS[event["class_uid"]].validate(event)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000
    assert event["activity_id"] != 0
    assert event["activity_id"] != 99 or event["class_uid"] == 0 or event["activity_name"]
    assert event["metadata"]["version"] == "1.4.0"
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


@pytest.mark.parametrize(
    ("failure", "type_uid"),
    [("not-tls", 400104), ("timeout", 400104), ("connections", 400105), ("crowded-out", 400105)],
)
def test_a_connection_that_came_to_nothing_failed_or_was_refused(failure: str, type_uid: int) -> None:
    event = event_of(numbered(lines.connection_line("203.0.113.9", failure, now=worlds.NOW, instance="gw-1")))

    assert (event["type_uid"], event["status_id"], event["status_detail"]) == (type_uid, 2, failure)
    assert event["src_endpoint"] == {"ip": "203.0.113.9"}


@pytest.mark.parametrize(
    ("notice", "type_uid", "entity"),
    [
        ("credential-added", 300401, "jira/okta"),
        ("credential-changed", 300403, "jira/okta"),
        ("credential-removed", 300404, "jira/okta"),
        ("credential-rotated", 300403, "jira/okta"),
        ("credential-extended", 300403, "jira/okta"),
        ("credential-revoked", 300404, "jira/okta"),
        ("reload", 300403, None),
        ("start", 600399, None),
    ],
)
def test_what_becomes_of_credentials_and_settings_is_a_managed_entitys(
    notice: str, type_uid: int, entity: str | None
) -> None:
    details = {"tenant": "jira", "credential": "okta"} if entity else {"settings": "0123456789abcdef"}
    event = event_of(numbered(lines.notice_line(notice, details, now=worlds.NOW, instance="gw-1")))

    assert (event["type_uid"], event.get("entity", {}).get("uid")) == (type_uid, entity)


def test_a_created_group_has_the_id_that_the_application_gave() -> None:
    group = trails.operation("group.create", method="POST", address=Address(Kind.GROUPS, "Groups"), writes=True)
    event = event_of(outcome(operation=group, delivery=trails.delivered(201, document={"id": "g7"})))

    assert event["group"] == {"uid": "g7"}


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


def test_a_write_that_was_executed_is_a_success_although_its_record_came_late() -> None:
    refusal, answer = Refusal(Reason.RECORD_UNAVAILABLE), Answer(429, (), b"")
    trail = trails.served(operation=trails.write(), refusal=refusal, answer=answer)
    event = event_of(numbered(lines.outcome_line(trail, now=worlds.NOW, instance="gw-1")))

    assert (event["class_uid"], event["status_code"], event["status_detail"]) == (3001, "429", "record-unavailable")
    assert (event["status_id"], event["severity_id"]) == (1, 1)


def test_what_is_no_operation_has_an_event_too() -> None:
    unparsed = Unparsed(worlds.request().id, 1.0, "198.51.100.7", Reason.HEAD_MALFORMED, "no head")
    for line in (
        lines.notice_line("stop", {}, now=worlds.NOW, instance="gw-1"),
        lines.segment_line(2, 7, Tree(), now=worlds.NOW, instance="gw-1"),
        lines.suppressed_line("other", 3, now=worlds.NOW, instance="gw-1"),
        lines.unparsed_line(unparsed, now=worlds.NOW, instance="gw-1"),
    ):
        assert event_of(numbered(line))["class_uid"] == 6003


VALUES = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=4)
KEYS = ("seq", "time", "event", "operation", "status", "reason", "people", "resource", "address", "credential",
        "instance", "notice", "details", "failure", "prev", "checkpoint", "unmapped", "outcome")  # fmt: skip


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


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("203.0.113.9", {"ip": "203.0.113.9"}),
        ("2001:db8::1", {"ip": "2001:db8::1"}),
        ("2001:db8::/64", {"name": "2001:db8::/64"}),
        ("other", {"name": "other"}),
        ("unknown", {"name": "unknown"}),
    ],
)
def test_what_is_no_address_is_a_name(address: str, endpoint: dict[str, str]) -> None:
    line = lines.suppressed_line(address, 3, now=worlds.NOW, instance="gw-1")

    assert event_of(numbered(line))["src_endpoint"] == endpoint


def test_the_longest_texts_have_their_place() -> None:
    text = "a" * 5000
    write = trails.write(
        people=(Who(text, text, text),), resource_name=text, address=Address(Kind.USERS, "Users", text)
    )
    event_of(outcome(operation=write))
    event_of(
        numbered(
            lines.outcome_line(
                trails.turned_away(request=worlds.request(target="/" + text, method=text)), now=0, instance="gw-1"
            )
        )
    )


def test_an_event_is_one_line_of_plain_text() -> None:
    hostile = 'ada\n{"seq":8}\x1b[2J\u202e\udce9'
    event = ocsf_event(outcome(operation=trails.write(people=(Who("1", hostile),)), delivery=Delivery((), None, None)))

    assert event.isascii()
    assert b"\n" not in event
    assert b"\x1b" not in event
