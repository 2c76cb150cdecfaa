"""The PROXY protocol: headers of both versions, in any pieces, and everything that is none."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.proxy_protocol import (
    MAX_V1_BYTES,
    MAX_V2_BYTES,
    Announced,
    HeaderRefused,
    bytes_wanted,
    read_header,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64))
V1 = b"PROXY TCP4 203.0.113.9 10.0.0.5 51234 443\r\n"
FOUR = bytes([203, 0, 113, 9, 10, 0, 0, 5]) + (51234).to_bytes(2, "big") + (443).to_bytes(2, "big")
SIX = bytes.fromhex("20010db8000000000000000000000007" * 2) + FOUR[8:]
MAPPED = bytes(10) + b"\xff\xff" + FOUR[:4] + SIX[16:]
TLVS = b"\x02\x00\x04host" + b"\x03\x00\x04\x00\x00\x00\x00"


def v2(command: int, family: int, rest: bytes, size: int | None = None) -> bytes:
    return SIGNATURE + bytes([command, family]) + (len(rest) if size is None else size).to_bytes(2, "big") + rest


V2 = v2(0x21, 0x11, FOUR)
GOOD = [
    (V1, "203.0.113.9"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n", "1.1.1.1"),
    (b"PROXY TCP6 2001:DB8::7 ::1 51234 443\r\n", "2001:db8::7"),
    (b"PROXY TCP6 :: :: 1 1\r\n", "::"),
    (b"PROXY TCP6 ::ffff:203.0.113.9 ::ffff:10.0.0.5 51234 443\r\n", "203.0.113.9"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN 203.0.113.9 10.0.0.5 1 1\r\n", None),
    (b"PROXY UNKNOWN " + b"f" * (MAX_V1_BYTES - 16) + b"\r\n", None),  # the longest of all
    (V2, "203.0.113.9"),
    (v2(0x21, 0x21, SIX), "2001:db8::7"),
    (v2(0x21, 0x21, MAPPED), "203.0.113.9"),
    (v2(0x21, 0x11, FOUR + TLVS), "203.0.113.9"),
    (v2(0x21, 0x11, FOUR + bytes(MAX_V2_BYTES - 28)), "203.0.113.9"),
    (v2(0x21, 0x00, b""), None),
    (v2(0x20, 0x00, b""), None),
    (v2(0x20, 0x11, FOUR), None),  # LOCAL: what it holds is skipped
    (v2(0x20, 0x00, TLVS), None),
]
MALFORMED = [
    b"PROXY TCP4 203.0.113.9 10.0.0.5 51234\r\n",
    b"PROXY TCP4  203.0.113.9 10.0.0.5 51234 443\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.5 51234 443 \r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.5 51234 443\n\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.5 65536 443\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.5 051234 443\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.5 51234 0443\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0.5 -1 443\r\n",
    b"PROXY TCP4 203.0.113.09 10.0.0.5 51234 443\r\n",
    b"PROXY TCP4 203.0.113.256 10.0.0.5 51234 443\r\n",
    b"PROXY TCP4 203.0.113.9 10.0.0 51234 443\r\n",
    b"PROXY TCP4 2001:db8::7 ::1 51234 443\r\n",
    b"PROXY TCP6 203.0.113.9 10.0.0.5 51234 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 51234 443\r\n",
    b"PROXY UDP4 203.0.113.9 10.0.0.5 51234 443\r\n",
    b"PROXY tcp4 203.0.113.9 10.0.0.5 51234 443\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY \r\nsomething",
    b"PROXY GET / HTTP/1.1\r\n",
    v2(0x11, 0x11, FOUR),  # a version that is none
    v2(0x22, 0x11, FOUR),  # a command that is none
    v2(0x21, 0x12, FOUR),  # UDP
    v2(0x21, 0x31, bytes(216)),  # a UNIX socket
    v2(0x21, 0x01, FOUR),
    v2(0x21, 0x11, FOUR[:11]),
    v2(0x21, 0x21, SIX[:35]),
    v2(0x21, 0x11, b""),
]
MISSING = [
    b"GET / HTTP/1.1\r\n\r\n",
    CLIENT_HELLO,
    b"proxy TCP4 203.0.113.9 10.0.0.5 51234 443\r\n",
    b"PROXYTCP4 203.0.113.9 10.0.0.5 51234 443\r\n",
    b" PROXY TCP4",
    b"\r\nPROXY TCP4",
    b"\r\n\r\n\x00\r\nQUIT\r",
    b"\r\n\r\n\x00\r\nquit\n" + V2[12:],
    bytes(20),
]


def read_in_pieces(stream: bytes, at_once: int) -> tuple[Announced, bytes]:
    """As the listener does, with a kernel that gives so much at once; and what is left for TLS."""
    header = b""
    while wanted := bytes_wanted(header):
        piece = stream[len(header) : len(header) + min(wanted, at_once)]
        if not piece:
            raise EOFError
        header += piece
    return read_header(header), stream[len(header) :]


@pytest.mark.parametrize(("header", "address"), GOOD)
@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("after", [b"", CLIENT_HELLO, V1, b"\r\n"])
def test_a_header_in_any_pieces_is_read_and_nothing_behind_it(
    header: bytes, address: str | None, at_once: int, after: bytes
) -> None:
    assert read_in_pieces(header + after, at_once) == (Announced(address), after)


@pytest.mark.parametrize("header", [header for header, _ in GOOD if len(header) < 200])
def test_a_header_that_is_cut_off_is_never_taken_for_a_whole_one(header: bytes) -> None:
    for size in range(len(header)):
        with pytest.raises(EOFError):
            read_in_pieces(header[:size], 10_000)


@pytest.mark.parametrize("data", MALFORMED)
def test_a_malformed_header_is_refused(data: bytes) -> None:
    for at_once in (1, 10_000):
        with pytest.raises(HeaderRefused, match="proxy-header-malformed"):
            read_in_pieces(data + CLIENT_HELLO, at_once)


@pytest.mark.parametrize("data", MISSING)
def test_what_begins_like_no_header_is_refused_before_it_is_whole(data: bytes) -> None:
    for at_once in (1, 10_000):
        with pytest.raises(HeaderRefused, match="proxy-header-missing"):
            read_in_pieces(data, at_once)


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY TCP4 " + b"1" * 200,
        b"PROXY UNKNOWN " + b"f" * (MAX_V1_BYTES - 15) + b"\r\n",  # by one byte
        b"PROXY UNKNOWN " + b"f" * (MAX_V1_BYTES - 15) + b"\r" + b"\n",
        v2(0x21, 0x11, FOUR + bytes(MAX_V2_BYTES - 27)),
        v2(0x20, 0x00, b"", size=65_535),
    ],
)
def test_a_header_beyond_its_limit_is_refused_unread(data: bytes) -> None:
    for at_once in (1, 2, 10_000):
        with pytest.raises(HeaderRefused, match="proxy-header-too-long"):
            read_in_pieces(data, at_once)


@given(st.binary(max_size=300) | st.binary(max_size=150).map(b"PROXY ".__add__) | st.binary(max_size=99).map(V2.__add__)
       | st.binary(max_size=300).map(SIGNATURE.__add__))  # fmt: skip
def test_any_bytes_are_a_header_or_refused_or_too_few(data: bytes) -> None:
    try:
        announced, after = read_in_pieces(data, 10_000)
    except (HeaderRefused, EOFError):
        return
    assert data.startswith((b"PROXY ", SIGNATURE))
    assert data.endswith(after)
    assert announced == read_header(data[: len(data) - len(after)])


@given(st.ip_addresses(v=4), st.ip_addresses(v=6), st.integers(0, 65_535), st.binary(max_size=64))
def test_both_versions_announce_what_was_written(
    four: IPv4Address, six: IPv6Address, port: int, additions: bytes
) -> None:
    ports = port.to_bytes(2, "big") * 2
    for header, address in (
        (f"PROXY TCP4 {four} {four} {port} {port}\r\n".encode(), four),
        (f"PROXY TCP6 {six} {six} {port} {port}\r\n".encode(), six.ipv4_mapped or six),
        (v2(0x21, 0x11, four.packed * 2 + ports + additions), four),
        (v2(0x21, 0x21, six.packed * 2 + ports + additions), six.ipv4_mapped or six),
    ):
        assert read_in_pieces(header + CLIENT_HELLO, 10_000) == (Announced(str(address)), CLIENT_HELLO)
