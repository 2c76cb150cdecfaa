"""Blocks of lines, and what an index keeps of each: a hash of everything that one may search by. Pure.

A block's terms are hashes of 32 bits side by side. Whoever looks for one may find it where it is not, once in
millions of blocks; then the block is read in vain.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.audit.people import folded, names_of, tenant_of
from gateway.audit.queries import (
    BEGINNING,
    END,
    families_of,
    families_on,
    hold_of,
    operation_of,
    requests_of,
    results_of,
    time_of,
)
from gateway.audit.records import Record, read_record, text_of

BLOCK_LINES = 128


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a block must hold to be looked at: of each group one term, and a line within a time."""

    groups: tuple[frozenset[bytes], ...] = ()
    since: str = BEGINNING
    until: str = END


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that begin at `start` and end before `finish`, the moments between which they lie, and their terms."""

    start: int
    finish: int
    earliest: str
    latest: str
    terms: bytes
    unreadable: int  # lines that hold no JSON object

    @property
    def checksum(self) -> int:
        """Changes with every part."""
        head = f"{self.start} {self.finish} {self.earliest} {self.latest} {self.unreadable} "
        return zlib.crc32(self.terms, zlib.crc32(head.encode("utf-8", "surrogatepass")))

    def may_hold(self, wanted: Wanted) -> bool:
        """Whether it must be looked at."""
        if self.latest < wanted.since or self.earliest >= wanted.until:
            return False
        return all(any(term in self.terms for term in group) for group in wanted.groups)


def person_term(name: str) -> bytes:
    """Of a folded name."""
    return _term("p", name)


def request_term(request: str) -> bytes:
    """Of a request's id."""
    return _term("r", request)


def operation_term(operation: str) -> bytes:
    """Of an operation's name, or a family's."""
    return _term("o", operation)


def result_term(result: str) -> bytes:
    """Of one of `queries.RESULTS`."""
    return _term("e", result)


def hold_term(hold: str) -> bytes:
    """Of a hold's id."""
    return _term("h", hold)


def notice_term(notice: str) -> bytes:
    """Of a notice's name."""
    return _term("n", notice)


def tenant_term(tenant: str) -> bytes:
    """Of a tenant's name."""
    return _term("t", tenant)


def _term(kind: str, text: str) -> bytes:
    return struct.pack("<I", zlib.crc32(f"{kind}:{text}".encode("utf-8", "surrogatepass")))


def blocks_of(content: bytes, start: int) -> Iterator[Block]:
    """The blocks of whole lines that stand at `start` in their file."""
    lines = content.split(b"\n")[:-1]
    for place in range(0, len(lines), BLOCK_LINES):
        block = _block(lines[place : place + BLOCK_LINES], start)
        yield block
        start = block.finish


def _block(lines: list[bytes], start: int) -> Block:
    records = [record for record in map(read_record, lines) if record is not None]
    times = [time_of(record) for record in records]
    finish = start + sum(map(len, lines)) + len(lines)
    unreadable = len(lines) - len(records)
    return Block(start, finish, min(times, default=END), max(times, default=BEGINNING), _terms(records), unreadable)


def _terms(records: Iterable[Record]) -> bytes:
    names: set[str] = set()
    requests: set[str] = set()
    families: set[str] = set()
    rare: set[bytes] = set()
    kinds: dict[tuple[object, ...], Record] = {}  # one line stands for all that have these words in common
    for record in records:  # few calls a line, for there are millions
        names.update([value for _, value in names_of(record)])
        requests.update(requests_of(record))
        get = record.get
        words = (get("event"), get("outcome"), get("reason"), get("tenant"), get("operation"))
        try:
            kinds[words] = record
        except TypeError:  # somebody put a list there
            kinds[(id(record),)] = record
        if "path" in record:  # a refusal, which names no operation
            families.update(families_on(record))
        if ("guard" in record or "details" in record) and (hold := hold_of(record)):
            rare.add(hold_term(hold))
        if "details" in record:
            kinds[(id(record),)] = record
            rare.add(notice_term(text_of(record, "notice")))
    terms = {person_term(name) for name in set(map(folded, names))}
    terms.update(map(request_term, requests))
    for record in kinds.values():
        terms.add(tenant_term(tenant_of(record)))
        families.update(families_of(operation_of(record)))
        terms.update(map(result_term, results_of(record)))
    terms.update(map(operation_term, families))
    terms |= rare
    return b"".join(terms)
