"""What Okta demands of answers: what passes, what does not, and that no answer breaks the judge."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rehearsal.messages import ERROR_SCHEMA, LIST_SCHEMA, USER_SCHEMA
from gateway.rehearsal.replies import (
    Failed,
    Reply,
    expect_error,
    expect_page,
    expect_refused,
    expect_resource,
    expect_written,
)

LIST = {"schemas": [LIST_SCHEMA], "totalResults": 1, "startIndex": 1, "itemsPerPage": 1, "Resources": [{"id": "1"}]}
ERROR = {"schemas": [ERROR_SCHEMA], "status": "404", "detail": "Not found"}
USER = {"schemas": [USER_SCHEMA], "id": "1", "userName": "ada"}


def reply(status: int, body: object) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {"content-type": "application/scim+json"}, content)


def expect_user(answer: Reply) -> None:
    expect_resource(answer, 200, schema=USER_SCHEMA)


def expect_not_found(answer: Reply) -> None:
    expect_error(answer, 404)


@pytest.mark.parametrize(
    ("demand", "answer"),
    [
        (expect_page, reply(200, LIST)),
        (expect_page, reply(200, {"schemas": [LIST_SCHEMA], "totalResults": 0})),
        (expect_user, reply(200, USER)),
        (expect_written, reply(200, USER)),
        (expect_written, reply(204, b"")),
        (expect_not_found, reply(404, ERROR)),
        (expect_not_found, reply(404, {**ERROR, "status": 404})),
        (expect_refused, reply(400, {**ERROR, "status": "400"})),
        (expect_refused, reply(422, {**ERROR, "status": "422"})),
    ],
)
def test_what_okta_accepts_passes(demand: Callable[[Reply], object], answer: Reply) -> None:
    demand(answer)


@pytest.mark.parametrize(
    ("demand", "answer", "note"),
    [
        (expect_page, reply(200, {**LIST, "totalResults": "1"}), "`totalResults` is not an integer"),
        (expect_page, reply(200, {**LIST, "totalResults": True}), "`totalResults` is not an integer"),
        (expect_page, reply(200, {**LIST, "itemsPerPage": "1"}), "`itemsPerPage` is not an integer"),
        (expect_page, reply(200, {**LIST, "Resources": {}}), "not a list"),
        (expect_page, reply(200, {**LIST, "schemas": [USER_SCHEMA]}), "`schemas`"),
        (expect_page, reply(200, []), "not a JSON object"),
        (expect_page, reply(404, ERROR), "expected status 200, got 404: Not found"),
        (expect_user, reply(200, b""), "not JSON"),
        (expect_user, reply(200, {**USER, "id": 7}), "`id`"),
        (expect_user, reply(200, {**USER, "Password": "x"}), "password"),
        (expect_user, reply(201, USER), "expected status 200"),
        (expect_written, reply(200, b""), "not JSON"),
        (expect_written, reply(204, USER), "204 with a body"),
        (expect_not_found, reply(404, {**ERROR, "status": "400"}), "HTTP's is 404"),
        (expect_not_found, reply(404, {**ERROR, "detail": ""}), "`detail`"),
        (expect_not_found, reply(404, {"Errors": [{"description": "x", "code": 404}]}), "`schemas`"),
        (expect_not_found, reply(404, b"<html>"), "not JSON"),
        (expect_refused, reply(500, {**ERROR, "status": "500"}), "got status 500"),
        (expect_refused, reply(201, USER), "got status 201"),
        (expect_refused, reply(429, {**ERROR, "status": "429"}), "got status 429"),
    ],
)
def test_what_okta_stumbles_over_fails_and_is_named(
    demand: Callable[[Reply], object], answer: Reply, note: str
) -> None:
    with pytest.raises(Failed) as failure:
        demand(answer)

    assert note in failure.value.note
    assert failure.value.reply == answer


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schemas", "id", "totalResults", "Resources", "detail", "status", "x"]), inner
        )
    ),
    max_leaves=8,
)


@given(
    status=st.sampled_from([200, 201, 204, 400, 404, 500]),
    content=st.binary() | _JSON.map(lambda value: json.dumps(value).encode()),
)
def test_no_answer_whatever_breaks_the_judge(status: int, content: bytes) -> None:
    for demand in (expect_page, expect_user, expect_written, expect_not_found, expect_refused):
        with contextlib.suppress(Failed):
            demand(reply(status, content))
