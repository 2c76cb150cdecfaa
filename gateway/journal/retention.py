"""Which segments are older than they need to be: whole ones, oldest first, never the last two. Blocking."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import inf
from pathlib import Path

from gateway.audit.chain import digest_of
from gateway.audit.records import number_of, read_record, text_of
from gateway.journal.recovery import segment_paths

log = logging.getLogger(__name__)

_KEPT = 2
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Expired:
    """A segment that may go: its lines, and the digest of the last one, which stands for all of them."""

    path: Path
    first: int
    last: int
    digest: str
    ended_at: float  # Unix seconds: when the next one began


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long segments stay."""

    days: int | None = None  # None: for ever
    shipped: Callable[[], float] = lambda: inf  # the number of the last line that every way out has got

    def spares(self, old: Expired, now: float) -> bool:
        """Whether it waits for a way out: only as long again, or the disk would be full one day."""
        return old.last > self.shipped() and old.ended_at >= now - 2 * self.seconds

    @property
    def seconds(self) -> float:
        """How old a segment gets."""
        return inf if self.days is None else self.days * _DAY_SECONDS


@dataclass(frozen=True, slots=True)
class _Start:
    sequence: int
    time: float  # Unix seconds
    prev: str | None


def expired(directory: Path, before: float) -> tuple[Expired, ...]:
    """Segments all of whose lines are older than `before` (Unix seconds), for the next one began before that.

    Stops at one that cannot be read: whoever looks into that needs what is there. Empty ones, which failed appends
    leave behind, hold no line and are passed over.

    Raises:
        OSError: a segment cannot be read.
    """
    paths = [path for path in segment_paths(directory) if path.stat().st_size]
    found: list[Expired] = []
    for path, following in pairwise(paths[: 1 - _KEPT]):
        start, end = _start(path), _start(following)
        if start is None or end is None:
            unread = path if start is None else following
            log.warning("no old segment of the audit log is deleted from %s on: its first line cannot be read", unread)
            break
        if end.time >= before:
            break
        digest = end.prev or digest_of(path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2])
        found.append(Expired(path, start.sequence, end.sequence - 1, digest, end.time))
    return tuple(found)


def _start(path: Path) -> _Start | None:
    with path.open("rb") as segment:
        line = segment.readline()
    record = read_record(line) or {}
    try:
        began_at = datetime.fromisoformat(text_of(record, "time")).timestamp()
    except (OverflowError, ValueError):
        return None
    sequence = number_of(record, "seq")
    return _Start(sequence, began_at, text_of(record, "prev") or None) if sequence > 0 else None
