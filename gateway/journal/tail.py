"""Reading the audit log on from a position, as far as it is durable. Blocking; for a thread.

What a failed write has left behind, or is still being written, stands beyond the durable end and is never read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.audit.lines import read_sequence
from gateway.journal.cursors import BEGINNING, Position
from gateway.journal.recovery import segment_numbers, segment_path

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 256 << 10  # and one line more at most


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines without their newlines, in order, and where the last one ends."""

    lines: tuple[bytes, ...]
    end: Position
    gone: int = 0  # lines that were removed, or cannot be numbered, before these


def read_on(directory: Path, start: Position, durable: Position, max_bytes: int = MAX_BATCH_BYTES) -> Batch:
    """The next lines after `start`, over the borders of segments and over segments that were removed.

    No lines: `start` is at the end. A position beyond the end belongs to another log, which was replaced by this
    one: then it begins from its beginning.

    Raises:
        OSError: a segment cannot be read.
    """
    if durable == BEGINNING:  # nothing is there yet
        return Batch((), start)
    if start.segment > durable.segment or (start.segment == durable.segment and start.offset > durable.offset):
        log.error("the audit log is another one than before: it is read from its beginning")
        start = BEGINNING
    here = start
    for number in _segments_from(directory, start.segment, durable.segment):
        here = here if number == here.segment else Position(number, 0, here.sequence)
        end = durable.offset if number == durable.segment else None
        try:
            content, here = _read_lines(segment_path(directory, number), here, end, max_bytes)
        except FileNotFoundError:  # removed since it was listed
            continue
        if content:
            return _batch(content, here)
    return Batch((), here)


def _segments_from(directory: Path, first: int, last: int) -> Iterator[int]:
    return (number for number in segment_numbers(directory) if first <= number <= last)


def _read_lines(path: Path, start: Position, end: int | None, max_bytes: int) -> tuple[bytes, Position]:
    """Whole lines from `start` on, up to the offset `end` (None: the file's), and where they start."""
    with path.open("rb") as file:
        start = _at_a_border(file.seek(0, 2), start, path)
        if start.offset:
            file.seek(start.offset - 1)
            if file.read(1) != b"\n":
                log.error("%s was changed: it is read again from its beginning", path)
                start = replace(start, offset=0)
        file.seek(start.offset)
        wanted = max_bytes if end is None else min(max_bytes, end - start.offset)
        content = file.read(wanted)
        if b"\n" not in content and len(content) == wanted == max_bytes:  # a longer line than any of ours
            content += file.readline()
    return content[: content.rfind(b"\n") + 1], start


def _at_a_border(size: int, start: Position, path: Path) -> Position:
    if start.offset <= size:
        return start
    log.error("%s was cut: it is read again from its beginning", path)
    return replace(start, offset=0)


def _batch(content: bytes, start: Position) -> Batch:
    lines = tuple(content.split(b"\n")[:-1])
    first = next((number for number in map(read_sequence, lines) if number), start.sequence + 1)
    last = next((number for number in map(read_sequence, reversed(lines)) if number), start.sequence)
    end = Position(start.segment, start.offset + len(content), last)
    # What was removed before the first line that is read at all was never for this reader.
    return Batch(lines, end, gone=max(0, first - start.sequence - 1) if start.sequence else 0)
