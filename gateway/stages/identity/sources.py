"""Sources: the networks a tenant's client calls from, and which feeds of them are believed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from gateway.settings.feeds import Feed, FeedInvalid
from gateway.settings.models import Network
from gateway.settings.values import FeedCell, parse_source

MAX_KNOWN_ADDRESSES = 4096


def refuse_shrunken(old: Feed, new: Feed, used_cells: Iterable[str]) -> None:
    """Refuse a feed that lost more than half of its networks, as a whole or in a cell in use: likely a mistake.

    Raises:
        FeedInvalid: the old one is to be kept.
    """
    sizes = [("", sum(map(len, old.values())), sum(map(len, new.values())))]
    sizes += [(f"cell {cell} ", len(old.get(cell, ())), len(new.get(cell, ()))) for cell in used_cells]
    for what, before, after in sizes:
        if after * 2 < before:
            raise FeedInvalid(f"{what}shrank from {before} to {after} networks")


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks to look an address up in: by version and prefix length, so that a lookup is a few dictionary reads."""

    by_prefix: Mapping[tuple[int, int], frozenset[int]]  # (bits of an address, bits to drop) -> the leading bits
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)  # clients come from few addresses

    @classmethod
    def of(cls, networks: Iterable[Network]) -> Networks:
        found: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            dropped = network.max_prefixlen - network.prefixlen
            found.setdefault((network.max_prefixlen, dropped), set()).add(int(network.network_address) >> dropped)
        return cls({key: frozenset(values) for key, values in found.items()})

    def __contains__(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MAX_KNOWN_ADDRESSES:
                self._known.clear()
            known = self._known[address] = self._holds(address)
        return known

    def _holds(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        number = int(parsed)
        return any(
            bits == parsed.max_prefixlen and number >> dropped in leading
            for (bits, dropped), leading in self.by_prefix.items()
        )


def networks_of(sources: Iterable[str], feeds: Mapping[str, Feed]) -> Networks | None:
    """The networks of a tenant's `sources`; None for no entries, which means from anywhere.

    An entry whose feed or cell is missing stands for no network: nobody gets in by it.
    """
    entries = tuple(sources)
    if not entries:
        return None
    networks: list[Network] = []
    for entry in entries:
        source = parse_source(entry)
        networks += feeds.get(source.feed, {}).get(source.cell, ()) if isinstance(source, FeedCell) else (source,)
    return Networks.of(networks)
