"""What a journal finds when it is opened: the last line there is, and what a crash left behind it. Blocking."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from gateway.audit.lines import read_sequence
from gateway.journal.disk import Disk

_NAME = re.compile(r"audit-(\d{6,})\.jsonl")


@dataclass(frozen=True, slots=True)
class TornTail:
    """Bytes after the last whole line of a segment: where they stood, and where they were set aside."""

    segment: Path
    set_aside: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where a journal goes on: its last segment's number (0: there is none) and the last line's number."""

    segment: int
    sequence: int
    torn: tuple[TornTail, ...]


def segment_path(directory: Path, number: int) -> Path:
    """The file of a segment; names sort as their numbers do, up to a million."""
    return directory / f"audit-{number:06}.jsonl"


def recover(directory: Path, disk: Disk) -> Recovered:
    """Find the last whole line, looking into older segments only as long as newer ones have none.

    Raises:
        OSError: a segment cannot be read or mended.
    """
    matches = [_NAME.fullmatch(path.name) for path in directory.iterdir()]
    numbers = sorted((int(match[1]) for match in matches if match), reverse=True)
    torn: list[TornTail] = []
    sequence = 0
    for number in numbers:
        path = segment_path(directory, number)
        content = path.read_bytes()
        sequence, good_bytes = last_line(content)
        if good_bytes < len(content):
            torn.append(_set_aside(path, content, good_bytes, disk))
        if sequence:
            break
    return Recovered(numbers[0] if numbers else 0, sequence, tuple(torn))


def last_line(content: bytes) -> tuple[int, int]:
    """The number of the last line that is whole and ours, and where it ends; (0, 0) if there is none. Pure.

    A power cut may leave half a line, or zeros, or blocks of something else: lines that cannot be read do not count.
    """
    end = content.rfind(b"\n") + 1
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        sequence = read_sequence(content[start : end - 1])
        if sequence:
            return sequence, end
        end = start
    return 0, 0


def _set_aside(path: Path, content: bytes, good_bytes: int, disk: Disk) -> TornTail:
    """Copy the tail, durably, and cut it off only then: nothing is lost, whenever the power goes."""
    names = (path.with_suffix(f".torn{number}") for number in count(1))
    set_aside = next(name for name in names if not name.exists())
    copy = disk.create(set_aside)
    try:
        write_all(copy, content[good_bytes:], disk)
        disk.sync(copy)
    finally:
        disk.close(copy)
    segment = disk.open(path)
    try:
        disk.truncate(segment, good_bytes)
        disk.sync(segment)
    finally:
        disk.close(segment)
    return TornTail(path, set_aside, len(content) - good_bytes)


def write_all(descriptor: int, content: bytes, disk: Disk) -> None:
    """Write until all is taken.

    Raises:
        OSError: some of it may stand there all the same.
    """
    while content:
        content = content[disk.write(descriptor, content) :]
