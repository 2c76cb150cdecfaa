"""The chain: each line ends with the digest of the line before it, and each segment begins with where it goes on. Pure.

A line's digest is SHA-256 over its exact bytes, newline included; the first line's `prev` is 32 zero bytes. Chained
lines, without their newline, are also the leaves of one Merkle tree, whose root the checkpoints sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from gateway.audit.merkle import Tree, grown, leaf
from gateway.audit.records import number_of, read_record, text_of

NO_LINE = "0" * 64  # the digest before the very first line
_TAIL_BYTES = len(',"prev":""}\n') + len(NO_LINE)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Link:
    """Where a chain goes on: the last line's number and digest (hex), and the tree of the chained lines so far."""

    sequence: int = 0
    digest: str = NO_LINE
    tree: Tree = field(default_factory=Tree)


@dataclass(frozen=True, slots=True)
class Header:
    """A segment's first line: its number, whose it is, when it began (Unix seconds), and the link that it continues."""

    segment: int
    instance: str
    began_at: float
    link: Link


def linked(link: Link, lines: Iterable[bytes]) -> tuple[bytes, Link]:
    """Lines as they are to be written, numbered and chained, and the link after them."""
    sequence, digest = link.sequence, link.digest
    written, leaves = [], []
    for line in lines:
        sequence += 1
        entry = b'{"seq":%d,%b,"prev":"%b"}' % (sequence, line[1:-2], digest.encode("ascii"))
        written.append(entry)
        leaves.append(leaf(entry))
        digest = digest_of(entry)
    written.append(b"")
    return b"\n".join(written), Link(sequence, digest, grown(link.tree, leaves))


def body_of(entry: bytes) -> bytes:
    """What a chained line (with its newline) says between its number and its link; of anything else, anything."""
    return entry[entry.find(b",") + 1 : -_TAIL_BYTES]


def walk(link: Link, lines: Sequence[bytes]) -> Link:
    """Go on along lines (without newlines) for as long as each is the one that must come: the link after the last."""
    sequence, digest = link.sequence, link.digest.encode("utf-8")
    leaves = []
    for line in lines:  # written out, for an auditor waits for millions of them
        if not (line.endswith(b',"prev":"' + digest + b'"}') and line.startswith(b'{"seq":%d,' % (sequence + 1))):
            break
        sequence += 1
        digest = sha256(line + b"\n").hexdigest().encode("ascii")
        leaves.append(sha256(b"\0" + line).digest())
    return Link(sequence, digest.decode("utf-8"), grown(link.tree, leaves))


def digest_of(line: bytes) -> str:
    """The digest of a line that is given without its newline, as the next one's `prev` says it."""
    return sha256(line + b"\n").hexdigest()


def read_prev(line: bytes) -> str | None:
    """What a line says of the one before; None for one that is not chained or cannot be read."""
    record = read_record(line)
    prev = record.get("prev") if record else None
    return prev if isinstance(prev, str) else None


def is_unchained(line: bytes) -> bool:
    """Whether a line is of version 1, which had no chain."""
    record = read_record(line)
    return record is not None and record.get("v") == 1 and "prev" not in record


def read_header(line: bytes) -> Header | None:
    """A segment's first line, without its newline; None for anything else."""
    record = read_record(line)
    if record is None or record.get("event") != "segment":
        return None
    segment, sequence = number_of(record, "segment"), number_of(record, "seq")
    instance, prev, size, edge = (record.get(key) for key in ("instance", "prev", "size", "edge"))
    # SECURITY: whoever can write to a file must not stop a start or an auditor by what no gateway writes there.
    if not (segment > 0 and sequence > 0 and isinstance(instance, str) and isinstance(prev, str)):
        return None
    if not (_DIGEST.fullmatch(prev) and type(size) is int and isinstance(edge, list)):
        return None
    try:
        tree = Tree(size, tuple([bytes.fromhex(str(node)) for node in edge]))
        began_at = datetime.fromisoformat(text_of(record, "time")).timestamp()
    except (OverflowError, ValueError):
        return None
    return Header(segment, instance, began_at, Link(sequence - 1, prev, tree))
