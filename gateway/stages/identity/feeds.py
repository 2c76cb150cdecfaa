"""Feeds of networks: files that somebody else keeps fresh, read again when they change, and never believed blindly."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.settings.feeds import MAX_FEED_BYTES, Feed, FeedInvalid, read_feed
from gateway.settings.models import Settings, SourceFeed, Tenant
from gateway.settings.values import FeedCell, parse_source
from gateway.stages.identity.sources import Networks, networks_of, refuse_shrunken

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedState:
    """One feed in use."""

    feed: Feed
    digest: bytes  # of the content last looked at, taken or not
    refused: str = ""  # why the present content is not used; "" when it is

    @property
    def networks(self) -> int:
        return sum(map(len, self.feed.values()))


class Feeds:
    """The present networks of every tenant; `of` builds it."""

    def __init__(
        self, sources: Mapping[str, SourceFeed], tenants: Mapping[str, Tenant], states: dict[str, FeedState]
    ) -> None:
        self._sources, self._tenants = sources, tenants
        self.states = states
        self._rebuild()

    @classmethod
    def of(cls, settings: Settings, before: Feeds | None = None) -> Feeds:
        """The feeds of the settings; a feed of the same file is taken over from `before` until the next look.

        Raises:
            FeedInvalid: a new feed is not usable.
        """
        # SECURITY: reading all afresh would make a reload believe the very feed that was refused.
        kept = before._kept(settings.sources) if before else {}
        states = {name: kept.get(name) or _first(name, source.file) for name, source in settings.sources.items()}
        return cls(settings.sources, settings.tenants, states)

    def networks(self, tenant_name: str) -> Networks | None:
        """Where a tenant may be called from; None: from anywhere."""
        return self._networks[tenant_name]

    async def look(self) -> None:
        """Take changed feeds that are good; keep the old one instead of a bad one, and say so once."""
        changed = False
        for name, source in self._sources.items():
            state = await asyncio.to_thread(_next, self.states[name], source.file, self._used_cells(name))
            changed |= state.feed is not self.states[name].feed
            _say(name, self.states[name], state)
            self.states[name] = state
        if changed:
            self._rebuild()

    def _kept(self, sources: Mapping[str, SourceFeed]) -> dict[str, FeedState]:
        return {name: state for name, state in self.states.items() if sources.get(name) == self._sources[name]}

    def _rebuild(self) -> None:
        feeds = {name: state.feed for name, state in self.states.items()}
        self._networks = {name: networks_of(tenant.sources, feeds) for name, tenant in self._tenants.items()}

    def _used_cells(self, feed: str) -> tuple[str, ...]:
        parsed = (parse_source(entry) for tenant in self._tenants.values() for entry in tenant.sources)
        return tuple(source.cell for source in parsed if isinstance(source, FeedCell) and source.feed == feed)


def _first(name: str, file: Path) -> FeedState:
    try:
        content = _read(file)
        return FeedState(read_feed(content), hashlib.sha256(content).digest())
    except (OSError, FeedInvalid) as error:
        raise FeedInvalid(f"sources.{name}.file: {error}") from error


def _next(state: FeedState, file: Path, used_cells: tuple[str, ...]) -> FeedState:
    try:
        content = _read(file)
    except OSError as error:
        return FeedState(state.feed, b"", f"cannot be read: {error.strerror}")
    digest = hashlib.sha256(content).digest()
    if digest == state.digest:
        return state
    try:
        feed = read_feed(content)
        refuse_shrunken(state.feed, feed, used_cells)
    except FeedInvalid as error:
        return FeedState(state.feed, digest, str(error))
    return FeedState(feed, digest)


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_FEED_BYTES + 1)  # more is refused, not read


def _say(name: str, before: FeedState, after: FeedState) -> None:
    if after.refused and after.refused != before.refused:
        log.error("the feed %s is refused and its old networks are kept: %s", name, after.refused)
    elif after.feed is not before.feed:
        log.warning("the feed %s has changed: %d networks, before %d", name, after.networks, before.networks)
