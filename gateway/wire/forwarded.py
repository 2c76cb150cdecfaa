"""Who calls, where proxies that end TLS stand in between: `X-Forwarded-For` and `Forwarded`, right to left. Pure.

Each proxy adds the address that it sees at the right, so only what a trusted one wrote is worth anything: whatever
stands left of the first address that is not a trusted proxy's may have been made up by whoever has that address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from gateway.wire.fields import Fields

MAX_HOPS = 16  # proxies in a row; nobody has more, and each costs time
MAX_ELEMENT_CHARACTERS = 512  # what one proxy adds: an address, and with `Forwarded` a host name and a protocol

ForwardedHeader = Literal["none", "x-forwarded-for", "forwarded"]

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
_PAIR = rf'{_WORD}=(?:{_WORD}|"(?:[^"\\]|\\.)*")'
# RFC 7239 section 4. SECURITY: nothing is taken back (*+); else there are exponentially many ways to read ";  ;  ;@".
_ELEMENT = re.compile(rf"(?:{_PAIR})?+(?:[ \t]*+;[ \t]*+(?:{_PAIR})?+)*+")
_NODE = re.compile(r"([0-9.]+|\[[0-9A-Fa-f:.]+:[0-9A-Fa-f:.]*\])(?::[0-9]{1,5})?")
_FORWARDED_NODE = re.compile(r"([0-9.]+|\[[0-9A-Fa-f:.]+:[0-9A-Fa-f:.]*\])(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The networks of proxies that are believed."""

    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, entries: Iterable[str]) -> Proxies:
        """Raises: ValueError: an entry is no network."""
        return cls(tuple(ip_network(entry) for entry in entries))

    def __contains__(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)


def nearest_stranger(peer: str, fields: Fields, header: ForwardedHeader, proxies: Proxies) -> str:
    """The first address, coming from us, that is no trusted proxy's; `peer` is whoever holds the connection.

    What cannot be read ends the way: the last proxy that could be trusted then stands for whoever is behind it.
    """
    nearest = peer
    if header == "none":
        return nearest
    hops = _hops(fields.all(header), header)
    for _ in range(MAX_HOPS):
        if nearest not in proxies:
            return nearest
        before = next(hops, None)
        if before is None:
            return nearest
        nearest = before
    return nearest


def _hops(values: tuple[str, ...], header: ForwardedHeader) -> Iterator[str | None]:
    """The addresses from right to left; None for what is none. Lines are one list (RFC 9110 section 5.3)."""
    read = _forwarded_element if header == "forwarded" else _plain_element
    for value in reversed(values):
        for element in _elements_from_the_right(value):
            yield read(element) if len(element) <= MAX_ELEMENT_CHARACTERS else None


def _elements_from_the_right(value: str) -> Iterator[str]:
    """A list's elements, the last first. A comma within quotes ends none.

    SECURITY: read from the left, one stray quote of a stranger's would swallow what the proxy wrote behind it.
    """
    end, quoted = len(value), False
    for at in range(len(value) - 1, -1, -1):
        if value[at] == '"' and not _is_escaped(value, at):
            quoted = not quoted
        elif value[at] == "," and not quoted:
            yield value[at + 1 : end].strip(" \t")
            end = at
    yield value[:end].strip(" \t")


def _is_escaped(value: str, at: int) -> bool:
    first = at
    while first > 0 and value[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1


def _plain_element(element: str) -> str | None:
    """192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1], [2001:db8::1]:443."""
    match = _NODE.fullmatch(element)
    return _address(match[1].strip("[]") if match else element)


def _forwarded_element(element: str) -> str | None:
    """`for=...` among its pairs (RFC 7239 section 6); None for unknown, obfuscated or malformed."""
    if not _ELEMENT.fullmatch(element):
        return None
    pairs = [pair.partition("=") for pair in re.findall(_PAIR, element)]
    nodes = [value for name, _, value in pairs if name.lower() == "for"]
    if len(nodes) != 1:
        return None
    match = _FORWARDED_NODE.fullmatch(nodes[0].strip('"'))  # an address needs no backslash, so none is taken away
    return _address(match[1].strip("[]")) if match else None


def _address(text: str) -> str | None:
    """In its one spelling; one of IPv4 mapped into IPv6 is the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if "%" in text:  # an interface of the sender's
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
