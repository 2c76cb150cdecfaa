"""What a journal finds when it is opened: the last line there is, and what a crash left behind it. Blocking."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import inf
from pathlib import Path
from typing import BinaryIO

from gateway.audit.chain import Header, Link, digest_of, is_unchained
from gateway.audit.checkpoints import NoteInvalid, open_note, split_notes
from gateway.audit.lines import read_sequence
from gateway.audit.notes import before_hole
from gateway.audit.tampering import Finding, Kind, diagnose
from gateway.journal.disk import Disk
from gateway.journal.walking import BLOCK_BYTES, Walked, ending, grown_over, walked

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
        is_last = number == numbers[-1]
        with path.open("rb") as file:
            last = ending(file)
            chain = walked(file, last.end)
            good_bytes = last.end
            if is_last and _is_spoilt_by_a_hole(chain, directory, numbers[:-1]):  # what is in older ones was synced
                good_bytes = chain.end
            if good_bytes < os.fstat(file.fileno()).st_size:
                torn.append(_set_aside(path, file, good_bytes, disk))
            if good_bytes:
                link, header, broken = _end_of(chain, file, last.line, good_bytes)
                return Recovered(numbers[-1], link, header if is_last else None, tuple(torn), broken)
    return Recovered(numbers[-1] if numbers else 0, Link(), None, tuple(torn), None)


def _end_of(chain: Walked, file: BinaryIO, last_line: bytes, end: int) -> tuple[Link, Header | None, Finding | None]:
    """The link after a segment's lines, the header if more may follow there, and what is wrong with them."""
    header = chain.header
    if header and chain.end == end:
        return chain.link, header, None
    last = Link(read_sequence(last_line) or 0, digest_of(last_line))
    if header is None and is_unchained(chain.following[0]):
        return last, None, None
    # What stands there goes into the tree as it stands, so that the lines to come are proven all the same.
    tree = grown_over(chain.link.tree, file, chain.end, end)
    if header is None:
        broken = Finding(Kind.EDIT, 0, "a segment has no header")
    else:
        broken = diagnose(chain.link, chain.before, chain.following)
    return Link(last.sequence, last.digest, tree), None, broken


def _is_spoilt_by_a_hole(chain: Walked, directory: Path, older: Sequence[int]) -> bool:
    """Whether whole lines end before one that a hole spoils, be it the first of a new file.

    Of lines that were not synced a power cut may leave a later page and zeros for an earlier one; nobody was told that
    any of them is there. No line of ours holds a NUL.

    # SECURITY: lines that a checkpoint stands for were synced: zeros there are no crash's, and nothing is cut off.
    """
    if not chain.following or b"\0" not in chain.following[0]:
        return False
    lines = chain.link.tree.size if chain.header else _chained_lines(directory, older)
    return lines >= _signed_lines(directory)


def _chained_lines(directory: Path, numbers: Sequence[int]) -> int:
    """How many lines the tree has at the end of these segments."""
    for number in reversed(numbers):
        with segment_path(directory, number).open("rb") as file:
            last = ending(file)
            if last.line:
                return _end_of(walked(file, last.end), file, last.line, last.end)[0].tree.size
    return 0


def _signed_lines(directory: Path) -> float:
    """How many chained lines the last checkpoint stands for, whoever signed it; all if nobody can tell."""
    try:
        notes, _ = split_notes(before_hole(last_notes(directory / NOTES_NAME)[0]))
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
        begin = max(0, file.seek(0, os.SEEK_END) - _LAST_NOTES_BYTES)
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


def _set_aside(path: Path, file: BinaryIO, good_bytes: int, disk: Disk) -> TornTail:
    """Copy the tail, durably, and cut it off only then: nothing is lost, whenever the power goes."""
    names = (path.with_suffix(f".torn{number}") for number in count(1))
    set_aside = next(name for name in names if not name.exists())
    file.seek(good_bytes)
    copy = disk.create(set_aside)
    try:
        while block := file.read(BLOCK_BYTES):
            write_all(copy, block, disk)
        disk.sync(copy)
    except OSError:  # every attempt to start on a full disk would leave one more
        with suppress(OSError):
            set_aside.unlink()
        raise
    finally:
        disk.close(copy)
    size_bytes = file.tell() - good_bytes
    segment = disk.open(path)
    try:
        disk.truncate(segment, good_bytes)
        disk.sync(segment)
    finally:
        disk.close(segment)
    return TornTail(path, set_aside, size_bytes)


def write_all(descriptor: int, content: bytes, disk: Disk) -> None:
    """Write until all is taken.

    Raises:
        OSError: some of it may stand there all the same.
    """
    while content:
        content = content[disk.write(descriptor, content) :]
