"""What a line does to whose access."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.audit.effects import Change, Effect, Whom, changes_of

LOSS: dict[str, dict[str, Any]] = {
    loss: {"verdict": "pass", "loss": loss} for loss in ("deactivated", "deleted", "removed")
}
ACTIVE, TITLE = ["userName", "active"], ["title"]


def user(operation: str, **more: Any) -> dict[str, Any]:
    return {"operation": f"user.{operation}", "resource": "/Users/1", "people": [{"id": "1"}], **more}


def group(operation: str, *people: str, **more: Any) -> dict[str, Any]:
    return {
        "operation": f"group.{operation}",
        "resource": "/Groups/g",
        "people": [{"id": who} for who in people],
        **more,
    }


@pytest.mark.parametrize(
    ("record", "effects"),
    [
        (user("activate"), "activated 1"),
        (user("deactivate"), "deactivated 1"),
        (user("delete"), "deleted 1"),
        (user("delete", guard=LOSS["deleted"], lost=["1"]), "deleted 1"),
        (user("replace", attributes=ACTIVE), "given or kept 1"),
        (user("replace", attributes=ACTIVE, guard=LOSS["deactivated"], lost=["1"]), "deactivated 1"),
        (user("patch", attributes=TITLE), ""),
        (user("patch", attributes=TITLE, guard={"verdict": "pass"}), ""),
        (user("get"), ""),
        ({"operation": "user.delete", "resource": "/Users/a%20b"}, "deleted a b"),
        (
            {"operation": "me.delete", "resource": "/Me", "guard": LOSS["deleted"], "lost": ["me:okta"]},
            "deleted me:okta",
        ),
        (group("members.add", "1", "2"), "added to group 1 g; added to group 2 g"),
        (group("members.remove", "1"), "removed from group 1 g"),
        (group("members.remove", "1", guard=LOSS["removed"], lost=["1"]), "removed from group 1 g"),
        (
            group("members.replace", "1", guard=LOSS["removed"], lost=["2"]),
            "removed from group 2 g; added to or kept in group 1 g",
        ),
        (group("delete"), "group deleted  g"),
        (group("delete", guard=LOSS["removed"], lost=["1", "2"]), "removed from group 1 g; removed from group 2 g"),
        (group("rename"), ""),
        (
            {"operation": "group.create", "resource": "/Groups", "resource_name": "crew", "people": [{"id": "1"}]},
            "added to group 1 crew",
        ),
        ({"event": "notice"}, ""),
        ({"operation": "user.delete", "guard": "x", "lost": 7, "people": "y", "resource": None}, "deleted "),
    ],
)
def test_what_a_line_does(record: dict[str, Any], effects: str) -> None:
    told = [f"{change.effect.value} {change.whom.id} {change.group}".rstrip(" ") for change in changes_of(record)]
    assert "; ".join(told) == effects.rstrip(" ")


def test_a_creation_is_told_by_name() -> None:
    record = {"operation": "user.create", "resource": "/Users", "people": [{"userName": "anna", "externalId": "00u1"}]}

    assert changes_of(record) == [Change(Effect.CREATED, Whom("", "anna", "00u1"))]


def test_people_whom_a_cut_line_does_not_name_are_counted() -> None:
    record = group("members.replace", "1", people_total=10, guard=LOSS["removed"], lost=["2"], lost_total=5)
    counts = {change.effect: 0 for change in changes_of(record)}
    for change in changes_of(record):
        counts[change.effect] += change.whom.count

    assert counts == {Effect.REMOVED: 5, Effect.LISTED: 10}
