from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from gateway.audit.chain import Link, linked, walk
from gateway.audit.tampering import CONTEXT_LINES, Finding, Kind, diagnose

LINES = linked(Link(), [b'{"v":2}\n'] * 200)[0].split(b"\n")[:-1]


def found(lines: Sequence[bytes]) -> Finding:
    """What is wrong with lines, from the first one on that does not follow."""
    end = walk(Link(), lines)
    assert end.sequence < len(lines)
    return diagnose(end, lines[end.sequence - 1] if end.sequence else b"", lines[end.sequence :])


def moved(place: int, to: int) -> list[bytes]:
    """A line was taken out and put in elsewhere."""
    left = [*LINES[:place], *LINES[place + 1 :]]
    return [*left[:to], LINES[place], *left[to:]]


def swapped(first: int, second: int) -> list[bytes]:
    lines = list(LINES)
    lines[first], lines[second] = lines[second], lines[first]
    return lines


def edited(place: int, there: bytes, instead: bytes) -> list[bytes]:
    lines = list(LINES)
    assert there in lines[place]
    lines[place] = lines[place].replace(there, instead)
    return lines


@pytest.mark.parametrize(
    ("lines", "kind", "sequence", "why"),
    [
        (swapped(100, 101), Kind.REORDERING, 101, "line 102 stands before line 101"),
        (swapped(100, 109), Kind.REORDERING, 101, "line 110 stands before line 101"),
        (moved(100, 109), Kind.REORDERING, 101, "line 102 stands before line 101"),
        (moved(109, 100), Kind.REORDERING, 101, "line 110 stands before line 101"),
        ([*LINES[:100], *LINES[109:99:-1], *LINES[110:]], Kind.REORDERING, 101, "line 110 stands before line 101"),
        ([*LINES[:100], LINES[109], *LINES[100:]], Kind.INSERTION, 101, "calls itself 110 stands where line 101"),
        ([*LINES[:100], LINES[49], *LINES[100:]], Kind.INSERTION, 101, "calls itself 50 stands where line 101"),
        ([*LINES[:100], b"", *LINES[100:]], Kind.INSERTION, 101, "what is no line of a log stands before line 101"),
        ([*LINES[:100], b"junk", *LINES[101:]], Kind.EDIT, 101, "line 101 is not as it was written"),
        ([*LINES[:100], *LINES[101:]], Kind.REMOVAL, 101, "line 101 is missing"),
        ([*LINES[:100], *LINES[110:]], Kind.REMOVAL, 101, "lines 101 to 110 are missing"),
        (edited(50, b'"seq":51,', b'"seq":51 ,'), Kind.EDIT, 51, "line 51 is not as it was written"),
        (edited(50, b'"seq":51,', b'"seq":510,'), Kind.EDIT, 51, "line 51 is not as it was written"),
        (edited(50, b'"seq":51,', b'"seq":49,'), Kind.EDIT, 51, "line 51 is not as it was written"),
        (edited(50, b'"v":2', b'"v":3'), Kind.EDIT, 51, "line 51 is not what line 52 says it was"),
        ([line + b"\r" for line in LINES], Kind.EDIT, 1, "line 1 ends in CR LF"),
        ([b"\xef\xbb\xbf" + LINES[0], *LINES[1:]], Kind.EDIT, 1, "line 1 begins with a byte order mark"),
    ],
)
def test_what_was_done_is_told_for_what_it_is(lines: list[bytes], kind: Kind, sequence: int, why: str) -> None:
    finding = found(lines)

    assert (finding.kind, finding.sequence) == (kind, sequence), finding.why
    assert why in finding.why


@pytest.mark.parametrize("read", [lambda lines: lines, lambda lines: lines[: CONTEXT_LINES + 1]])
def test_no_more_than_the_context_is_read(read: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = linked(Link(), [b'{"v":2}\n'] * (CONTEXT_LINES + 2))[0].split(b"\n")[:-1]

    assert found(read([*lines[1:], lines[0]])).kind is Kind.REMOVAL
