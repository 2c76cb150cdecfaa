"""What Okta sends, as documented and captured."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rehearsal.messages import (
    OKTA,
    OKTA_AGENT,
    Manner,
    Member,
    PushedGroup,
    activation,
    lookup_target,
    membership_change,
    membership_replacement,
    new_group,
    new_user,
    page_target,
    rename,
    request_fields,
    whole_group,
)

ADA, BO = Member("id-a", "ada@example.com"), Member("id-b", "bo@example.com")
PATCH = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}


def test_a_request_without_a_body_carries_oktas_fields_and_no_content_type() -> None:
    assert request_fields("Bearer x", has_body=False) == {
        "Accept": "application/scim+json",
        "Accept-Charset": "utf-8",
        "User-Agent": "Okta SCIM Client 1.0.0",
        "Connection": "Keep-Alive",
        "Accept-Encoding": "gzip,deflate",
        "Authorization": "Bearer x",
    }


def test_a_body_is_announced_with_its_charset() -> None:
    assert request_fields("Bearer x", has_body=True)["Content-Type"] == "application/scim+json; charset=utf-8"


def test_the_agent_speaks_1_1_in_every_word() -> None:
    fields = request_fields("Bearer x", has_body=True, manner=OKTA_AGENT)
    schema = "urn:scim:schemas:core:1.0"

    assert (fields["Accept"], fields["Content-Type"]) == ("application/json", "application/json; charset=utf-8")
    assert {OKTA_AGENT.user_schema, OKTA_AGENT.group_schema, OKTA_AGENT.list_schema} == {schema}
    assert new_group("devs", OKTA_AGENT)["schemas"] == [schema]
    assert whole_group(PushedGroup("g-1", "devs"), OKTA_AGENT)["schemas"] == [schema]


@pytest.mark.parametrize(("manner", "kind"), [(OKTA, "work"), (OKTA_AGENT, "primary")])
def test_the_one_email_is_of_the_type_that_the_client_gives_it(manner: Manner, kind: str) -> None:
    user = new_user(
        "ada@example.com", given_name="Ada", family_name="Berg", external_id="00u", password="x", manner=manner
    )

    assert user["emails"] == [{"primary": True, "value": "ada@example.com", "type": kind}]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (page_target("Users", start_index=1, count=2), "/Users?startIndex=1&count=2"),
        (page_target("Groups", start_index=101), "/Groups?startIndex=101&count=100"),
        (
            lookup_target("Users", "userName", "ada.berg@example.com"),
            "/Users?filter=userName%20eq%20%22ada.berg%40example.com%22&startIndex=1&count=100",
        ),
        (
            lookup_target("Users", "userName", "a+b@example.com", spaces_as_plus=True),
            "/Users?filter=userName+eq+%22a%2Bb%40example.com%22&startIndex=1&count=100",
        ),
        (
            lookup_target("Groups", "displayName", 'a"b\\c'),
            "/Groups?filter=displayName%20eq%20%22a%5C%22b%5C%5Cc%22&startIndex=1&count=100",
        ),
    ],
)
def test_targets_are_spelled_as_okta_spells_them(target: str, expected: str) -> None:
    assert target == expected


@given(name=st.text(alphabet=st.characters(exclude_categories=["Cs"])), spaces_as_plus=st.booleans())
def test_any_name_arrives_whole_in_a_lookup(name: str, spaces_as_plus: bool) -> None:
    target = lookup_target("Users", "userName", name, spaces_as_plus=spaces_as_plus)
    query = parse_qs(target.partition("?")[2], strict_parsing=True)

    quoted = query["filter"][0].removeprefix("userName eq ")
    assert re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL) == name
    assert query["count"] == ["100"]


def test_activation_has_no_path() -> None:
    assert activation(active=False) == {**PATCH, "Operations": [{"op": "replace", "value": {"active": False}}]}


def test_a_rename_carries_the_read_only_id() -> None:
    assert rename(PushedGroup("g-1", "devs")) == {
        **PATCH,
        "Operations": [{"op": "replace", "value": {"id": "g-1", "displayName": "devs"}}],
    }


def test_members_go_by_value_path_and_come_in_one_list_without_type() -> None:
    assert membership_change(removed=[BO], added=[ADA]) == {
        **PATCH,
        "Operations": [
            {"op": "remove", "path": 'members[value eq "id-b"]'},
            {"op": "add", "path": "members", "value": [{"value": "id-a", "display": "ada@example.com"}]},
        ],
    }


def test_push_now_of_an_empty_group_is_an_empty_list() -> None:
    assert membership_replacement([]) == {
        **PATCH,
        "Operations": [{"op": "replace", "path": "members", "value": []}],
    }


def test_a_whole_group_names_its_id_and_members() -> None:
    assert whole_group(PushedGroup("g-1", "devs", (ADA,))) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "id": "g-1",
        "displayName": "devs",
        "members": [{"value": "id-a", "display": "ada@example.com"}],
    }
