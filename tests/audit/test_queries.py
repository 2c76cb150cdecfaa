"""What answers a search."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.audit.people import Person
from gateway.audit.queries import (
    BEGINNING,
    HELD_REASONS,
    OPERATIONS,
    RESULTS,
    Query,
    families_of,
    families_on,
    results_of,
    time_of,
    unknown_operations,
    written,
)
from gateway.exchange import Outcome
from gateway.refusal import Reason

LINE: dict[str, Any] = {
    "time": "2027-01-15T09:00:00.000000Z",
    "event": "outcome",
    "request": "req-1",
    "tenant": "jira",
    "operation": "group.members.add",
    "people": [{"id": "1"}],
    "outcome": "executed",
    "guard": {"hold": "hold-1"},
}


@pytest.mark.parametrize(
    ("record", "results"),
    [
        ({"event": "outcome", "outcome": "executed"}, {"executed"}),
        ({"event": "outcome", "outcome": "not-executed"}, {"not-executed"}),
        ({"event": "outcome", "outcome": "not-executed", "reason": "guard-held"}, {"not-executed", "held"}),
        ({"event": "outcome", "outcome": "not-executed", "reason": "guard-behind"}, {"not-executed", "held"}),
        ({"event": "outcome", "outcome": "not-executed", "reason": "guard-denied"}, {"not-executed", "refused"}),
        ({"event": "outcome", "outcome": "unknown", "reason": "upstream-timeout"}, {"unknown"}),
        ({"event": "outcome", "outcome": "executed", "reason": "record-unavailable"}, {"executed"}),
        ({"event": "refusal", "outcome": "not-executed", "reason": "credential-unknown"}, {"refused"}),
        ({"event": "unparsed", "reason": "head-malformed"}, {"refused"}),
        ({"event": "suppressed", "count": 3}, {"refused"}),
        ({"event": "interrupted", "outcome": "unknown"}, {"interrupted", "unknown"}),
        ({"event": "intent"}, set()),
        ({"event": "notice", "notice": "start"}, set()),
        ({"event": 1, "outcome": ["executed"]}, set()),
    ],
)
def test_what_a_line_says_of_an_end(record: dict[str, Any], results: set[str]) -> None:
    assert set(results_of(record)) == results
    assert results <= set(RESULTS)


def test_the_words_are_those_that_the_log_is_written_with() -> None:
    assert {outcome.value for outcome in Outcome} < set(RESULTS)
    assert {Reason.GUARD_HELD.slug, Reason.GUARD_BEHIND.slug} == set(HELD_REASONS)


@pytest.mark.parametrize(
    ("query", "is_answer"),
    [
        (Query(), True),
        (Query(tenant="jira"), True),
        (Query(tenant="wiki"), False),
        (Query(request="req-1"), True),
        (Query(request="req-2"), False),
        (Query(hold="hold-1"), True),
        (Query(hold="hold-2"), False),
        (Query(notices=frozenset({"guard-decision"})), False),
        (Query(operations=("group.members.add",)), True),
        (Query(operations=("user.get", "group.*")), True),
        (Query(operations=("group.members.*",)), True),
        (Query(operations=("group.members",)), False),
        (Query(operations=("group.members.remove",)), False),
        (Query(results=frozenset({"executed", "held"})), True),
        (Query(results=frozenset({"held"})), False),
        (Query(since=written(1_800_003_600)), True),  # 2027-01-15T09:00:00Z
        (Query(since=written(1_800_003_600.1)), False),
        (Query(until=written(1_800_003_600)), False),
        (Query(until=written(1_800_003_600.1)), True),
        (Query(person=Person("1")), True),
        (Query(person=Person("2")), False),
        (Query(person=Person("1"), tenant="wiki"), False),
    ],
)
def test_all_that_is_asked_for_must_hold(query: Query, is_answer: bool) -> None:
    assert query.is_answered_by(LINE) is is_answer


def test_a_notice_answers_for_the_request_and_the_tenant_that_it_names() -> None:
    details = {"tenant": "jira", "request": "req-1", "operation": "user.delete", "hold": "hold-1"}
    notice = {"event": "notice", "notice": "wave-held", "details": details}

    assert Query(request="req-1", tenant="jira", operations=("user.*",)).is_answered_by(notice)
    assert Query(hold="hold-1", notices=frozenset({"wave-held", "wave-expired"})).is_answered_by(notice)


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2027-01-15T09:00:00.000000Z", "2027-01-15T09:00:00.000000Z"),
        ("2027-01-15T10:00:00+01:00", "2027-01-15T09:00:00.000000Z"),
        ("yesterday", BEGINNING),
        (None, BEGINNING),
    ],
)
def test_moments_compare_as_texts(time: object, read: str) -> None:
    assert time_of({"time": time}) == read


@pytest.mark.parametrize(
    ("method", "path", "operations"),
    [
        ("GET", "/scim/v2/Users/1", {"user.get", "user.*"}),
        ("PUT", "/scim/v2/Users/1", {"user.replace", "user.*"}),
        ("DELETE", "/scim/v2/Groups/1", {"group.delete", "group.*"}),
        ("PATCH", "/scim/v2/Users/1", {"user.*"}),
        ("GET", "/scim/v2/Users", {"user.list", "user.*"}),
        ("POST", "/scim/v2/Users", {"user.create", "user.*"}),
        ("POST", "/scim/v2/Users/.search", {"user.search", "user.*"}),
        ("BREW", "/scim/v2/Users", {"user.*"}),
        ("GET", "/scim/v2/Schemas", set()),
        ("GET", 7, set()),
    ],
)
def test_of_a_refusal_method_and_path_tell_what_it_was_to_be(method: str, path: object, operations: set[str]) -> None:
    assert families_on({"event": "refusal", "method": method, "path": path}) == operations


def test_families() -> None:
    assert families_of("group.members.add") == {"group.members.add", "group.members.*", "group.*"}
    assert families_of("bulk") == {"bulk"}


def test_a_slip_in_an_operation_is_found() -> None:
    assert unknown_operations(("user.*", "group.members.*", "user.delete", *OPERATIONS)) == ()
    assert unknown_operations(("user.remove", "users.*", "user.")) == ("user.remove", "users.*", "user.")
