"""What is sent in Entra's name has the shape that Microsoft's documentation shows."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rehearsal.entra.messages import (
    MANNER,
    MANNER_WITH_FLAG,
    Spelling,
    lookup_target,
    new_group,
    new_user,
)
from gateway.rehearsal.messages import JsonObject, Member, request_fields
from tests.worlds import FIXTURES

PLAIN, FLAGGED = Spelling(has_flag=False), Spelling(has_flag=True)
ADA_ID = "7c0f4a52-9a1e-4d55-9a35-1d2c0b8e6f01"
ADA = Member(ADA_ID, "ada.berg@example.com")
BO_ID = "b2d9d0b4-33c1-4a0f-8a43-0e0c8a3b7f02"


def asked(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())["request"]
    return told


def test_a_created_user_is_the_documented_one_with_a_name_to_show_and_nulls() -> None:
    sent = new_user(ADA.user_name, given_name="Ada", family_name="Berg", external_id="x")
    documented = asked("entra-02-user-create")["body"]

    assert {**sent, "externalId": documented["externalId"]} == documented | {
        "displayName": "Ada Berg",
        "addresses": None,
    }


def test_a_created_group_is_the_documented_one() -> None:
    assert (
        new_group("jira-software-users", "8aa1a0c0-0000-4000-8000-000000000002")
        == asked("entra-10-group-create")["body"]
    )


@pytest.mark.parametrize(
    ("sent", "fixture"),
    [
        (PLAIN.activation(active=False), "entra-03-disable-string-false"),
        (FLAGGED.activation(active=False), "entra-05-disable-flag"),
        (PLAIN.manager(BO_ID, f"http://example.invalid/scim/Users/{BO_ID}"), "entra-08-add-manager-array"),
        (PLAIN.addition([ADA]), "entra-13-member-add"),
        (FLAGGED.removal(ADA), "entra-15-member-remove-flag"),
    ],
)
def test_a_change_is_the_documented_one(sent: JsonObject, fixture: str) -> None:
    assert sent == asked(fixture)["body"]


def test_without_the_flag_a_member_is_removed_by_a_list_of_values() -> None:
    assert PLAIN.removal(ADA)["Operations"] == [
        {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": ADA_ID}]}
    ]


def test_the_flag_turns_several_attributes_into_dotted_keys_without_a_path() -> None:
    profile = {"email": "ada2@example.com", "given_name": "Ada", "family_name": "B", "display_name": "Ada B"}
    documented = asked("entra-06-multi-replace-flag")["body"]
    del documented["Operations"][1]["value"][
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber"
    ]

    assert FLAGGED.profile(**profile) == documented
    assert PLAIN.profile(**profile)["Operations"] == [
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "ada2@example.com"},
        {"op": "Replace", "path": "displayName", "value": "Ada B"},
        {"op": "Replace", "path": "name.givenName", "value": "Ada"},
        {"op": "Replace", "path": "name.familyName", "value": "B"},
    ]


def test_a_lookup_is_the_documented_one() -> None:
    guid = "00000000-0000-4000-8000-00000000abcd"
    by_name = lookup_target("Groups", "displayName", "jira-software-users", without_members=True)

    assert lookup_target("Users", "userName", guid) == asked("entra-01-test-connection")["target"]
    assert by_name == asked("entra-12-group-lookup-excluded")["target"].replace("%20", "+")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\')))
def test_any_name_arrives_whole_in_a_lookup(name: str) -> None:
    query = lookup_target("Users", 'emails[type eq "work"].value', name).partition("?")[2]

    assert parse_qsl(query, strict_parsing=True) == [("filter", f'emails[type eq "work"].value eq "{name}"')]


@pytest.mark.parametrize(
    ("target", "flagged"),
    [("/Users", "/Users?aadOptscim062020"), ("/Users?a=b", "/Users?a=b&aadOptscim062020")],
)
def test_the_flag_goes_with_every_target(target: str, flagged: str) -> None:
    assert MANNER_WITH_FLAG.spelled(target) == flagged
    assert MANNER.spelled(target) == target


@pytest.mark.parametrize("has_body", [True, False])
def test_fields_are_the_documented_ones_with_and_without_a_body(has_body: bool) -> None:
    documented = asked("entra-09-user-delete")["headers"]

    assert request_fields("Bearer <token>", has_body=has_body, manner=MANNER) == documented
