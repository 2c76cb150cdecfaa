"""Replies, and what clients demand of them. Pure.

Every demand is a function that raises `Failed` when it is not met. Where clients are lenient (numbers
for `status`, any JSON media type) these are as lenient.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.rehearsal.messages import ERROR_SCHEMA, OKTA, JsonObject, Manner
from gateway.scim.versions import Version


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer, decoded of its content coding. Field names are lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes
    manner: Manner = OKTA  # that of the request, in whose version it must be answered

    @property
    def media_type(self) -> str:
        return self.fields.get("content-type", "").partition(";")[0].strip().lower()


class Trouble(Enum):
    """Why no answer came."""

    NAME = "the host name cannot be resolved"
    CONNECT = "no connection"
    CERTIFICATE = "the certificate is not accepted"
    TLS = "the TLS handshake failed"
    HUNG_UP = "the connection ended before a complete answer"
    SILENCE = "no answer in time"
    TOO_LARGE = "the answer is too large"


class Failed(Exception):
    """A demand is not met; `reply` is the answer it was made of, `advice` what to do if that is special."""

    def __init__(self, note: str, reply: Reply | None = None, *, advice: str = "") -> None:
        super().__init__(note)
        self.note = note
        self.reply = reply
        self.advice = advice


class Unanswered(Exception):
    """No answer came."""

    def __init__(self, trouble: Trouble, note: str) -> None:
        super().__init__(note)
        self.trouble = trouble
        self.note = note


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    total: int
    resources: tuple[JsonObject, ...]


def the_object(reply: Reply) -> JsonObject:
    """The body as a JSON object; Okta shows "Invalid JSON" to its admins for anything else."""
    try:
        value: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise Failed(f"status {reply.status} with a body that is not JSON ({_kind(reply)})", reply) from None
    if not isinstance(value, dict):
        raise Failed(f"status {reply.status} with a body that is not a JSON object", reply)
    return value


def expect_status(reply: Reply, *statuses: int) -> None:
    if reply.status not in statuses:
        wanted = " or ".join(str(status) for status in statuses)
        raise Failed(f"expected status {wanted}, got {reply.status}{_detail(reply)}", reply)


def expect_page(reply: Reply) -> Page:
    """200 and a ListResponse whose numbers are integers."""
    expect_status(reply, 200)
    body = the_object(reply)
    _expect_schema(reply, body, reply.manner.list_schema)
    total = _integer(reply, body, "totalResults")
    resources = body.get("Resources", [])  # RFC 7644 section 3.4.2: may be absent when there are none
    if not isinstance(resources, list) or not all(isinstance(resource, dict) for resource in resources):
        raise Failed("`Resources` is not a list of objects", reply)
    if resources and reply.manner.version is Version.V2_0:  # the lists of Okta's page on 1.1 lack them
        _integer(reply, body, "startIndex")
        _integer(reply, body, "itemsPerPage")
    return Page(total, tuple(resources))


def expect_resource(reply: Reply, *statuses: int, schema: str) -> JsonObject:
    """A whole resource, with an `id` that is a string and no password in it."""
    expect_status(reply, *statuses)
    body = the_object(reply)
    _expect_schema(reply, body, schema)
    text_of(reply, body, "id")
    if any(name.lower() == "password" for name in body):
        raise Failed("the answer shows a password, which SCIM never returns", reply)
    return body


def expect_written(reply: Reply) -> None:
    """What a PATCH or PUT may answer: 200 with a resource, or 204 with nothing."""
    expect_status(reply, 200, 204)
    if reply.status == 200:
        text_of(reply, the_object(reply), "id")
    elif reply.body:
        raise Failed("status 204 with a body", reply)


def expect_error(reply: Reply, *statuses: int) -> None:
    """A SCIM Error (RFC 7644 section 3.12) whose `status` agrees with HTTP's, with a `detail` to show to an admin.

    Of SCIM 1.1 it is a list of errors, each with a description, whose codes agree.
    """
    expect_status(reply, *statuses)
    body = the_object(reply)
    if reply.manner.version is Version.V1_1:
        _expect_list_of_errors(reply, body)
        return
    _expect_schema(reply, body, ERROR_SCHEMA)
    if str(body.get("status")) != str(reply.status):
        raise Failed(f"the body's `status` is {body.get('status')!r}, HTTP's is {reply.status}", reply)
    text_of(reply, body, "detail")


def expect_refused(reply: Reply) -> None:
    """A SCIM Error that blames the request itself: 4xx, but not for its credential, its address or its haste."""
    if not 400 <= reply.status < 500 or reply.status in (401, 403, 404, 429):
        raise Failed(f"expected a refusal such as 400, got status {reply.status}{_detail(reply)}", reply)
    expect_error(reply, reply.status)


def text_of(reply: Reply, body: JsonObject, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Failed(f"`{name}` is missing, empty or not a string", reply)
    return value


def _expect_list_of_errors(reply: Reply, body: JsonObject) -> None:
    errors = _errors(body)
    if not errors:
        raise Failed("`Errors` is not a list of errors", reply)
    for error in errors:
        text_of(reply, error, "description")
        code = error.get("code", error.get("statusCode", reply.status))
        if str(code) != str(reply.status):
            raise Failed(f"the error's code is {code!r}, HTTP's is {reply.status}", reply)


def _errors(body: JsonObject) -> list[JsonObject]:
    """The errors that a message of SCIM 1.1 lists; Okta's connector SDK writes `errors`."""
    listed = body.get("Errors", body.get("errors"))
    if not isinstance(listed, list) or not all(isinstance(error, dict) for error in listed):
        return []
    return listed


def _integer(reply: Reply, body: JsonObject, name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Failed(f"`{name}` is not an integer", reply)
    return value


def _expect_schema(reply: Reply, body: JsonObject, schema: str) -> None:
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or schema not in schemas:
        raise Failed(f"`schemas` does not name {schema}", reply)


def _detail(reply: Reply) -> str:
    try:
        body = the_object(reply)
    except Failed:
        return f" ({_kind(reply)})" if reply.body else ""
    detail = next((error.get("description") for error in _errors(body)), body.get("detail"))
    return f": {detail}" if isinstance(detail, str) else ""


def _kind(reply: Reply) -> str:
    return reply.media_type or "no media type"
