"""Writes that were about to leave, or had left, when the gateway ended: an intent on record, and no outcome. Blocking.

An intent and its outcome are a request's time budget apart at most, so older segments need not be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from gateway.audit.chain import read_header
from gateway.audit.records import Record, read_record
from gateway.journal.recovery import segment_paths

_LOOK_BACK_SECONDS = 300.0
_ENDS = (b'"event":"outcome"', b'"event":"interrupted"')
_BEGIN = b'"event":"intent"'


def interrupted(directory: Path, reserved: Iterable[bytes] = ()) -> tuple[Record, ...]:
    """Every intent that no later line tells the end of; `reserved` are lines that the log has yet to take over.

    Raises:
        OSError: a segment cannot be read.
    """
    open_intents: dict[str, Record] = {}
    for line in chain(_lines(_recent(directory)), reserved):
        if _BEGIN in line:
            if (record := read_record(line)) is not None:
                open_intents[str(record.get("request"))] = record
        elif open_intents and any(end in line for end in _ENDS) and (record := read_record(line)) is not None:
            open_intents.pop(str(record.get("request")), None)
    return tuple(open_intents.values())


def _lines(paths: Iterable[Path]) -> Iterator[bytes]:
    """One by one, for a segment may be larger than the memory there is."""
    for path in paths:
        with path.open("rb") as segment:
            yield from segment


def _recent(directory: Path) -> list[Path]:
    """The last segments, back to one that had begun long enough before the last one did."""
    paths = segment_paths(directory)
    last_began_at: float | None = None
    for place in range(len(paths) - 1, -1, -1):
        with paths[place].open("rb") as segment:
            header = read_header(segment.readline())
        if header is None:  # of before there were any, or empty
            continue
        if last_began_at is None:
            last_began_at = header.began_at
        elif header.began_at <= last_began_at - _LOOK_BACK_SECONDS:
            return paths[place:]
    return paths
