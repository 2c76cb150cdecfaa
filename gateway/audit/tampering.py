"""What was done to a log whose chain does not hold, told from the first line that is not as it must be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.audit.chain import Link, digest_of, read_prev
from gateway.audit.lines import read_sequence

CONTEXT_LINES = 4096  # how far behind it a line is looked for that is not where it must be
CONTEXT_BYTES = 4 << 20  # and no further than that
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Kind(Enum):
    """What a tampering looks like; another one may look the same."""

    EDIT = "edit"
    REMOVAL = "removal"
    INSERTION = "insertion"
    REORDERING = "reordering"
    TRUNCATION = "truncation"  # the log ends before a line that a checkpoint has seen
    REWRITING = "rewriting"  # the chain holds, and is not the one that was signed
    FORGED_CHECKPOINT = "forged checkpoint"  # no note, or its signature does not hold
    FOREIGN_CHECKPOINT = "foreign checkpoint"  # another log's, or signed by another key


@dataclass(frozen=True, slots=True)
class Finding:
    """The first bad line of a log (its number; 0 for a checkpoint without one), and why it is bad."""

    kind: Kind
    sequence: int
    why: str


def diagnose(link: Link, before: bytes, lines: Sequence[bytes]) -> Finding:
    """Why lines (without newlines) do not follow a link, whose own line is `before` (b"" if it is not at hand).

    The first of `lines` is the one that fails; those behind it, CONTEXT_LINES at most, tell whether it is a guest, a
    victim or at the wrong place.
    """
    due, line = link.sequence + 1, lines[0]
    if spoilt := _spoilt_on_the_way(line):
        return Finding(Kind.EDIT, due, f"line {due} {spoilt}: copy the files byte for byte")
    found = read_sequence(line)
    following = [read_sequence(other) for other in lines[1:CONTEXT_LINES]]
    if found == due:
        return _wrong_prev(link, before, lines)
    if found is None:
        return _no_line(due, following)
    if due in following and due < found and found not in following:
        return Finding(Kind.REORDERING, due, f"line {found} stands before line {due}")
    if due + 1 in following[:1]:
        return Finding(Kind.EDIT, due, f"line {due} is not as it was written")
    if found < due or due in following:
        return Finding(Kind.INSERTION, due, f"a line that calls itself {found} stands where line {due} must")
    missing = f"lines {due} to {found - 1} are" if found - due > 1 else f"line {due} is"
    return Finding(Kind.REMOVAL, due, f"{missing} missing")


def _spoilt_on_the_way(line: bytes) -> str:
    """What a copy did to a line that is as it was but for that; "" for nothing of the kind."""
    if line.endswith(b"\r"):
        return "ends in CR LF, as a copy by way of Windows or a transfer as text leaves it"
    if line.startswith(_BYTE_ORDER_MARKS):
        return "begins with a byte order mark (BOM), as an editor leaves it"
    return ""


def _no_line(due: int, following: Sequence[int | None]) -> Finding:
    """Something that has no number."""
    if due in following[:1]:
        return Finding(Kind.INSERTION, due, f"what is no line of a log stands before line {due}")
    return Finding(Kind.EDIT, due, f"line {due} is not as it was written")


def _wrong_prev(link: Link, before: bytes, lines: Sequence[bytes]) -> Finding:
    """A line with the right number that does not name the digest of the one before it, or not as a gateway does."""
    due, line = link.sequence + 1, lines[0]
    following = read_sequence(lines[1]) if len(lines) > 1 else None
    if following == due:
        return Finding(Kind.INSERTION, due, f"there are two lines {due}, and the first does not belong here")
    prev = read_prev(line)
    if prev == link.digest:
        return Finding(Kind.EDIT, due, f"line {due} is not as it was written")
    is_whole = len(lines) > 1 and read_prev(lines[1]) == digest_of(line)
    if is_whole and before and prev is not None:
        return Finding(Kind.EDIT, link.sequence, f"line {link.sequence} is not what line {due} says it was")
    return Finding(Kind.EDIT, due, f"line {due} does not name the digest of the line before it")
