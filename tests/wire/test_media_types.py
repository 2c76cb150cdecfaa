"""Media types: strict for requests, lax for answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.media_types import answer_is_json, media_type_is_json, media_type_is_scim


@pytest.mark.parametrize(
    "value",
    [
        "application/scim+json",
        "application/json",
        "Application/SCIM+Json",
        "application/scim+json; charset=utf-8",
        "application/scim+json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ; charset=utf-8 ; a=b",
        "application/json;",
        "application/json; version=2.0",
        'application/json; a="x;charset=latin-1"',
    ],
)
def test_scims_media_types_are_taken_in_any_dress(value: str) -> None:
    assert media_type_is_scim(value)


@pytest.mark.parametrize(
    "value",
    [None, "", "json", "text/json", "text/html", "application/xml", "application/problem+json", "application/json+scim",
     "application/jsonx", "xapplication/json", " application/json", "application/json, text/html", "application /json",
     "application/json charset=utf-8", "application/json; charset=latin-1", "application/json; charset=utf-16",
     "application/json; charset=utf-8; charset=utf-8", "application/json; charset=utf-8; charset=latin-1",
     "application/json; charset", "application/json; charset =utf-8", 'application/json; charset="utf-8',
     "application/json; charset=", "application/json\n", "application/json\x00", "multipart/form-data", "*/*"],
)  # fmt: skip
def test_any_other_media_type_is_not_scim(value: str | None) -> None:
    assert not media_type_is_scim(value)


@pytest.mark.parametrize(
    ("value", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ("application/scim+json", False),
        ("application/json; charset=latin-1", False),
        (None, False),
    ],
)
def test_scim_1_1_is_plain_json(value: str | None, is_json: bool) -> None:
    assert media_type_is_json(value) is is_json


@pytest.mark.parametrize(
    ("value", "is_json"),
    [
        ("application/scim+json", True),
        ("application/json", True),
        ("text/json;charset=UTF-8", True),  # as in Okta's own samples
        ("APPLICATION/PROBLEM+JSON", True),
        ("application/json; charset", True),
        ("text/html", False),
        ("text/plain", False),
        ("", False),
        (None, False),
    ],
)
def test_an_answer_is_json_by_its_type_alone(value: str | None, is_json: bool) -> None:
    assert answer_is_json(value) is is_json


@given(st.text())
def test_no_text_makes_them_fall(value: str) -> None:
    assert not (media_type_is_scim(value) and not answer_is_json(value))
