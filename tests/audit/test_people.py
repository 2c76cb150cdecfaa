"""Which names stand on a line, and which of them are taken for one person."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.audit.people import EXTERNAL_ID, ID, MOST_NAMES, USER_NAME, Name, Person, ids_that_differ, names_of
from gateway.audit.records import Record


def of(*people: dict[str, Any], **more: Any) -> Record:
    """A line about people."""
    return {"event": "outcome", "tenant": "jira", "operation": "user.patch", "people": list(people), **more}


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (of({"id": "1", "userName": "a", "externalId": "x"}), {(ID, "1"), (USER_NAME, "a"), (EXTERNAL_ID, "x")}),
        ({"lost": ["1", "2", 3]}, {(ID, "1"), (ID, "2")}),
        ({"operation": "user.delete", "resource": "/Users/a%20b/x"}, {(ID, "a b")}),
        ({"operation": "group.delete", "resource": "/Groups/1", "resource_name": "Users"}, set()),
        ({"operation": "user.create", "resource": "/Users", "resource_name": "anna"}, {(USER_NAME, "anna")}),
        ({"event": "notice", "details": {"whom": "anna (/Users/1)"}}, {(ID, "1"), (USER_NAME, "anna")}),
        ({"event": "notice", "details": {"whom": "/Users/1"}}, {(ID, "1")}),
        ({"event": "notice", "details": {"whom": "crew (/Groups/1)"}}, set()),
        ({"event": "refusal", "path": "/scim/jira/v2/Users/a%20b"}, {(ID, "a b")}),
        ({"event": "refusal", "path": "/scim/Users/v2/Users/1/x"}, {(ID, "1")}),
        ({"event": "refusal", "path": "/scim/v2/Users"}, set()),
        ({"event": "refusal", "path": "/scim/v2/Usersx/1"}, set()),
        ({"event": "refusal", "path": "/scim/v2/Users/1/Groups/2"}, set()),
        ({"event": "refusal", "path": "/scim/v2/Groups/1"}, set()),
        ({"event": "refusal", "path": 7}, set()),
        ({"people": "anna", "lost": "1", "details": "x", "resource": 7, "resource_name": ["anna"]}, set()),
        ({"people": ["anna", {"id": 1, "userName": None}]}, set()),
    ],
)  # fmt: skip
def test_every_name_on_a_line_is_found(record: Record, names: set[Name]) -> None:
    assert set(names_of(record)) == names


def test_names_of_one_entry_are_one_persons_whatever_their_case() -> None:
    anna = Person("ANNA@example.com")

    assert anna.learn(of({"userName": "anna@Example.com", "id": "1"})) == {"1"}
    assert anna.is_on(of({"id": "1"}))
    assert anna.is_on({"tenant": "jira", "lost": ["1"]})
    assert anna.names() == {"jira": {USER_NAME: ("anna@Example.com",), ID: ("1",)}}


def test_names_of_two_entries_are_two_people() -> None:
    anna = Person("anna")

    assert anna.learn(of({"userName": "anna"}, {"id": "2", "userName": "bo"})) == set()
    assert not anna.is_on(of({"id": "2"}))


def test_an_id_is_another_one_in_another_tenant() -> None:
    anna = Person("anna")
    anna.learn(of({"userName": "anna", "id": "1"}))

    assert not anna.is_on(of({"id": "1"}, tenant="wiki"))
    assert anna.is_on(of({"userName": "anna"}, tenant="wiki"))


def test_of_one_tenant_nothing_is_learnt_from_another() -> None:
    assert Person("anna", "jira").learn(of({"userName": "anna", "id": "7"}, tenant="wiki")) == set()


def test_a_value_of_another_kind_is_another_name() -> None:
    anna = Person("anna")
    anna.learn(of({"userName": "anna", "id": "1"}))

    assert not anna.is_on(of({"externalId": "1"}))


def test_a_user_name_that_was_given_again_shows_both_ids() -> None:
    anna = Person("anna")
    anna.learn(of({"userName": "anna", "id": "1"}))
    anna.learn(of({"userName": "anna", "id": "2"}))

    assert ids_that_differ(anna.names()["jira"]) == ("1", "2")
    assert anna.is_on(of({"id": "1"}))
    assert anna.is_on(of({"id": "2"}))


def test_a_value_that_everybody_has_does_not_make_one_person_of_all() -> None:
    anna = Person("everybody")
    for number in range(MOST_NAMES * 2):
        anna.learn(of({"externalId": "everybody", "id": str(number)}))

    assert anna.is_cut
    assert len(anna.known) == MOST_NAMES
