"""Which segments are older than they need to be: whole ones, oldest first, never the last two. Blocking."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path

from gateway.audit.chain import digest_of
from gateway.audit.records import number_of, read_record, text_of, written_at
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


def expired(directory: Path, before: float, now: float) -> tuple[Expired, ...]:
    """Segments all of whose lines are older than `before` (Unix seconds), for a later one began before that.

    Stops at one that cannot be read: whoever looks into that needs what is there. Empty ones, which failed appends
    leave behind, hold no line and are passed over.

    Raises:
        OSError: a segment cannot be read.
    """
    paths = [path for path in segment_paths(directory) if path.stat().st_size]
    found: list[Expired] = []
    for place, (path, following) in enumerate(pairwise(paths[: 1 - _KEPT]), 1):
        start, end = _start(path), _start(following)
        if start is None or end is None:
            unread = path if start is None else following
            log.warning("no old segment of the audit log is deleted from %s on: its first line cannot be read", unread)
            break
        ended_at = _ended_at(start, paths[place:], now)
        if ended_at >= before:
            break
        digest = end.prev or digest_of(path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2])
        found.append(Expired(path, start.sequence, end.sequence - 1, digest, ended_at))
    return tuple(found)


def _ended_at(start: _Start, following: Sequence[Path], now: float) -> float:
    """When the first of those began that do not begin in the future, as a clock that was ahead made them seem to."""
    for path in following:
        later = _start(path)
        if later is None:
            break
        if later.time <= now:
            # A clock that was behind makes no segment older than its own first line.
            return max(later.time, start.time) if start.time <= now else later.time
        log.warning("%s begins in the future: the clock was ahead, or is behind", path.name)
    return inf


def _start(path: Path) -> _Start | None:
    with path.open("rb") as segment:
        line = segment.readline()
    record, began_at = read_record(line) or {}, written_at(line)
    sequence = number_of(record, "seq")
    if began_at is None or sequence <= 0:
        return None
    return _Start(sequence, began_at, text_of(record, "prev") or None)
