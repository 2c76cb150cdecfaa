"""The attributes an object writes do not depend on how it spells them."""

from __future__ import annotations

import pytest

from gateway.refusal import Reason, Refusal
from gateway.scim.attributes import attributes_of, check_schemas, schemas_of, value_of
from gateway.scim.documents import Document, JsonValue
from gateway.scim.paths import ENTERPRISE_SCHEMA

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.mark.parametrize(
    ("document", "written"),
    [
        ({}, {}),
        ({"schemas": ["a"], "ACTIVE": True}, {"active": True}),
        ({f"{CORE}:active": True}, {"active": True}),
        ({CORE: {"Active": True, "name": {"GivenName": "A"}}}, {"active": True, "name.givenName": "A"}),
        ({CORE: None, "active": True}, {"active": True}),
        ({"name": {"givenName": "A", "familyName": None}}, {"name.givenName": "A", "name.familyName": None}),
        ({"name": {}}, {"name": {}}),
        ({"name": None}, {"name": None}),
        ({"name.givenName": "A"}, {"name.givenName": "A"}),
        ({"emails": [{"value": "x"}]}, {"emails": [{"value": "x"}]}),
        ({"members": {"value": "x"}}, {"members": {"value": "x"}}),
        ({ENTERPRISE_SCHEMA: {"department": "D"}}, {f"{ENTERPRISE_SCHEMA}:department": "D"}),
        ({ENTERPRISE_SCHEMA: {"manager": {"value": "1"}}}, {f"{ENTERPRISE_SCHEMA}:manager.value": "1"}),
        ({f"{ENTERPRISE_SCHEMA.lower()}:Department": "D"}, {f"{ENTERPRISE_SCHEMA}:department": "D"}),
        ({ENTERPRISE_SCHEMA: None}, {ENTERPRISE_SCHEMA: None}),
    ],
)
def test_what_is_written_is_told_in_one_spelling(document: Document, written: dict[str, JsonValue]) -> None:
    assert attributes_of(document, Reason.MESSAGE_MALFORMED) == written


@pytest.mark.parametrize(
    "document",
    [
        {"active": True, f"{CORE}:active": False},
        {"active": True, CORE: {"active": False}},
        {CORE: {"active": True}, f"{CORE.upper()}:ACTIVE": False},
        {"active": True, "urn:scim:schemas:core:1.0:active": False},
        {"name": {"givenName": "A"}, "name.givenName": "B"},
        {ENTERPRISE_SCHEMA: {"manager": {"value": "1"}}, f"{ENTERPRISE_SCHEMA}:manager.value": "2"},
        {"urn:x:custom": {"a": 1}, "urn:x:custom:a": 2},
        {'members[value eq "1"]': None},
        {" active": False},
        {"active ": False},
        {"active.": False},
        {".active": False},
        {"name..givenName": "A"},
        {"'active'": False},
        {"": False},
        {f"{CORE}:": False},
        {"a" * 257: 1},
    ],
)
def test_an_attribute_that_could_be_read_in_two_ways_is_refused(document: Document) -> None:
    with pytest.raises(Refusal) as refused:
        attributes_of(document, Reason.PATCH_MALFORMED)

    assert refused.value.reason is Reason.PATCH_MALFORMED


@pytest.mark.parametrize("value", [True, "x", [], 0])
def test_a_core_schema_holds_an_object(value: JsonValue) -> None:
    with pytest.raises(Refusal) as refused:
        attributes_of({CORE: value}, Reason.PATCH_MALFORMED)

    assert refused.value.reason is Reason.VALUE_MALFORMED


def test_a_value_is_found_in_any_case_and_the_exact_name_first() -> None:
    assert value_of({"OP": "add"}, "op") == "add"
    assert value_of({"OP": 1, "op": 2}, "op") == 2
    assert value_of({}, "op") is None


def test_schemas_are_compared_without_case() -> None:
    assert schemas_of({"SCHEMAS": ["urn:A", 1, None]}) == {"urn:a"}
    assert schemas_of({"schemas": "urn:a"}) == schemas_of({}) == frozenset()


@pytest.mark.parametrize("listed", ["urn:a", {"urn:a": 1}, [1], [None], [["urn:a"]], True])
def test_schemas_that_are_no_list_of_strings_are_refused(listed: JsonValue) -> None:
    with pytest.raises(Refusal) as refused:
        check_schemas({"schemas": listed})

    assert refused.value.reason is Reason.MESSAGE_MALFORMED
