"""Targets and Host fields: what passes is passed on as it came; what two readers could read in two ways is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.wire.target import host_is_ours, host_is_wellformed, read_target

OURS = frozenset({"scim.example.com", "scim.example.com:443", "[2001:db8::1]:8443"})


@pytest.mark.parametrize(
    ("raw", "path", "query"),
    [
        ("/", "/", None),
        ("/scim/t/v2/Users", "/scim/t/v2/Users", None),
        ("/scim/t/v2/Users/", "/scim/t/v2/Users/", None),
        ("/Users?", "/Users", ""),
        ("/Users?a=?&b=/", "/Users", "a=?&b=/"),
        ("/Users?filter=userName%20eq%20%22a%40b.c%22", "/Users", "filter=userName%20eq%20%22a%40b.c%22"),
        ("/Users?filter=userName+eq+%22a%2Bb%22", "/Users", "filter=userName+eq+%22a%2Bb%22"),
        ("/Users?filter=emails[type+eq+%22work%22]", "/Users", "filter=emails[type+eq+%22work%22]"),
        ("/Users?a=%41%25%2f%2e", "/Users", "a=%41%25%2f%2e"),
        ("/Users/a%40b.c", "/Users/a%40b.c", None),
        ("/Users/a%20b", "/Users/a%20b", None),
        ("/Users/j%C3%B6rg", "/Users/j%C3%B6rg", None),
        ("/Users/j%c3%b6rg", "/Users/j%c3%b6rg", None),
        ("/Users/...", "/Users/...", None),
        ("/Users/.search", "/Users/.search", None),
        (
            "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
            "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
            None,
        ),
        ("https://scim.example.com/Users", "/Users", None),
        ("HTTPS://SCIM.Example.COM:443/Users?a=b", "/Users", "a=b"),
        ("http://scim.example.com", "/", None),
        ("http://scim.example.com?a=b", "/", "a=b"),
        ("https://[2001:db8::1]:8443/Users", "/Users", None),
    ],
)
def test_a_plain_target_passes_unchanged(raw: str, path: str, query: str | None) -> None:
    assert read_target(raw, OURS) == (path, query)


MALFORMED = [
    # forms
    "", "*", "Users", "scim.example.com:443", "scim.example.com", "@evil.example/", ".evil", "?a=b", "mailto:x",
    "ftp://scim.example.com/", "https:/scim.example.com/", "https:scim.example.com/", "https:///Users", "http://",
    "https://scim.example.com/a//b", "https://scim.example.com//a", "https://scim.example.com/../a",
    "https://scim.example.com#f", " /Users", "/Users ",
    # authorities
    "https://user@scim.example.com/", "https://user:pw@scim.example.com/", "https://scim.example.com@evil.example/",
    "https://evil.example\\@scim.example.com/", "https://scim.example.com:/", "https://scim.example.com:70000/",
    "https://scim.example.com:443:443/", "https://scim.example.com,evil/", "https://scim.example.com%2f/",
    "https://[2001:db8::1/", "https://[zz]:8443/", "https://2001:db8::1/", "https://scim.example.com\t/",
    "https://scim.example.com./",
    # empty and dot segments
    "//evil.example/", "//", "/Users//1", "/Users//", "/.", "/..", "/./Users", "/../Users", "/Users/..", "/Users/.",
    "/Users/./1", "/Users/../Groups", "/Users/../../etc",
    "/%2e", "/%2E/", "/%2e%2e/x", "/%2E%2e/x", "/.%2e/x", "/%2e./x", "/Users/%2E.", "/Users/.%2E/",
    # encoded delimiters, controls, double encoding
    "/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a%00", "/a%0a", "/a%0D%0A", "/a%1f", "/a%7f", "/a%7F", "/a%09", "/a%3bb",
    "/a%3Bb", "/a%3fb", "/a%3Fb", "/a%23b", "/a%25", "/a%252f", "/a%252e%252e", "/a%2541",
    # second spellings
    "/%55sers", "/Us%65rs", "/Users/%31", "/Users/%7e", "/Users/%2D", "/Users/%5f",
    # raw characters
    "/a\\b", "/..\\x", "/a;b", "/a;jsessionid=1", "/..;/x", "/a#b", "/a?b#c", "/a b", "/a\tb", "/a\nb", "/a\rb",
    "/a\x00", "/a\x7f", "/a\x1f", "/a\xe9", "/a\u2215b", "/a\udcff", '/a"b', "/a<b", "/a>b", "/a[b", "/a]b",
    "/a^b", "/a`b", "/a{b", "/a|b", "/a}b",
    # bad escapes, and escapes that are not UTF-8 or pose as ASCII
    "/%", "/%2", "/%zz", "/%u002f", "/%%32%65", "/a%c0%af", "/a%c0%ae", "/a%e0%80%af", "/a%ff", "/a%ed%a0%80", "/a%c3",
    "/a%c2%85", "/a%ef%bc%8f", "/%ef%bc%8e%ef%bc%8e", "/%e2%80%a5/x", "/a%ef%bc%bc", "/a%e2%80%a4", "/a%ef%bc%9b",
    # queries
    "/a?b;c", "/a?b c", "/a?b\tc", "/a?b\x00", "/a?b\xe9", "/a?b\udc80", '/a?"', "/a?<", "/a?>", "/a?{", "/a?}", "/a?|",
    "/a?\\", "/a?^", "/a?`", "/a?#", "/a?%", "/a?%g0", "/a?%0", "/a?%00", "/a?%0d%0aX:1", "/a?%7F", "/a?%1F",
    # length
    "/" + "a" * 8000, "/a?" + "b" * 8000,
]  # fmt: skip


@pytest.mark.parametrize("raw", MALFORMED, ids=lambda raw: repr(raw[:40]))
def test_a_target_that_can_be_read_in_two_ways_is_refused(raw: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_target(raw, OURS)

    assert refused.value.reason is Reason.TARGET_MALFORMED


@pytest.mark.parametrize(
    "raw",
    [
        "http://evil.example/Users",
        "https://scim.example.com:8443/Users",
        "https://scim.example.com.evil.example/",
        "https://evil.example?https://scim.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[2001:db8::1]/",
    ],
)
def test_an_absolute_form_that_names_another_server_is_refused(raw: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_target(raw, OURS)

    assert refused.value.reason is Reason.TARGET_FOREIGN


def test_a_target_of_8000_bytes_passes_and_one_more_does_not() -> None:
    longest = "/" + "a" * 7999

    assert read_target(longest, OURS) == (longest, None)
    with pytest.raises(Refusal):
        read_target(longest + "a", OURS)


@given(st.text(st.sampled_from("/.%2eE5cC0fF;#?\\aA\t @:[]é\udc80"), max_size=24))
def test_whatever_passes_has_one_reading(raw: str) -> None:
    try:
        path, query = read_target("/" + raw, OURS)
    except Refusal as refusal:
        assert refusal.reason is Reason.TARGET_MALFORMED
        return
    whole = path if query is None else f"{path}?{query}"
    assert whole == "/" + raw
    assert not {"", ".", ".."} & set(path.strip("/").split("/")) or path == "/"
    assert path.isascii()


@given(st.text())
def test_no_text_makes_the_reader_fall(raw: str) -> None:
    try:
        read_target(raw, OURS)
    except Refusal as refusal:
        assert refusal.reason in (Reason.TARGET_MALFORMED, Reason.TARGET_FOREIGN)


@pytest.mark.parametrize(
    "value",
    [
        "scim.example.com",
        "SCIM.example.com:443",
        "a",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::ffff:1.2.3.4]:65535",
        "a_b.c",
    ],
)
def test_a_wellformed_host_is_one(value: str) -> None:
    assert host_is_wellformed(value)


@pytest.mark.parametrize(
    "value",
    ["", " a", "a ", "a b", "a,b", "a@b", "a/b", "a:", "a:x", "a:65536", "a:1:2", ":1", "[", "[]", "[::1", "::1",
     "[1.2.3.4]", "[fe80::1%25eth0]", "[::1]x", "a%2eb", "a\\b", "a#b", "a?b", "a\x00", "a\tb", "ä.example", "a:\u0661",
     "-a", "a.", "a" * 300],
)  # fmt: skip
def test_a_host_that_is_none_is_seen(value: str) -> None:
    assert not host_is_wellformed(value)
    assert not host_is_ours(value, frozenset({value.lower()}))


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        ("scim.example.com", True),
        ("SCIM.EXAMPLE.COM:443", True),
        ("scim.example.com:444", False),
        ("evil.example", False),
    ],
)
def test_a_host_is_ours_by_name_and_port(value: str, ours: bool) -> None:
    assert host_is_ours(value, OURS) is ours


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/scim/a/v1//Users", "/scim/a/v1/Users"),
        ("/scim/a/v1//Users/1?x=//", "/scim/a/v1/Users/1"),
        ("https://scim.example.com/scim/a/v1//Users", "/scim/a/v1/Users"),
        ("/scim/a/v1//", "/scim/a/v1/"),
        ("/scim/a/v1/Users", "/scim/a/v1/Users"),
    ],
)
def test_a_base_url_that_ends_in_a_slash_may_double_it(raw: str, path: str) -> None:
    assert read_target(raw, OURS, ("/scim/b/v1", "/scim/a/v1"))[0] == path


@pytest.mark.parametrize(
    "raw",
    ["/scim/a/v1///Users", "/scim/a/v1//Users//1", "/scim//a/v1/Users", "//scim/a/v1/Users",
     "/scim/a/v1/Users//1", "/scim/a/v2//Users", "/scim/a/v11//Users", "/scim/a/v1//../Users", "/scim/a/v1/%2fUsers",
     "/x/scim/a/v1//Users", "/scim/a/V1//Users"],
)  # fmt: skip
def test_no_other_slash_is_doubled(raw: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_target(raw, OURS, ("/scim/a/v1",))

    assert refused.value.reason is Reason.TARGET_MALFORMED
