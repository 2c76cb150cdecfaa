"""Which segments are older than they need to be: whole ones, oldest first, never the last two. Blocking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from gateway.audit.chain import digest_of
from gateway.journal.recovery import segment_numbers, segment_path

_KEPT = 2


@dataclass(frozen=True, slots=True)
class Expired:
    """A segment that may go: its lines, and the digest of the last one, which stands for all of them."""

    path: Path
    first: int
    last: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Start:
    sequence: int
    time: float  # Unix seconds
    prev: str | None


def expired(directory: Path, before: float) -> tuple[Expired, ...]:
    """Segments all of whose lines are older than `before` (Unix seconds), for the next one began before that.

    Stops at one that cannot be read: whoever looks into that needs what is there.

    Raises:
        OSError: a segment cannot be read.
    """
    paths = [segment_path(directory, number) for number in segment_numbers(directory)]
    found: list[Expired] = []
    for path, following in pairwise(paths[: 1 - _KEPT]):
        start, end = _start(path), _start(following)
        if start is None or end is None or end.time >= before:
            break
        digest = end.prev or digest_of(path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2])
        found.append(Expired(path, start.sequence, end.sequence - 1, digest))
    return tuple(found)


def _start(path: Path) -> _Start | None:
    with path.open("rb") as segment:
        line = segment.readline()
    try:
        record = json.loads(line)
        return _Start(int(record["seq"]), datetime.fromisoformat(record["time"]).timestamp(), record.get("prev"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
