"""Links show the public address outside and the upstream's inside, and nothing of the inside leaks."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.scim.documents import Document
from gateway.scim.links import public_location, publish_links, rewrite_links

INSIDE = "http://jira-1.internal:5501/scim/t/v2"
OUTSIDE = "https://scim.example.com/okta/v2"
FROM = (INSIDE, "http://jira-2.internal:5501/scim/t/v2")


def published(answer: Document) -> bool:
    return publish_links(answer, orjson.dumps(answer), from_bases=FROM, to_base=OUTSIDE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"{INSIDE}/Users/1", f"{OUTSIDE}/Users/1"),
        (INSIDE, OUTSIDE),
        (f"{INSIDE}/", f"{OUTSIDE}/"),
        (f"{INSIDE}?a=b", OUTSIDE),
        ("HTTP://Jira-1.Internal:5501/scim/t/v2/Users/A%40b", f"{OUTSIDE}/Users/A%40b"),
        ("http://jira-2.internal:5501/scim/t/v2/Users/1", f"{OUTSIDE}/Users/1"),
        ("https://jira.corp/scim/t/v2/Users/1", f"{OUTSIDE}/Users/1"),  # the upstream's own idea of its name
        ("http://10.0.0.7/jira/scim/t/v2/Users/1", f"{OUTSIDE}/Users/1"),
        ("/scim/t/v2/Users/1", f"{OUTSIDE}/Users/1"),
        ("//jira-1/scim/t/v2/Users/1", f"{OUTSIDE}/Users/1"),
        (f"{OUTSIDE}/Users/1", f"{OUTSIDE}/Users/1"),
        ("../Users/1", "../Users/1"),
        ("/Users/1", "/Users/1"),
        ("Users/1", "Users/1"),
        ("urn:uuid:1", "urn:uuid:1"),
        ("", ""),
        (f"{INSIDE}0/Users/1", None),
        ("http://jira-1.internal:5501/secure/Dashboard.jspa", None),
        ("http://jira-1.internal:5501.evil.example/x", None),
        ("https://user:pw@jira.corp/x", None),
        ("//jira-1.internal/x", None),
        ("\\\\jira-1\\share", None),
        ("HTTPS:jira.corp/x", None),
        ("ftp://jira.corp/x", None),
        ("https://scim.example.com.internal/okta/v2/Users/1", None),
        ("https://scim.example.com/okta/v2@jira.corp/", None),
        (f"{INSIDE}/Users/1\r\nSet-Cookie: a=b", None),
        (f"{INSIDE}/Users/é", None),
    ],
)
def test_a_link_is_shown_in_public_form_or_not_at_all(value: str, shown: str | None) -> None:
    assert public_location(value, from_bases=FROM, to_base=OUTSIDE) == shown


def test_a_base_is_compared_without_case_on_both_sides() -> None:
    resource: Document = {"manager": {"$ref": "https://scim.EXAMPLE.com/v2/Users/1"}}

    assert rewrite_links(resource, orjson.dumps(resource), from_bases=("https://Scim.example.com/v2",), to_base=INSIDE)
    assert resource == {"manager": {"$ref": f"{INSIDE}/Users/1"}}


@given(st.text(st.sampled_from("/scimt2v.:@?#ahp\\")) | st.text())
def test_no_link_shows_the_inside(rest: str) -> None:
    for value in (f"http://jira-1.internal{rest}", f"//jira-1.internal{rest}", f"{INSIDE}{rest}"):
        shown = public_location(value, from_bases=FROM, to_base=OUTSIDE)
        assert shown is None or "jira-1.internal" not in shown


def test_every_link_of_a_list_is_published_and_strange_ones_are_dropped() -> None:
    answer: Document = {
        "totalResults": 1,
        "Resources": [
            {
                "id": "1",
                "meta": {"Location": f"{INSIDE}/Users/1", "resourceType": "User"},
                "groups": [
                    {"value": "g", "$ref": f"{INSIDE}/Groups/g"},
                    {"value": "h", "$REF": "http://other.internal/h"},
                ],
                "manager": {"$ref": None, "value": "2"},
                "location": f"{INSIDE}/not-a-link",
                "profileUrl": "http://intranet/ada",
            }
        ],
    }

    assert published(answer)
    assert answer["Resources"] == [
        {
            "id": "1",
            "meta": {"Location": f"{OUTSIDE}/Users/1", "resourceType": "User"},
            "groups": [{"value": "g", "$ref": f"{OUTSIDE}/Groups/g"}, {"value": "h"}],
            "manager": {"$ref": None, "value": "2"},
            "location": f"{INSIDE}/not-a-link",
            "profileUrl": "http://intranet/ada",
        }
    ]


def test_an_answer_without_links_is_left_alone() -> None:
    answer: Document = {"id": "1", "meta": {"location": f"{OUTSIDE}/Users/1"}}

    assert not published(answer)


def test_what_comes_in_gets_the_upstreams_links_back_and_others_stay() -> None:
    resource: Document = {
        "meta": {"location": f"{OUTSIDE}/Users/1"},
        "groups": [{"$ref": f"{OUTSIDE}/Groups/1"}, {"$ref": "https://other.example/x"}, {"$ref": f"{OUTSIDE}0/x"}],
        "manager.$ref": f"{OUTSIDE}/Users/2",
        "meta.location": f"{OUTSIDE}/Users/1",
    }

    assert rewrite_links(resource, orjson.dumps(resource), from_bases=(OUTSIDE,), to_base=INSIDE)
    assert resource == {
        "meta": {"location": f"{INSIDE}/Users/1"},
        "groups": [{"$ref": f"{INSIDE}/Groups/1"}, {"$ref": "https://other.example/x"}, {"$ref": f"{OUTSIDE}0/x"}],
        "manager.$ref": f"{INSIDE}/Users/2",
        "meta.location": f"{INSIDE}/Users/1",
    }


def test_what_comes_in_without_our_links_is_left_alone() -> None:
    resource: Document = {"meta": {"location": "https://other.example/Users/1"}, "active": True}

    assert not rewrite_links(resource, orjson.dumps(resource), from_bases=(OUTSIDE,), to_base=INSIDE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"manager": {"$REF": "%b"}}',
        b'{"manager": {"\\u0024ref": "%b"}}',
        b'{"Meta": {"LOCATION": "%b"}}',
        b'{"meta": {"loc\\u0061tion": "%b"}}',
        b'{"meta.Location": "%b"}',
    ],
)
def test_a_link_that_comes_in_is_found_however_its_name_is_spelt(body: bytes) -> None:
    written = body % f"{OUTSIDE}/Users/1".encode()
    resource: Document = orjson.loads(written)

    assert rewrite_links(resource, written, from_bases=(OUTSIDE,), to_base=INSIDE)
    assert f"{INSIDE}/Users/1".encode() in orjson.dumps(resource)


def test_links_nested_ever_so_deep_are_published() -> None:
    innermost: Document = {"$ref": f"{INSIDE}/Users/1"}
    answer: Document = {"a": [innermost], "meta": [{"location": f"{INSIDE}/Users/1"}]}
    meta = answer["meta"]
    for _ in range(5000):
        answer = {"a": [answer]}

    body = b'{"a": [' * 5000 + b'{"a": [{"$ref": "x"}], "meta": [{"location": "x"}]}' + b"]}" * 5000
    assert publish_links(answer, body, from_bases=FROM, to_base=OUTSIDE)
    assert innermost == {"$ref": f"{OUTSIDE}/Users/1"}
    assert meta == [{"location": f"{OUTSIDE}/Users/1"}]


NAMES = st.sampled_from(["meta", "Meta", "location", "LOCATION", "$ref", "$Ref", "Resources", "id", 'x"location'])
LINKS = st.sampled_from([f"{INSIDE}/Users/1", f"{OUTSIDE}/Users/1", "http://other.internal/", 'location"', "$ref", ""])
VALUES = st.recursive(
    LINKS | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(NAMES, VALUES, max_size=4), st.booleans())
def test_what_a_document_can_hold_is_told_by_its_bytes_as_by_its_names(document: Document, escaped: bool) -> None:
    body = orjson.dumps(document)
    if escaped:  # as another serializer may spell it
        body = body.replace(b'"location"', b'"\\u006cocation"').replace(b'"$ref"', b'"\\u0024ref"')
    by_bytes, by_names = orjson.loads(body), orjson.loads(body)

    changed = publish_links(by_bytes, body, from_bases=FROM, to_base=OUTSIDE)

    publish_links(by_names, b'"$ref"', from_bases=FROM, to_base=OUTSIDE)
    assert by_bytes == by_names
    assert changed or by_bytes == orjson.loads(body)


def test_of_a_name_that_comes_twice_the_first_link_does_not_stay_in_the_bytes() -> None:
    body = b'{"id": "1", "meta": {"location": "http://node-7/x"}, "meta": {}}'

    assert publish_links(orjson.loads(body), body, from_bases=FROM, to_base=OUTSIDE)


@pytest.mark.parametrize(
    "link", [" http://jira-1.internal:5501/x", "url:http://jira-1.internal/x", "x://jira-1.internal", "\u00a0//host/x"]
)
def test_an_address_that_hides_behind_something_is_not_shown(link: str) -> None:
    answer: Document = {"id": "1", "meta": {"location": link}}

    assert published(answer)
    assert answer == {"id": "1", "meta": {}}
