"""A password goes from wherever a client may put it, and nothing else goes with it."""

from __future__ import annotations

import copy

import pytest

from gateway.scim.documents import Document, JsonValue
from gateway.scim.passwords import nothing_is_left, without_passwords
from gateway.scim.patches import PATCH_SCHEMA
from gateway.scim.paths import ENTERPRISE_SCHEMA

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


def patch(*operations: JsonValue) -> Document:
    return {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}


ACTIVE: JsonValue = {"op": "replace", "path": "active", "value": True}


@pytest.mark.parametrize(
    ("document", "left"),
    [
        ({"userName": "a", "password": "S3"}, {"userName": "a"}),
        ({"userName": "a", "PassWord": "S3"}, {"userName": "a"}),
        ({"userName": "a", "password": None}, {"userName": "a"}),
        ({"userName": "a", "password": {"value": "S3"}}, {"userName": "a"}),
        ({"userName": "a", "password.value": "S3"}, {"userName": "a"}),
        ({"userName": "a", f"{CORE}:password": "S3"}, {"userName": "a"}),
        ({"userName": "a", CORE: {"Password": "S3", "title": "t"}}, {"userName": "a", CORE: {"title": "t"}}),
        ({"userName": "a", CORE: {"password": "S3"}}, {"userName": "a"}),
        ({ENTERPRISE_SCHEMA: {"password": "S3", "x": 1}}, {ENTERPRISE_SCHEMA: {"x": 1}}),
        ({"userName": "a", "urn:okta:app:1.0:user:custom:password": "S3"}, {"userName": "a"}),
        (patch({"op": "replace", "path": "password", "value": "S3"}, ACTIVE), patch(ACTIVE)),
        (patch({"op": "Replace", "Path": f"{CORE}:PASSWORD", "value": "S3"}, ACTIVE), patch(ACTIVE)),
        (patch({"op": "add", "path": 'password[value eq "S3"]', "value": "S3"}, ACTIVE), patch(ACTIVE)),
        (patch({"op": "remove", "path": "password"}, ACTIVE), patch(ACTIVE)),
        (patch({"op": "replace", "value": {"password": "S3"}}, ACTIVE), patch(ACTIVE)),
        (
            patch({"op": "replace", "Value": {"password": "S3", "title": "t"}}),
            patch({"op": "replace", "Value": {"title": "t"}}),
        ),
        (patch({"op": "replace", "value": {f"{CORE}:password": "S3"}}, ACTIVE), patch(ACTIVE)),
        (patch({"op": "replace", "value": {CORE: {"password": "S3"}}}, ACTIVE), patch(ACTIVE)),
        (patch({"op": "replace", "path": CORE, "value": {"password": "S3"}}, ACTIVE), patch(ACTIVE)),
        ({"schemas": [PATCH_SCHEMA], "operations": [{"op": "add", "path": "password", "value": "S3"}]},
         {"schemas": [PATCH_SCHEMA], "operations": []}),
    ],
)  # fmt: skip
def test_a_password_goes_wherever_it_stands(document: Document, left: Document) -> None:
    before = copy.deepcopy(document)

    assert without_passwords(document) == left
    assert document == before


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"userName": "password", "title": "password", "passwordHint": "x", ENTERPRISE_SCHEMA: {}, "urn:x:y": None},
        {"name": {"givenName": "password"}, "active": False},
        patch(ACTIVE),
        patch({"op": "replace", "value": {}}),
        patch({"op": "replace", "path": "title", "value": "password"}),
        patch({"op": "remove", "path": 'members[value eq "password"]'}),
    ],
)
def test_a_message_without_a_password_is_left_alone(document: Document) -> None:
    assert without_passwords(document) is None


def test_a_patch_of_the_password_alone_leaves_nothing() -> None:
    only = without_passwords(patch({"op": "replace", "value": {"password": "S3"}}))

    assert only is not None
    assert nothing_is_left(only)
    assert not nothing_is_left(patch(ACTIVE))
    assert not nothing_is_left({"userName": "a"})
