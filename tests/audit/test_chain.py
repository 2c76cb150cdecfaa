from __future__ import annotations

import hashlib
import json

import pytest

from gateway.audit.chain import NO_LINE, Link, body_of, digest_of, linked, read_header, walk
from gateway.audit.lines import segment_line
from gateway.audit.merkle import Tree, grown, leaf
from tests.journal import logs

THREE = [b'{"v":2,"mark":%d}\n' % mark for mark in range(3)]


def test_a_line_ends_with_the_digest_of_the_line_before_newline_and_all() -> None:
    first, second, third = linked(Link(), THREE)[0].splitlines(keepends=True)

    assert first.endswith(b',"prev":"' + b"0" * 64 + b'"}\n')
    assert json.loads(second)["prev"] == hashlib.sha256(first).hexdigest()
    assert list(json.loads(third))[-1] == "prev"
    assert json.loads(third)["prev"] == hashlib.sha256(second).hexdigest()


def test_the_tree_is_over_the_lines_without_their_newlines() -> None:
    written, link = linked(Link(), THREE)

    assert link.tree == grown(Tree(), [leaf(line) for line in written.splitlines()])


def test_a_chain_made_in_pieces_is_the_same() -> None:
    first, link = linked(Link(), THREE[:1])
    rest, end = linked(link, THREE[1:])

    assert (first + rest, end) == linked(Link(), THREE)


def test_a_walk_ends_where_the_chain_does_and_stops_before_a_line_that_does_not_follow() -> None:
    written, end = linked(Link(), THREE)
    lines = written.splitlines()

    assert walk(Link(), lines) == end
    assert walk(Link(), [lines[0], lines[2]]) == linked(Link(), THREE[:1])[1]
    assert walk(Link(), []) == Link()


def test_a_header_says_where_a_segment_goes_on() -> None:
    link = linked(Link(), THREE)[1]
    header_line = linked(link, [segment_line(2, 4, link.tree, now=1_800_000_000.5, instance="gw-1")])[0]
    header = read_header(header_line.rstrip(b"\n"))

    assert header is not None
    assert (header.segment, header.instance, header.began_at, header.link) == (2, "gw-1", 1_800_000_000.5, link)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'{"seq":1,"v":2,"event":"notice"}',
        b'{"seq":1,"event":"segment"}',
        b'{"seq":1,"time":7,"instance":"a","event":"segment","segment":1,"size":0,"edge":[],"prev":""}',
        b'{"seq":1,"time":"2027-01-15T08:00:00Z","instance":"a","event":"segment","segment":1,"size":1,"edge":[],"prev":""}',
        b'{"seq":1,"time":"2027-01-15T08:00:00Z","instance":"a","event":"segment","segment":1,"size":"1","edge":["aa"],"prev":""}',
    ],
)
def test_what_is_no_whole_header_is_none(line: bytes) -> None:
    assert read_header(line) is None


@pytest.mark.parametrize(("there", "instead"), logs.NO_HEADERS)
def test_a_header_with_what_no_gateway_writes_there_is_none(there: bytes, instead: bytes) -> None:
    line = linked(Link(), [segment_line(1, 1, Tree(), now=1_800_000_000.5, instance="gw-1")])[0].rstrip(b"\n")

    assert read_header(line) is not None
    assert there in line
    assert read_header(line.replace(there, instead)) is None


def test_a_digest_covers_the_newline() -> None:
    assert digest_of(b"{}") == hashlib.sha256(b"{}\n").hexdigest()
    assert len(NO_LINE) == 64


def test_a_line_says_in_the_chain_what_it_said_before_it() -> None:
    written, _ = linked(Link(), [b'{"v":2,"prev":"x"}\n', b'{"a":[1,2]}\n'])

    assert [body_of(entry) for entry in written.splitlines(keepends=True)] == [b'"v":2,"prev":"x"', b'"a":[1,2]']


@pytest.mark.parametrize("entry", [b"", b"\n", b"no line of ours\n"])
def test_anything_else_says_something_and_hurts_nobody(entry: bytes) -> None:
    assert body_of(entry) == b""
