"""Who calls behind proxies: read from the right, as far as trust goes, and never further."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.fields import Fields
from gateway.wire.forwarded import MAX_ELEMENT_CHARACTERS, MAX_HOPS, ForwardedHeader, Proxies, nearest_stranger

PEER = "10.0.0.5"  # a trusted proxy
PROXIES = Proxies.of(["10.0.0.0/24", "2001:db8:1::/64"])


def caller(header: ForwardedHeader, *values: str, peer: str = PEER) -> str:
    name = "Forwarded" if header == "forwarded" else "X-Forwarded-For"
    return nearest_stranger(peer, Fields(tuple((name, value) for value in values)), header, PROXIES)


@pytest.mark.parametrize(
    ("values", "who"),
    [
        ((), PEER),
        (("203.0.113.9",), "203.0.113.9"),
        (("198.51.100.1, 203.0.113.9",), "203.0.113.9"),  # what a stranger wrote stands left of his address
        (("203.0.113.9, 10.0.0.7",), "203.0.113.9"),  # two proxies
        (("203.0.113.9,10.0.0.7 ,\t10.0.0.8",), "203.0.113.9"),
        (("198.51.100.1", "203.0.113.9"), "203.0.113.9"),  # a proxy that adds a line of its own
        (("203.0.113.9", "10.0.0.7"), "203.0.113.9"),
        (("10.0.0.7, 10.0.0.8",), "10.0.0.7"),  # a proxy calls by itself
        (("203.0.113.9:51234",), "203.0.113.9"),
        (("2001:db8::7",), "2001:db8::7"),
        (("[2001:db8::7]",), "2001:db8::7"),
        (("[2001:DB8::7]:443",), "2001:db8::7"),
        (("203.0.113.9, 2001:db8:1::1",), "203.0.113.9"),
        (("::ffff:203.0.113.9",), "203.0.113.9"),
        (("203.0.113.9, ::ffff:10.0.0.7",), "203.0.113.9"),
        (("::ffff:203.0.113.9, unknown, 10.0.0.7",), "10.0.0.7"),
        (("unknown",), PEER),
        (("203.0.113.9, unknown",), PEER),
        (("203.0.113.9, ",), PEER),
        (("203.0.113.9,, 10.0.0.7",), "10.0.0.7"),
        (("",), PEER),
        (("203.0.113.9; 10.0.0.7",), PEER),
        (("203.0.113.009",), PEER),
        (("203.0.113.9:",), PEER),
        (("203.0.113",), PEER),
        (("[203.0.113.9]",), PEER),
        (("[2001:db8::7",), PEER),
        (("2001:db8::7]",), PEER),
        (("fe80::1%eth0",), PEER),
        (("localhost",), PEER),
        (("_hidden",), PEER),
        (("for=203.0.113.9",), PEER),
        (("203.0.113.9\udcff",), PEER),
        (('"203.0.113.9',), PEER),
        (('"198.51.100.1, 203.0.113.9',), "203.0.113.9"),
    ],
)
def test_x_forwarded_for_is_read_from_the_right_as_far_as_trust_goes(values: tuple[str, ...], who: str) -> None:
    assert caller("x-forwarded-for", *values) == who


@pytest.mark.parametrize(
    ("values", "who"),
    [
        ((), PEER),
        (("for=203.0.113.9",), "203.0.113.9"),
        (("For=203.0.113.9;proto=https;by=10.0.0.5",), "203.0.113.9"),
        (('by="[2001:db8:1::1]"; for="203.0.113.9:51234"',), "203.0.113.9"),
        (('for="[2001:db8::7]"',), "2001:db8::7"),
        (('for="[2001:db8::7]:_port"',), "2001:db8::7"),
        (("for=198.51.100.1, for=203.0.113.9",), "203.0.113.9"),
        (("for=198.51.100.1, for=203.0.113.9, for=10.0.0.7",), "203.0.113.9"),
        (("for=198.51.100.1", 'for="203.0.113.9"'), "203.0.113.9"),
        (('for=203.0.113.9;host="a,b"',), "203.0.113.9"),
        (('for=203.0.113.9;host="a\\",for=198.51.100.1;b=\\""',), "203.0.113.9"),
        (('for="198.51.100.1, for=203.0.113.9',), "203.0.113.9"),  # his stray quote swallows nothing
        (('for=198.51.100.1;x=", for="[2001:db8::7]"',), "2001:db8::7"),
        (("for=203.0.113.9;;proto=http;",), "203.0.113.9"),
        (("for=unknown",), PEER),
        (("for=203.0.113.9, for=_hidden",), PEER),
        (("for=203.0.113.9, for=unknown, for=10.0.0.7",), "10.0.0.7"),
        (("proto=https",), PEER),
        (("for=203.0.113.9;for=198.51.100.1",), PEER),
        (("for=203.0.113.9:51234",), PEER),  # a colon needs quotes
        (("for=2001:db8::7",), PEER),
        (('for="2001:db8::7"',), PEER),  # an IPv6 address needs brackets
        (('for="203.0.113.9\\"',), PEER),
        (('for="203.0.113.9',), PEER),
        (('for="203.0.113\\.9"',), PEER),
        (("for = 203.0.113.9",), PEER),
        (("203.0.113.9",), PEER),
        (("",), PEER),
    ],
)
def test_forwarded_is_read_from_the_right_as_far_as_trust_goes(values: tuple[str, ...], who: str) -> None:
    assert caller("forwarded", *values) == who


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
def test_whoever_is_no_trusted_proxy_is_not_believed(header: ForwardedHeader) -> None:
    assert caller(header, "203.0.113.9", "for=203.0.113.9", peer="198.51.100.1") == "198.51.100.1"
    assert caller(header, "203.0.113.9", "for=203.0.113.9", peer="unknown") == "unknown"


def test_only_the_header_of_the_settings_is_read() -> None:
    fields = Fields((("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=198.51.100.1")))

    assert nearest_stranger(PEER, fields, "none", PROXIES) == PEER
    assert nearest_stranger(PEER, fields, "x-forwarded-for", PROXIES) == "203.0.113.9"
    assert nearest_stranger(PEER, fields, "forwarded", PROXIES) == "198.51.100.1"
    assert nearest_stranger(PEER, Fields(fields.pairs[:1]), "forwarded", PROXIES) == PEER


def test_a_row_of_proxies_is_followed_only_so_far() -> None:
    row = ", ".join(["203.0.113.9", *["10.0.0.7"] * (MAX_HOPS - 1)])

    assert caller("x-forwarded-for", row) == "203.0.113.9"
    assert caller("x-forwarded-for", row + ", 10.0.0.8") == "10.0.0.7"


def test_an_element_that_is_too_long_ends_the_way() -> None:
    padding = "a" * (MAX_ELEMENT_CHARACTERS - len("for=203.0.113.9;host="))

    assert caller("forwarded", f"for=203.0.113.9;host={padding}") == "203.0.113.9"
    assert caller("forwarded", f"for=203.0.113.9;host={padding}a") == PEER


@pytest.mark.parametrize("piece", ['"', '\\"', "for=10.0.0.7;", "10.0.0.7,", 'for="\\', ";", "for=10.0.0.7,"])
def test_no_value_takes_long(piece: str) -> None:
    began = time.process_time()
    for header in ("x-forwarded-for", "forwarded"):
        for start in range(2):
            caller(header, *[(piece * 9000)[start : start + 8190]] * 4)

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("piece", [";  ", "  ;", "a=b;  ", " ; a=b", 'a="b";  ', "a", 'a="\\'])
@pytest.mark.parametrize("end", ["@", '"', "=", ""])
def test_no_element_can_be_read_in_many_ways(piece: str, end: str) -> None:
    element = (piece * MAX_ELEMENT_CHARACTERS)[: MAX_ELEMENT_CHARACTERS - 1] + end
    began = time.process_time()
    caller("forwarded", element)

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "element", ["for=203.0.113.9 ; host=a", ";;for=203.0.113.9;", 'proto="https"; for=203.0.113.9']
)
def test_blanks_and_empty_pairs_are_allowed_where_the_rfc_has_them(element: str) -> None:
    assert caller("forwarded", element) == "203.0.113.9"


@given(
    written=st.text(alphabet='0123456789abcdef.:,;="\\[] _for%', max_size=80),
    client=st.ip_addresses().map(str).filter(lambda address: address not in PROXIES and "ffff" not in address),
)
def test_nothing_that_a_stranger_writes_changes_what_the_proxy_says_of_him(written: str, client: str) -> None:
    node = f'"[{client}]"' if ":" in client else client

    assert caller("x-forwarded-for", f"{written}, {client}") == client
    assert caller("x-forwarded-for", written, client) == client
    assert caller("forwarded", f"{written}, for={node};proto=https") == client
    assert caller("forwarded", written, f"for={node}") == client
