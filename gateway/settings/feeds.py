"""Feeds of networks as files: which form one has, and what its cells hold. Pure.

Two forms are known, told apart by their content. Okta's ip_ranges.json: {"us_cell_1": {"ip_ranges": ["192.0.2.0/25"]}}.
Azure's ServiceTags file, whose tags are cells here:
{"values": [{"name": "AzureActiveDirectory", "properties": {"addressPrefixes": ["192.0.2.0/25"]}}]}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from gateway.settings.values import FeedCell, Network, parse_source

MAX_FEED_BYTES = 16 << 20  # Azure's whole file has some 4 MiB, and grows

FORMS = "a feed has the form of Okta's ip_ranges.json or of Azure's ServiceTags file"
_NAMED_CELLS = 8


class FeedInvalid(Exception):
    """A feed cannot be used; the text says why, for operators."""


Feed = Mapping[str, tuple[Network, ...]]  # cell -> networks


def read_feed(content: bytes) -> Feed:
    """Read a feed's file; what it holds beside cells or tags is passed over.

    Raises:
        FeedInvalid: it is too large or no such file, holds no network, one that is none, or a tag twice.
    """
    if len(content) > MAX_FEED_BYTES:
        raise FeedInvalid(f"is larger than {MAX_FEED_BYTES} bytes")
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FeedInvalid("is not JSON") from error
    known: dict[str, Network] = {}  # a region's networks come again under the whole service's tag
    feed: dict[str, tuple[Network, ...]] = {}
    for cell, entries in _cells(document):
        if cell in feed:
            raise FeedInvalid(f"holds {cell} twice")
        feed[cell] = tuple(_network(cell, entry, known) for entry in entries)
    if not any(feed.values()):
        raise FeedInvalid("holds no networks")
    return feed


def cells_like(cell: str, feed: Feed) -> str:
    """The cells of a feed to name when it has not the one that was asked for: those spelled most like it."""
    held = sorted(name for name, networks in feed.items() if networks)
    if len(held) <= _NAMED_CELLS:
        return ", ".join(held)
    by_folded = {name.lower(): name for name in reversed(held)}
    nearest = get_close_matches(cell.lower(), by_folded, n=_NAMED_CELLS, cutoff=0.5)
    shown = [by_folded[name] for name in nearest] or held[:_NAMED_CELLS]
    return f"{', '.join(shown)} and {len(held) - len(shown)} others"


def _cells(document: object) -> Iterator[tuple[str, list[object]]]:
    if not isinstance(document, dict):
        return
    tags = document.get("values")
    if isinstance(tags, list):
        named = ((tag.get("name"), tag.get("properties")) for tag in tags if isinstance(tag, dict))
        attribute = "addressPrefixes"
    else:
        named = ((name, inner) for name, inner in document.items())
        attribute = "ip_ranges"
    for name, inner in named:
        entries = inner.get(attribute) if isinstance(inner, dict) else None
        if isinstance(name, str) and isinstance(entries, list):
            yield name, entries


def _network(cell: str, entry: object, known: dict[str, Network]) -> Network:
    """As an entry of a tenant's `sources`; a number is none, though `ipaddress` would take it for an address."""
    if isinstance(entry, str) and entry in known:
        return known[entry]
    try:
        source = parse_source(entry) if isinstance(entry, str) else None
    except ValueError:
        source = None
    if source is None or isinstance(source, FeedCell):
        raise FeedInvalid(f"holds an entry under {cell} that is no network")
    known[str(entry)] = source
    return source
