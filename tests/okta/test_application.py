"""The simulated application."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.okta.application import Application
from tests.okta.clock import run_virtually
from tests.okta.outages import Outage, Schedule, State, rolling_restart
from tests.worlds import NOW

BO = {"userName": "Bo+x@example.com", "externalId": "00u-bo", "displayName": "Bo", "active": True, "password": "p"}


def asked(application: Application, *requests: tuple[str, str, object], node: str = "node-1") -> list[tuple[int, Any]]:
    """The answers to requests, one after another."""

    async def main() -> list[tuple[int, Any]]:
        answers: list[tuple[int, Any]] = []
        for method, target, document in requests:
            body = json.dumps(document).encode() if document is not None else b""
            status, _, said = await application.handle(node, method, target, {"X-Request-Id": "t1.1.1"}, body)
            answers.append((status, json.loads(said) if said else None))
        return answers

    return run_virtually(main())


def operations(*given: object) -> dict[str, object]:
    return {"Operations": list(given)}


def test_what_was_created_is_read_without_its_password() -> None:
    made, read = asked(Application(base_path="/v2"), ("POST", "/v2/Users", BO), ("GET", "/v2/Users/u0000001", None))

    assert (made[0], read[0]) == (201, 200)
    assert read[1]["userName"] == BO["userName"]
    assert read[1]["meta"]["location"] == "http://node-1/v2/Users/u0000001"
    assert "password" not in read[1]


@pytest.mark.parametrize(
    ("filter_text", "found"),
    [
        ('userName eq "bo+X@example.com"', 1),  # without case
        ('externalId eq "00u-bo"', 1),
        ('userName eq "bo x@example.com"', 0),
    ],
)
def test_a_lookup_finds_by_the_whole_value(filter_text: str, found: int) -> None:
    target = f"/Users?filter={quote(filter_text, safe='')}&startIndex=1&count=100"

    assert asked(Application(), ("POST", "/Users", BO), ("GET", target, None))[1][1]["totalResults"] == found


def test_a_taken_name_conflicts_however_it_is_written() -> None:
    other = BO | {"userName": "someone@example.com"}
    answers = asked(
        Application(),
        ("POST", "/Users", BO),
        ("POST", "/Users", BO | {"userName": "BO+X@example.com"}),
        ("POST", "/Users", other),
        ("PUT", "/Users/u0000002", BO),
        ("PUT", "/Users/u0000001", BO | {"userName": "new@example.com"}),
        ("PUT", "/Users/u0000002", BO),  # the name is free now
    )

    assert [status for status, _ in answers] == [201, 409, 201, 409, 200, 200]


def test_a_path_less_patch_changes_what_it_names() -> None:
    change = operations({"op": "replace", "value": {"active": False}})
    answer = asked(Application(), ("POST", "/Users", BO), ("PATCH", "/Users/u0000001", change))[1][1]

    assert (answer["active"], answer["displayName"]) == (False, "Bo")


def test_members_are_added_removed_and_replaced() -> None:
    group = ("POST", "/Groups", {"displayName": "staff", "members": [{"value": "a"}]})
    changes = [
        ({"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]}, ["a", "b"]),
        ({"op": "remove", "path": 'members[value eq "a"]'}, ["b"]),
        ({"op": "replace", "path": "members", "value": [{"value": "c"}]}, ["c"]),
        ({"op": "replace", "value": {"id": "other", "displayName": "crew"}}, ["c"]),
        ({"op": "replace", "path": "members", "value": []}, []),
    ]
    answers = asked(Application(), group, *(("PATCH", "/Groups/g0000001", operations(each)) for each, _ in changes))

    assert [[member["value"] for member in said["members"]] for _, said in answers[1:]] == [
        after for _, after in changes
    ]
    assert (answers[-1][1]["displayName"], answers[-1][1]["id"]) == ("crew", "g0000001")


@pytest.mark.parametrize(
    ("method", "target", "document", "status"),
    [
        ("GET", "/Users/u0000009", None, 404),
        ("DELETE", "/Groups/g0000009", None, 404),
        ("GET", "/Nothing", None, 404),
        ("POST", "/Users", {"active": True}, 400),
        ("POST", "/Users", [], 400),
        ("DELETE", "/Users", None, 405),
        ("GET", "/Users?filter=userName%20co%20%22b%22", None, 400),
    ],
)
def test_what_is_wrong_is_answered_so(method: str, target: str, document: object, status: int) -> None:
    answer = asked(Application(), (method, target, document))[0]

    assert answer[0] == status
    assert answer[1]["status"] == str(status)


@pytest.mark.parametrize("locks", [True, False])
def test_without_locks_one_of_two_changes_to_a_group_is_lost(locks: bool) -> None:
    application = Application(locks=locks)
    application.store.groups.add({"displayName": "staff"})

    async def add(member: str) -> None:
        change = operations({"op": "add", "path": "members", "value": [{"value": member}]})
        fields = {"X-Request-Id": f"{member}.1.1"}
        await application.handle("node-1", "PATCH", "/Groups/g0000001", fields, json.dumps(change).encode())

    async def main() -> None:
        await asyncio.gather(add("a"), add("b"))

    run_virtually(main())
    group = next(iter(application.store.groups))
    assert isinstance(group["members"], list)
    assert len(group["members"]) == (2 if locks else 1)
    assert application.overlaps["/Groups/g0000001"] == 1


def test_executed_writes_are_counted_by_request_and_by_task() -> None:
    application = Application()
    asked(application, ("POST", "/Users", BO), ("GET", "/Users/u0000001", None), ("POST", "/Users", BO))

    assert application.executions == {"t1.1.1": 2}  # the second was refused, but it was executed
    assert application.task_writes == {"t1": 1}
    assert [(act.method, act.status) for act in application.acts] == [("POST", 201), ("POST", 409)]


@pytest.mark.parametrize(("state", "error"), [(State.DOWN, ConnectionRefusedError), (State.DARK, TimeoutError)])
def test_an_unwell_node_answers_nobody(state: State, error: type[Exception]) -> None:
    application = Application(schedule=Schedule((Outage(NOW, NOW + 9, state, "node-1"),)))

    with pytest.raises(error):
        asked(application, ("GET", "/Users", None))
    assert asked(application, ("GET", "/Users", None), node="node-2")[0][0] == 200


def test_a_rolling_restart_never_takes_two_nodes() -> None:
    schedule = rolling_restart(("a", "b"), begins_at=10, down_seconds=20, starting_seconds=30)
    states = {at: (schedule.state("a", at).value, schedule.state("b", at).value) for at in (0, 10, 30, 60, 80, 110)}

    assert states == {
        0: ("up", "up"),
        10: ("down", "up"),
        30: ("restarting", "up"),
        60: ("up", "down"),
        80: ("up", "restarting"),
        110: ("up", "up"),
    }
    assert [schedule.next_change(at) for at in (0, 10, 110)] == [10, 30, None]
