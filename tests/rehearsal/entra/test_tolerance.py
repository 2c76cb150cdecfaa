"""Only an application's own 400, said as SCIM says it, is tolerated."""

from __future__ import annotations

import json

import pytest

from gateway.rehearsal.entra.tolerance import tolerated
from gateway.rehearsal.replies import Reply

SCIM = {"content-type": "application/scim+json"}


def error(status: int, detail: str) -> bytes:
    schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"]
    return json.dumps({"schemas": schemas, "status": str(status), "detail": detail}).encode()


@pytest.mark.parametrize(
    ("status", "body", "is_tolerated"),
    [
        (400, error(400, "a remove operation carries no value"), True),
        (400, error(400, "no [request] of ours, it says"), True),
        (400, error(400, "The value is of the wrong type. [value-malformed, request 01HX]"), False),
        (400, error(400, "No. [request 01HX]"), False),
        (400, b"<html>", False),
        (400, b"", False),
        (400, error(409, "taken"), False),
        (409, error(409, "taken"), False),
        (500, error(500, "failed"), False),
        (501, error(501, "no PATCH"), False),
        (200, b"{}", False),
        (204, b"", False),
    ],
)
def test_what_is_tolerated(status: int, body: bytes, is_tolerated: bool) -> None:
    note = tolerated(Reply(status, SCIM, body), "a list", "do that")

    assert (note == "the application refuses a list: do that") is is_tolerated
    assert (note is None) is not is_tolerated
