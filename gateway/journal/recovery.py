"""What a journal finds when it is opened: the last line there is, and what a crash left behind it. Blocking."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import inf
from os import SEEK_END
from pathlib import Path

from gateway.audit.chain import Header, Link, digest_of, is_unchained, read_header, walk
from gateway.audit.checkpoints import NoteInvalid, open_note, split_notes
from gateway.audit.lines import read_sequence
from gateway.audit.merkle import Tree, grown, leaf
from gateway.audit.tampering import Finding, Kind, diagnose
from gateway.journal.disk import Disk

NOTES_NAME = "checkpoints"
_LAST_NOTES_BYTES = 16 << 10
_SIGNATURES = "\n\n\u2014 ".encode()  # begin so, and nothing else in a note does
_NAME = re.compile(r"audit-(\d{6,})\.jsonl")


@dataclass(frozen=True, slots=True)
class TornTail:
    """Bytes after the last whole line of a segment: where they stood, and where they were set aside."""

    segment: Path
    set_aside: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where a journal goes on."""

    segment: int  # the last one's number; 0: there is none
    link: Link
    header: Header | None  # of the last segment, when lines may follow in it; else a new one begins
    torn: tuple[TornTail, ...]
    broken: Finding | None  # the last segment's chain does not hold: somebody changed it


def segment_path(directory: Path, number: int) -> Path:
    """The file of a segment; names sort as their numbers do, up to a million."""
    return directory / f"audit-{number:06}.jsonl"


def segment_numbers(directory: Path) -> list[int]:
    """Of all segments, in their order.

    Raises:
        OSError: the directory cannot be read.
    """
    matches = [_NAME.fullmatch(path.name) for path in directory.iterdir()]
    return sorted(int(match[1]) for match in matches if match)


def segment_paths(directory: Path) -> list[Path]:
    """All segments, in their order.

    Raises:
        OSError: the directory cannot be read.
    """
    return [segment_path(directory, number) for number in segment_numbers(directory)]


def recover(directory: Path, disk: Disk) -> Recovered:
    """Find the last whole line, looking into older segments only as long as newer ones have none.

    Raises:
        OSError: a segment cannot be read or mended.
    """
    numbers = segment_numbers(directory)
    torn: list[TornTail] = []
    for number in reversed(numbers):
        path = segment_path(directory, number)
        content = path.read_bytes()
        sequence, good_bytes = last_line(content)
        if number == numbers[-1] and content.find(b"\0", 0, good_bytes) >= 0:  # what is in older ones was synced
            good_bytes = end_before_hole(content[:good_bytes], _signed_lines(directory))
        if good_bytes < len(content):
            torn.append(_set_aside(path, content, good_bytes, disk))
        if sequence:
            link, header, broken = _end_of(content[: good_bytes - 1].split(b"\n"))
            is_last = number == numbers[-1]
            return Recovered(numbers[-1], link, header if is_last else None, tuple(torn), broken)
    return Recovered(numbers[-1] if numbers else 0, Link(), None, tuple(torn), None)


def _end_of(lines: list[bytes]) -> tuple[Link, Header | None, Finding | None]:
    """The link after a segment's lines, the header if more may follow there, and what is wrong with them. Pure."""
    header = read_header(lines[0])
    end = walk(header.link, lines) if header else Link()
    length = end.sequence - header.link.sequence if header else 0
    if length == len(lines):
        return end, header, None
    last = Link(read_sequence(lines[-1]) or 0, digest_of(lines[-1]))
    if header is None and is_unchained(lines[0]):
        return last, None, None
    # What stands there goes into the tree as it stands, so that the lines to come are proven all the same.
    tree = grown(header.link.tree if header else Tree(), [leaf(line) for line in lines])
    before = lines[length - 1] if length else b""
    broken = diagnose(end, before, lines[length:]) if header else Finding(Kind.EDIT, 0, "a segment has no header")
    return Link(last.sequence, last.digest, tree), None, broken


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


def end_before_hole(content: bytes, signed_lines: float) -> int:
    """Where whole lines end before one that a hole spoils, or where they end. Pure.

    Of lines that were not synced a power cut may leave a later page and zeros for an earlier one; nobody was told that
    any of them is there. No line of ours holds a NUL.

    # SECURITY: lines that a checkpoint stands for were synced: zeros there are no crash's, and nothing is cut off.
    """
    lines = content[:-1].split(b"\n")
    header = read_header(lines[0])
    length = walk(header.link, lines).sequence - header.link.sequence if header else 0
    if header is None or not 0 < length < len(lines) or b"\0" not in lines[length]:
        return len(content)
    if header.link.tree.size + length < signed_lines:
        return len(content)
    return sum(len(line) + 1 for line in lines[:length])


def _signed_lines(directory: Path) -> float:
    """How many chained lines the last checkpoint stands for, whoever signed it; all if nobody can tell."""
    try:
        notes, _ = split_notes(last_notes(directory / NOTES_NAME)[0])
        return max((open_note(note, ()).size for note in notes), default=0)
    except FileNotFoundError:
        return 0
    except NoteInvalid:
        return inf


def last_notes(path: Path) -> tuple[bytes, int]:
    """The end of the file of checkpoints, and where it begins: with a note, and some whole ones, as far as there are.

    In a year there come 100,000, of which nobody needs to read more than the last ones to go on.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        begin = max(0, file.seek(0, SEEK_END) - _LAST_NOTES_BYTES)
        file.seek(begin)
        content = file.read()
        if not begin:
            return content, 0
        signatures = content.find(_SIGNATURES)
        end = content.find(b"\n\n", signatures + len(_SIGNATURES)) + 2
        if signatures >= 0 and end > 1 and split_notes(content[end:])[0]:
            return content[end:], begin + end
        file.seek(0)
        return file.read(), 0


def _set_aside(path: Path, content: bytes, good_bytes: int, disk: Disk) -> TornTail:
    """Copy the tail, durably, and cut it off only then: nothing is lost, whenever the power goes."""
    names = (path.with_suffix(f".torn{number}") for number in count(1))
    set_aside = next(name for name in names if not name.exists())
    copy = disk.create(set_aside)
    try:
        write_all(copy, content[good_bytes:], disk)
        disk.sync(copy)
    except OSError:  # every attempt to start on a full disk would leave one more
        with suppress(OSError):
            set_aside.unlink()
        raise
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
