"""Which values of a write get on record: those that are listed, in every way to write them, and never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.exchange import Operation, Told
from gateway.stages.inspection import inspect, survey
from tests.worlds import PATH, client, request

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CUSTOM = "urn:example:params:scim:schemas:extension:app:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
V1 = "urn:scim:schemas:core:1.0"
LISTED = ("Title", "department", f"{ENTERPRISE}:manager", "name.familyName", "emails", f"{CUSTOM}:login")


def judged(method: str, message: object, *, listed: tuple[str, ...] = LISTED, **tenant: Any) -> Operation:
    path = "/Users" if method == "POST" else "/Users/1"
    who = client(path, **tenant, audit={"values": listed})
    head = request(method, PATH + path, fields=(("Content-Type", "application/json"),))
    return inspect(survey(head, who), json.dumps(message).encode(), head, who)


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


def user(**attributes: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": "ada", **attributes}


@pytest.mark.parametrize(
    ("method", "message", "told"),
    [
        ("POST", user(title="CTO", nickName="A"), (("title", "CTO"),)),
        ("POST", user(TITLE="CTO"), (("title", "CTO"),)),
        ("PUT", user(**{f"{USER}:title": "CTO"}), (("title", "CTO"),)),
        ("PUT", user(name={"familyName": "L", "givenName": "A"}), (("name.familyName", "L"),)),
        ("POST", user(**{ENTERPRISE: {"department": "IT"}}), ((f"{ENTERPRISE}:department", "IT"),)),
        ("POST", user(**{ENTERPRISE: {"manager": {"value": "7"}}}), ((f"{ENTERPRISE}:manager.value", "7"),)),
        (
            "POST",
            user(emails=[{"value": "a@b.c", "primary": True}]),
            (("emails", '[{"value":"a@b.c","primary":true}]'),),
        ),
        ("PUT", user(title=None), (("title", None),)),
        ("PATCH", patch({"op": "replace", "path": "title", "value": "CTO"}), (("title", "CTO"),)),
        ("PATCH", patch({"op": "Replace", "path": "TITLE", "value": 7}), (("title", 7),)),
        ("PATCH", patch({"op": "replace", "value": {"title": "CTO", "active": True}}), (("title", "CTO"),)),
        (
            "PATCH",
            patch({"op": "replace", "path": f"{ENTERPRISE}:department", "value": "IT"}),
            ((f"{ENTERPRISE}:department", "IT"),),
        ),
        ("PATCH", patch({"op": "remove", "path": "title"}), (("title", None),)),
        ("PATCH", patch({"op": "remove", "path": "emails", "value": [{"value": "a"}]}), (("emails", None),)),
        (
            "PATCH",
            patch({"op": "add", "path": 'emails[type eq "work"].value', "value": "a@b.c"}),
            (("emails.value", "a@b.c"),),
        ),
        (
            "PATCH",
            patch({"op": "add", "path": "title", "value": "a"}, {"op": "replace", "path": "title", "value": "b"}),
            (("title", "a"), ("title", "b")),
        ),
        ("POST", user(name={"givenName": "A"}, nickName="title"), ()),
        ("POST", user(**{CUSTOM: {"department2": "x"}}), ()),
    ],
)
def test_what_is_listed_is_told_however_it_is_written(method: str, message: object, told: tuple[Told, ...]) -> None:
    assert judged(method, message).values == told


def test_scim_1_1_is_told_alike() -> None:
    message = {"schemas": [V1], "title": "CTO", "meta": {"attributes": ["department"]}}
    operation = judged("PATCH", message, client="okta-agent")

    assert operation.values == (("department", None), ("title", "CTO"))


def test_nothing_is_told_unless_it_is_listed() -> None:
    assert judged("POST", user(title="CTO"), listed=()).values == ()


@pytest.mark.parametrize(
    "message",
    [
        user(**{CUSTOM: {"login": {"password": "s3cr3t-value", "name": "x"}}}),
        user(**{CUSTOM: {"login": [{"Password": "s3cr3t-value"}]}}),
        user(**{CUSTOM: {"login": {"more": {"api_token": "s3cr3t-value"}}}}),
        user(emails=[{"value": "a", "x509Certificates": [{"value": "s3cr3t-value"}]}]),
        user(password="s3cr3t-value"),
    ],
)
def test_a_secret_within_what_is_listed_is_not_told(message: dict[str, Any]) -> None:
    for method in ("POST", "PUT"):
        for sync_passwords in (True, False):
            operation = judged(method, message, sync_passwords=sync_passwords)
            assert "s3cr3t-value" not in repr(operation.values)
    changed = patch({"op": "add", "value": {key: value for key, value in message.items() if key != "schemas"}})
    assert "s3cr3t-value" not in repr(judged("PATCH", changed, sync_passwords=True).values)


def test_a_value_is_no_longer_than_a_line_shows() -> None:
    emails = [{"value": "a" * 100} for _ in range(5000)]

    assert len(repr(judged("POST", user(emails=emails, title="t" * 500_000)).values)) < 5000
