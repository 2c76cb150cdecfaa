"""The PROXY protocol, versions 1 and 2: whom a balancer speaks for, in the first bytes of its connection. Pure.

The source is HAProxy's proxy-protocol.txt. The header comes before TLS, and whatever follows it is another reader's,
so nobody may read beyond it: `bytes_wanted` says how many of the next bytes are the header's for certain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

MAX_V1_BYTES = 107  # with CRLF, by the specification
MAX_V2_BYTES = 4096  # with its additions (TLVs), of which we need none; senders use a few hundred

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = 16
_SHORTEST = len(b"PROXY UNKNOWN\r\n")  # of both versions: so many bytes are never too many
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_LINE = re.compile(rb"PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) ([0-9]{1,5}) ([0-9]{1,5})\r\n")
_LOCAL, _PROXY = 0x20, 0x21  # version 2 and the command
_TCP4, _TCP6, _UNSPECIFIED = 0x11, 0x21, 0x00
_ADDRESSES_BYTES = {_TCP4: 12, _TCP6: 36}


class HeaderRefused(Exception):
    """No header that can be believed; `name` is of a closed list: a metric's label and a word on record."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Announced:
    """What a header says. Without an address the connection is the balancer's own, such as a health check."""

    address: str | None


def bytes_wanted(data: bytes) -> int:
    """How many of the next bytes belong to the header that `data` begins, at least; 0 when it is whole.

    Raises:
        HeaderRefused: whatever comes, it will not be a header, or too long a one.
    """
    if not data.startswith((_V1[: len(data)], _V2[: len(data)])):
        raise HeaderRefused("proxy-header-missing")
    if len(data) < _SHORTEST:
        return _SHORTEST - len(data)
    return _wanted_of_v1(data) if data.startswith(_V1) else _wanted_of_v2(data)


def _wanted_of_v1(data: bytes) -> int:
    end = data.find(b"\r\n")
    if end == len(data) - 2:
        return 0
    if end >= 0:
        raise HeaderRefused("proxy-header-malformed")  # shorter than any header there is
    if len(data) >= MAX_V1_BYTES:
        raise HeaderRefused("proxy-header-too-long")
    return 1 if data.endswith(b"\r") or len(data) == MAX_V1_BYTES - 1 else 2


def _wanted_of_v2(data: bytes) -> int:
    if len(data) < _V2_FIXED:
        return _V2_FIXED - len(data)
    size = _V2_FIXED + int.from_bytes(data[14:16], "big")
    if size > MAX_V2_BYTES:
        raise HeaderRefused("proxy-header-too-long")
    return size - len(data)


def read_header(data: bytes) -> Announced:
    """Read a whole header, as `bytes_wanted` tells.

    Raises:
        HeaderRefused: it is none.
    """
    return _read_v1(data) if data.startswith(_V1) else _read_v2(data)


def _read_v1(line: bytes) -> Announced:
    if _UNKNOWN.fullmatch(line):
        return Announced(None)
    match = _LINE.fullmatch(line)
    if match is None or not all(_is_port(port) for port in match.group(4, 5)):
        raise HeaderRefused("proxy-header-malformed")
    version = int(match[1])
    try:
        source, _ = _address(match[2].decode(), version), _address(match[3].decode(), version)
    except AddressValueError as error:
        raise HeaderRefused("proxy-header-malformed") from error
    return Announced(source)


def _is_port(digits: bytes) -> bool:
    return int(digits) <= 65535 and (digits == b"0" or not digits.startswith(b"0"))


def _read_v2(header: bytes) -> Announced:
    command, family = header[12], header[13]
    if not header.startswith(_V2) or command not in (_LOCAL, _PROXY):
        raise HeaderRefused("proxy-header-malformed")
    if command == _LOCAL or family == _UNSPECIFIED:
        return Announced(None)
    # SECURITY: an unknown family is refused, never skipped: the balancer's own address would stand for a stranger's.
    if family not in _ADDRESSES_BYTES or len(header) < _V2_FIXED + _ADDRESSES_BYTES[family]:
        raise HeaderRefused("proxy-header-malformed")
    source = header[16:20] if family == _TCP4 else header[16:32]
    return Announced(_address(source, 4 if family == _TCP4 else 6))


def _address(written: str | bytes, version: int) -> str:
    """An address in its one spelling; one of IPv4 mapped into IPv6 is the IPv4 address."""
    if version == 4:
        return str(IPv4Address(written))
    address = IPv6Address(written)
    return str(address.ipv4_mapped or address)
