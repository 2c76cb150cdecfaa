"""Stretches of the log: whole lines that are read at once, as far as the last newline. Blocking.

A live log is written to, and its oldest files are deleted, while it is read: what is gone by then is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway.journal.listing import segments_of

STRETCH_BYTES = 1 << 20
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole lines of a file: those that begin at `start` and end before `end`."""

    path: Path
    start: int
    end: int


def stretches_of(directory: Path) -> Iterator[Stretch]:
    """A whole log in its order.

    Raises:
        OSError: it cannot be read, or there is none.
    """
    for path in segments_of(directory):
        try:
            with path.open("rb") as file:
                yield from _cut(path, file)
        except FileNotFoundError:
            continue


def _cut(path: Path, file: BinaryIO) -> Iterator[Stretch]:
    start, whole = 0, end_of_last_line(file)
    while start < whole:
        file.seek(min(start + STRETCH_BYTES, whole) - 1)
        file.readline()  # to the end of the line that this falls into
        end = min(file.tell(), whole)
        yield Stretch(path, start, end)
        start = end


def end_of_last_line(file: BinaryIO) -> int:
    """Where the last whole line of a file ends."""
    position = file.seek(0, 2)
    while position:
        begin = max(0, position - _TAIL_BYTES)
        file.seek(begin)
        newline = file.read(position - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        position = begin
    return 0


def read_lines(stretch: Stretch, texts: frozenset[str] | None = None) -> list[bytes]:
    """Its lines without their newlines, those that are left where the file was cut or deleted since.

    With folded `texts`: only those that may hold one of them, in whatever way it is written.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with stretch.path.open("rb") as file:
            file.seek(stretch.start)
            content = file.read(stretch.end - stretch.start)
    except FileNotFoundError:
        return []
    content = content[: content.rfind(b"\n") + 1]
    if texts is not None and content.isascii() and all(map(_is_written_as_it_reads, texts)):
        return _lines_with(content, [text.encode("ascii") for text in texts])
    return content.split(b"\n")[:-1]


def _is_written_as_it_reads(text: str) -> bool:
    return text.isascii() and text.isprintable() and not set(text) & set('"\\/')


def _lines_with(content: bytes, texts: list[bytes]) -> list[bytes]:
    """Lines that hold a text, or an escape of JSON or of a path, behind which one may hide. Pure."""
    lowered = content.lower()
    starts: set[int] = set()
    for text in (*texts, b"\\", b"%"):
        place = lowered.find(text)
        while place >= 0:
            starts.add(content.rfind(b"\n", 0, place) + 1)
            place = lowered.find(text, content.find(b"\n", place))
    return [content[start : content.find(b"\n", start)] for start in sorted(starts)]
