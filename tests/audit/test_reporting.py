"""An auditor's report: every leaver once, from the first attempt to the end, and nothing left out of the counts."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.audit.effects import Whom, changes_of
from gateway.audit.leavers import Leaving
from gateway.audit.reporting import Access, Names, Refused, Report, Unsettled
from gateway.audit.tasks import tasks_of

HELD: dict[str, Any] = {"outcome": "not-executed", "status": 429, "reason": "guard-held", "guard": {"hold": "hold-1"}}
EXECUTED: dict[str, Any] = {"outcome": "executed", "status": 204}
ACTIVE: dict[str, Any] = EXECUTED | {"attributes": ["active", "userName"]}
NEW: dict[str, Any] = {"resource": "/Users", "people": [{"userName": "anna"}]}
PUT_OFF: dict[str, Any] = {"outcome": "not-executed", "status": 429, "reason": "upstream-unreachable"}


def at(minute: int) -> str:
    return f"2027-01-15T09:{minute:02}:00.000000Z"


def line(minute: int, operation: str = "user.deactivate", who: str = "1", **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"time": at(minute), "event": "outcome", "tenant": "jira", "credential": "okta-2027"}
    if operation.startswith("user."):
        plain |= {"resource": f"/Users/{who}"}
    else:
        plain |= {"resource": "/Groups/g"}
    return plain | {"operation": operation, "request": f"r{minute}", "people": [{"id": who}]} | more


def told(*records: dict[str, Any], since: int | None = None, until: int | None = None) -> list[Any]:
    report = Report(at(since)) if since is not None else Report()
    if until is not None:
        report.until = at(until)
    return [item for record in records for item in report.take(record)] + list(report.end())


def leavers(*records: dict[str, Any], **period: int) -> list[tuple[str, str, str, int]]:
    """(received, settled, state, attempts) of each task."""
    tasks = [item for item in told(*records, **period) if isinstance(item, Leaving)]
    return [(task.received[14:16], task.settled[14:16], task.state, task.attempts) for task in tasks]


@pytest.mark.parametrize(
    ("records", "tasks"),
    [
        ([line(1, **EXECUTED)], [("01", "01", "done", 1)]),
        ([line(1, event="intent"), line(2, **EXECUTED)], [("01", "02", "done", 1)]),
        ([line(1, **HELD), line(2, **HELD), line(9, **EXECUTED)], [("01", "09", "done", 3)]),
        (
            [line(1, **PUT_OFF), line(3, "user.replace", guard={"loss": "deactivated"}, **EXECUTED)],
            [("01", "03", "done", 2)],
        ),
        ([line(1, **PUT_OFF)], [("01", "", "not done: upstream-unreachable", 1)]),
        ([line(5, attempt=4, **PUT_OFF)], [("05", "", "not done: upstream-unreachable", 4)]),
        ([line(1, **HELD)], [("01", "", "held", 1)]),
        ([line(1, **HELD | {"reason": "guard-behind"})], [("01", "", "held", 1)]),
        ([line(1, **HELD | {"reason": "guard-denied", "status": 403})], [("01", "", "denied", 1)]),
        ([line(1, outcome="not-executed", status=404)], [("01", "01", "not there any more", 1)]),
        ([line(1, outcome="not-executed", status=409)], [("01", "", "not done: the application answered 409", 1)]),
        ([line(1, outcome="unknown"), line(2, **EXECUTED)], [("01", "02", "done", 2)]),
        ([line(1, event="interrupted", outcome="unknown")], [("01", "", "unknown", 1)]),
        ([line(1, event="intent")], [("01", "", "under way", 0)]),
        ([line(1, **EXECUTED), line(2, **EXECUTED)], [("01", "01", "done", 1), ("02", "02", "done", 1)]),
        ([line(1, **HELD), line(2, who="2", **EXECUTED)], [("02", "02", "done", 1), ("01", "", "held", 1)]),
        ([line(1, **HELD), line(2, tenant="wiki", **EXECUTED)], [("02", "02", "done", 1), ("01", "", "held", 1)]),
        ([line(1, **HELD), line(2, "user.activate", **EXECUTED)], [("01", "02", "given back meanwhile", 1)]),
        ([line(1, **HELD), line(2, "user.activate", **PUT_OFF)], [("01", "", "held", 1)]),
        ([line(1, **HELD), line(2, "user.replace", **ACTIVE)], [("01", "02", "given back meanwhile", 1)]),
        ([line(1, **HELD), line(2, "user.patch", **ACTIVE)], [("01", "02", "given back meanwhile", 1)]),
        ([line(1, **PUT_OFF), line(2, "user.replace", **ACTIVE)], [("01", "", "not done: upstream-unreachable", 1)]),
        (
            [line(1, "group.members.remove", guard={}, **PUT_OFF), line(2, "group.patch", **EXECUTED)],
            [("01", "02", "given back meanwhile", 1)],
        ),
        *(
            (
                [line(1, "group.members.remove", **PUT_OFF), line(2, whole_list, **EXECUTED)],
                [("01", "02", "given back meanwhile", 1)],
            )
            for whole_list in ("group.replace", "group.members.replace")
        ),
        (
            [line(1, "group.members.remove", **PUT_OFF), line(2, "group.patch", **EXECUTED)],
            [("01", "", "not done: upstream-unreachable", 1)],
        ),
        (
            [line(1, **HELD), line(2, "user.delete", **EXECUTED)],
            [("02", "02", "done", 1), ("01", "02", "deleted meanwhile", 1)],
        ),
        (
            [line(1, "group.members.remove", **PUT_OFF), line(2, "group.members.add", **EXECUTED)],
            [("01", "02", "given back meanwhile", 1)],
        ),
        ([line(1, "group.delete", people=[], **EXECUTED)], []),
        ([line(1, "group.members.remove", lost=["1"], lost_total=5, **EXECUTED)], [("01", "01", "done", 1)]),
        ([line(1, "user.get", **EXECUTED), line(2, "user.patch", attributes=["title"], **EXECUTED)], []),
    ],
)
def test_a_leaver_is_followed_to_the_end(records: list[dict[str, Any]], tasks: list[tuple[str, str, str, int]]) -> None:
    assert leavers(*records) == tasks


def test_a_task_of_before_counts_where_it_ends_within_the_period_or_is_still_open() -> None:
    ended, before = [line(1, **HELD), line(9, **EXECUTED)], [line(2, who="2", **EXECUTED)]
    still_open = line(3, who="3", **PUT_OFF)

    assert leavers(*ended, *before, still_open, since=5) == [
        ("01", "09", "done", 2),
        ("03", "", "not done: upstream-unreachable", 1),
    ]


def test_what_comes_after_the_period_is_not_known_in_it() -> None:
    assert leavers(line(1, **HELD), line(9, **EXECUTED), until=9) == [("01", "", "held", 1)]


def decision(minute: int, ruling: str, tasks: list[str] | None = None, hold: str = "hold-1") -> dict[str, Any]:
    details = {"tenant": "jira", "hold": hold, "ruling": ruling, "by": "olga", "reason": "a team", "tasks": tasks}
    return {"time": at(minute), "event": "notice", "notice": "guard-decision", "details": details}


def expiry(minute: int) -> dict[str, Any]:
    details = {"tenant": "jira", "hold": "hold-1", "denied": 1}
    return {"time": at(minute), "event": "notice", "notice": "wave-expired", "details": details}


def held(minute: int, who: str) -> dict[str, Any]:
    return line(minute, who=who, method="PATCH", attributes=["active"], **HELD)


TASK_OF_2 = tasks_of(held(1, "2"))[0]
DENIED: dict[str, Any] = HELD | {"reason": "guard-denied", "status": 403}
WAITS_BEHIND: dict[str, Any] = HELD | {"reason": "guard-behind"}


@pytest.mark.parametrize(
    ("records", "states"),
    [
        ([decision(3, "deny")], [("denied", ["deny"]), ("denied", ["deny"])]),
        ([decision(3, "approve")], [("approved", ["approve"])] * 2),
        ([expiry(3)], [("denied", ["deny"]), ("denied", ["deny"])]),
        (
            [decision(3, "approve", [TASK_OF_2]), decision(4, "deny")],
            [("denied", ["deny"]), ("approved", ["approve"])],
        ),
        (
            [decision(3, "approve", [TASK_OF_2]), expiry(4)],
            [("denied", ["deny"]), ("approved", ["approve"])],
        ),
        ([decision(3, "approve"), decision(4, "deny")], [("denied", ["approve", "deny"])] * 2),
        (
            [decision(3, "deny"), decision(4, "approve", [TASK_OF_2])],
            [("denied", ["deny"]), ("approved", ["deny", "approve"])],
        ),
        (
            [decision(3, "approve"), line(4, who="1", guard={"hold": "hold-1"}, **PUT_OFF), decision(5, "deny")],
            [("denied", ["approve", "deny"])] * 2,
        ),
        (
            [line(3, who="1", **WAITS_BEHIND), decision(4, "deny")],
            [("held", []), ("denied", ["deny"])],
        ),
        ([decision(3, "deny", hold="hold-2")], [("held", []), ("held", [])]),
        ([decision(3, "deny", ["somebody else's"])], [("held", []), ("held", [])]),
    ],
)  # fmt: skip
def test_what_was_decided_is_told_of_those_whom_it_covers_though_nobody_came_again(
    records: list[dict[str, Any]], states: list[tuple[str, list[str]]]
) -> None:
    tasks = [item for item in told(held(1, "1"), held(2, "2"), *records) if isinstance(item, Leaving)]

    assert [(task.state, [one.ruling for one in task.decisions]) for task in tasks] == states


def test_a_decision_on_some_tasks_is_told_of_one_that_cannot_be_named_and_changes_nothing() -> None:
    long_list = line(1, "group.members.remove", method="PATCH", lost=["1"], lost_total=300, **HELD)
    [task, *_] = [item for item in told(long_list, decision(3, "deny", [TASK_OF_2])) if isinstance(item, Leaving)]

    assert (task.state, [one.ruling for one in task.decisions]) == ("held", ["deny"])


def test_a_decision_of_before_the_first_attempt_on_the_log_is_told() -> None:
    report = Report()
    for record in (decision(1, "deny"), decision(2, "approve", ["somebody else's"]), held(3, "1") | DENIED):
        assert not [item for item in report.take(record) if isinstance(item, Leaving)]
    [task] = report.leavers.open_tasks()

    assert [one.words(one.at) for one in task.decisions] == [f"deny by olga at {at(1)}: a team"]


def test_that_nobody_decided_is_told() -> None:
    [task] = [item for item in told(held(1, "1"), expiry(3)) if isinstance(item, Leaving)]

    assert task.decisions[0].words("9 o'clock") == "denied at 9 o'clock, for nobody decided in time"


def test_of_access_each_line_with_an_end_is_told_and_counted() -> None:
    report = Report(at(1))
    records = [
        line(0, "user.activate", **EXECUTED),  # before the period
        line(1, "user.activate", event="intent"),
        line(1, "user.activate", **EXECUTED),
        line(2, **PUT_OFF),
    ]
    found = [item for record in records for item in report.take(record) if isinstance(item, Access)]

    assert [item.record["request"] for item in found] == ["r1", "r2"]
    assert report.totals == {"activated": 1}
    assert report.not_done() == {"deactivated": 1}


def test_of_what_is_not_done_people_are_counted_and_not_attempts() -> None:
    report = Report()
    created: dict[str, Any] = {"resource": "/Users", "people": [{"userName": "Anna"}]}
    more: dict[str, Any] = {"people": [{"id": "1"}], "people_total": 4}
    for record in (
        *(line(minute, **PUT_OFF) for minute in range(10)),
        line(11, who="2", **PUT_OFF),
        line(12, who="3", **PUT_OFF),
        line(13, who="3", **EXECUTED),
        line(14, "user.create", outcome="not-executed", status=409, **created),
        line(15, "user.create", outcome="not-executed", status=409, **created | {"people": [{"userName": "anna"}]}),
        line(16, "group.members.add", **PUT_OFF | more),
        line(17, "group.members.add", **PUT_OFF | more),
    ):
        list(report.take(record))

    assert report.totals == {"deactivated": 1}
    assert report.not_done() == {"deactivated": 2, "created": 1, "added to group": 4}


def test_of_two_outcomes_of_one_request_the_later_counts_alone() -> None:
    first = line(2, seq=2, request="r1", **EXECUTED)
    late = line(7, seq=3, request="r1", outcome="executed", status=429, reason="record-unavailable")
    records = [line(1, seq=1, event="intent"), first, late]
    report = Report()
    for record in records:
        report.foresee(record)
    found = [item for record in records for item in report.take(record)] + list(report.end())

    assert [item.record for item in found if isinstance(item, Access)] == [late]
    assert [item.attempts for item in found if isinstance(item, Leaving)] == [1]
    assert not [item for item in found if isinstance(item, Refused)]
    assert report.totals == {"deactivated": 1}


def test_an_outcome_that_is_told_after_the_period_does_not_take_the_older_ones_place() -> None:
    first = line(2, seq=2, request="r1", **EXECUTED)
    report = Report(until=at(5))
    report.foresee(line(7, seq=3, request="r1", outcome="executed", status=429, reason="record-unavailable"))

    assert [item.record for item in report.take(first) if isinstance(item, Access)] == [first]


def test_of_outcomes_that_were_told_late_only_so_many_are_kept_in_mind() -> None:
    report = Report(most_late=2)
    for minute in range(3):
        report.foresee(line(minute, seq=10 + minute, outcome="executed", reason="record-unavailable"))
    told_of = [minute for minute in range(3) if list(report.take(line(minute, seq=1, **EXECUTED)))]

    assert told_of == [0]


def test_refusals_are_counted_by_tenant_and_reason() -> None:
    refusal = {"event": "refusal", "tenant": "jira", "reason": "credential-unknown"}
    found = told(
        {"time": at(0)} | refusal,
        *({"time": at(minute)} | refusal for minute in (1, 2, 3)),
        {"time": at(4), "event": "unparsed", "reason": "head-malformed"},
        {"time": at(5), "event": "suppressed", "count": 40},
        line(6, **HELD),
        since=1,
    )

    assert [item for item in found if isinstance(item, Refused)] == [
        Refused("", "head-malformed", False, 1, at(4), at(4)),
        Refused("", "strangers without a line of their own", False, 40, at(5), at(5)),
        Refused("jira", "credential-unknown", False, 3, at(1), at(3)),
        Refused("jira", "guard-held", True, 1, at(6), at(6)),
    ]


@pytest.mark.parametrize(
    ("records", "requests"),
    [
        ([line(1, event="interrupted", outcome="unknown")], ["r1"]),
        ([line(1, outcome="unknown")], ["r1"]),
        ([line(1, "user.get", outcome="unknown")], []),
        ([line(1, event="intent")], ["r1"]),
        ([line(1, event="intent"), line(1, **EXECUTED)], []),
        ([line(1, event="intent"), line(1, event="interrupted", outcome="unknown")], ["r1"]),
        ([line(1, "group.rename", outcome="unknown")], ["r1"]),
        ([line(1, outcome="unknown"), line(2, **EXECUTED)], []),
        ([line(1, outcome="unknown"), line(2, "user.replace", guard={"loss": "deactivated"}, **EXECUTED)], []),
        ([line(1, event="intent"), line(2, event="intent"), line(2, **EXECUTED)], []),
        ([line(1, outcome="unknown"), line(2, outcome="unknown")], ["r1", "r2"]),
        ([line(1, outcome="unknown"), line(2, **PUT_OFF)], ["r1"]),
        ([line(1, outcome="unknown"), line(2, who="2", **EXECUTED)], ["r1"]),
        ([line(1, outcome="unknown"), line(2, "user.activate", **EXECUTED)], ["r1"]),
        ([line(2, **EXECUTED), line(1, outcome="unknown")], ["r1"]),
        ([line(1, "user.patch", outcome="unknown"), line(2, "user.patch", **EXECUTED)], []),
        (
            [
                line(1, "user.create", "", event="intent", **NEW),
                line(1, "user.create", "", outcome="unknown", **NEW),
                line(2, "user.create", "", event="intent", **NEW),
                line(2, "user.create", "", **EXECUTED | NEW | {"people": [{"id": "7", "userName": "anna"}]}),
            ],
            [],
        ),
    ],
)
def test_writes_of_whose_end_nobody_knows_are_told_once(records: list[dict[str, Any]], requests: list[str]) -> None:
    found = [item for item in told(*records) if isinstance(item, Unsettled)]
    assert [item.record["request"] for item in found] == requests


def test_an_interrupted_write_is_told_with_the_moment_at_which_it_was_asked_for() -> None:
    records = [line(1, event="intent"), line(50, request="r1", event="interrupted", outcome="unknown")]
    [found] = [item for item in told(*records, since=9) if isinstance(item, Unsettled)]

    assert found.time == at(1)


def test_what_may_have_been_done_is_not_refused() -> None:
    assert not [
        item for item in told(line(1, outcome="unknown", reason="upstream-broken")) if isinstance(item, Refused)
    ]


def test_names_are_known_wherever_in_the_log_they_stand() -> None:
    names = Names()
    for user_name in ("anna@old.example.com", "anna@example.com"):
        names.learn({"tenant": "jira", "people": [{"id": "1", "userName": user_name, "externalId": "00u1"}]})
    names.learn({"tenant": "jira", "operation": "group.rename", "resource": "/Groups/g", "resource_name": "crew"})

    assert names.known("jira", Whom("1")) == ("1", ("anna@old.example.com", "anna@example.com"), "00u1")
    assert names.known("jira", Whom("", "ANNA@example.com"))[0] == "1"
    assert names.known("wiki", Whom("1")) == ("1", (), "")
    assert (names.group("jira", "g"), names.group("wiki", "g")) == ("crew", "g")


def test_a_group_is_called_as_its_creation_called_it() -> None:
    created: dict[str, Any] = {"resource": "/Groups", "resource_name": "crew", "resource_id": "g"}
    names, record = Names(), line(1, "group.create", **created, **EXECUTED)
    names.learn(record)
    [change] = changes_of(record)

    assert (change.group, names.group("jira", change.group)) == ("g", "crew")


def test_ids_that_differ_by_case_are_two_people() -> None:
    held, back = line(1, who="aB9", **HELD), line(2, "user.activate", "Ab9", **EXECUTED)
    names = Names()
    names.learn({"tenant": "jira", "people": [{"id": "aB9", "userName": "anna"}]})

    assert leavers(held, back) == [("01", "", "held", 1)]
    assert names.known("jira", Whom("Ab9")) == ("Ab9", (), "")


def test_user_names_that_differ_by_case_are_one_persons() -> None:
    nameless: dict[str, Any] = {"resource": "/Me"}
    held = line(1, people=[{"userName": "Anna"}], **HELD) | nameless
    back = line(2, "user.activate", people=[{"userName": "anna"}], **EXECUTED) | nameless

    assert leavers(held, back) == [("01", "02", "given back meanwhile", 1)]


def test_a_name_that_two_had_is_nobodys_id() -> None:
    names = Names()
    for identifier in ("1", "2"):
        names.learn({"tenant": "jira", "people": [{"id": identifier, "userName": "anna"}]})

    assert names.known("jira", Whom("", "anna")) == ("", ("anna",), "")
