"""A segment, read in blocks, for it may be larger than the memory there is: where it ends, how far it holds together.

Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gateway.audit.chain import Header, Link, read_header, walk
from gateway.audit.lines import read_sequence
from gateway.audit.merkle import Tree, grown, leaf
from gateway.audit.tampering import CONTEXT_BYTES, CONTEXT_LINES

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Ending:
    """The last line of a file that is whole and ours, without its newline, and where it ends; b"" and 0: none is."""

    line: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Walked:
    """How far a segment's lines are what they must be."""

    header: Header | None  # its first line
    link: Link  # after the last line that is; without a header none is
    before: bytes  # that line, b"" if none is
    end: int  # where that line ends
    following: tuple[bytes, ...]  # the lines behind it, as many as tell why the chain ends


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


def ending(file: BinaryIO, *, block_bytes: int = BLOCK_BYTES) -> Ending:
    """The last line as `last_line` finds it; none of ours is longer than a block."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - block_bytes)
        file.seek(start)
        block = file.read(end - start)
        cut = block.find(b"\n") + 1 if start else 0  # what begins before the block belongs to the next one
        whole = block[cut:]
        sequence, good_bytes = last_line(whole)
        if sequence:
            return Ending(whole[whole.rfind(b"\n", 0, good_bytes - 1) + 1 : good_bytes - 1], start + cut + good_bytes)
        end = start + cut if 0 < cut < len(block) else start
    return Ending(b"", 0)


def walked(file: BinaryIO, size_bytes: int, *, block_bytes: int = BLOCK_BYTES) -> Walked:
    """Go along the chain of whole lines, which take so many bytes of a file."""
    file.seek(0)
    header = read_header(file.readline(size_bytes).removesuffix(b"\n"))
    if header is None:
        return Walked(None, Link(), b"", 0, _lines_at(file, 0, size_bytes))
    link, before, end = header.link, b"", 0
    for lines in _blocks(file, 0, size_bytes, block_bytes):
        after = walk(link, lines)
        held = after.sequence - link.sequence
        link, before = after, lines[held - 1] if held else before
        end += sum(map(len, lines[:held])) + held
        if held < len(lines):
            break
    return Walked(header, link, before, end, _lines_at(file, end, size_bytes))


def grown_over(tree: Tree, file: BinaryIO, start: int, end: int) -> Tree:
    """A tree with the whole lines of a part of a file behind its own, whatever they say."""
    for lines in _blocks(file, start, end, BLOCK_BYTES):
        tree = grown(tree, [leaf(line) for line in lines])
    return tree


def _lines_at(file: BinaryIO, start: int, end: int) -> tuple[bytes, ...]:
    file.seek(start)
    lines, end_of_room = list[bytes](), start + CONTEXT_BYTES
    while start < min(end, end_of_room) and len(lines) < CONTEXT_LINES:
        lines.append(file.readline(end - start).removesuffix(b"\n"))
        start += len(lines[-1]) + 1
    return tuple(lines)


def _blocks(file: BinaryIO, start: int, end: int, block_bytes: int) -> Iterator[list[bytes]]:
    """The lines of a part that ends with a newline, some at a time."""
    file.seek(start)
    begun = [b""]  # of a line whose end is to come
    while start < end and (block := file.read(min(block_bytes, end - start))):
        start += len(block)
        whole, newline, rest = block.rpartition(b"\n")
        if newline:
            yield b"".join((*begun, whole)).split(b"\n")
            begun = []
        begun.append(rest)
