from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.chain import Link, read_header, walk
from gateway.audit.merkle import grown, leaf
from gateway.journal.walking import Ending, ending, grown_over, last_line, walked
from tests.journal.disks import LINE, line, open_segments

SIZE = len(line(1))
PIECES = st.lists(
    st.sampled_from([line(1), line(20), b"\n", b"junk", b"\0" * 50, b'{"seq":3', b"x" * 200 + b"\n"]), max_size=12
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (0, 0)),
        (line(1), (1, SIZE)),
        (line(1) + line(2), (2, 2 * SIZE)),
        (line(1) + b'{"seq":2', (1, SIZE)),
        (line(1) + b'{"seq":2}', (1, SIZE)),  # whole but for its newline: nobody was told that it is there
        (line(1) + b"\0" * 4096, (1, SIZE)),
        (line(1) + b"\0" * 10 + b"\n", (1, SIZE)),
        (line(1) + b"\n\n", (1, SIZE)),
        (b"\0" * 4096, (0, 0)),
        (b"junk\n", (0, 0)),
    ],
)
def test_only_a_whole_line_of_ours_counts_as_the_last(content: bytes, expected: tuple[int, int]) -> None:
    assert last_line(content) == expected


@given(st.binary(max_size=60).filter(lambda tail: b"seq" not in tail))
def test_no_garbage_behind_it_hides_the_last_line(tail: bytes) -> None:
    assert last_line(line(41) + line(42) + tail) == (42, 2 * len(line(41)))


@given(PIECES, st.integers(len(line(20)) + 1, 100))
def test_a_file_ends_in_blocks_where_it_ends_as_a_whole(pieces: list[bytes], block_bytes: int) -> None:
    content = b"".join(pieces)
    sequence, end = last_line(content)
    found = ending(io.BytesIO(content), block_bytes=block_bytes)

    assert found == Ending(content[content.rfind(b"\n", 0, max(0, end - 1)) + 1 : end - 1] if sequence else b"", end)


def segment(directory: Path, lines: int = 29) -> bytes:
    """A header and so many lines."""
    segments = open_segments(directory)
    segments.append([LINE] * lines)
    segments.close()
    return (directory / "audit-000001.jsonl").read_bytes()


@pytest.mark.parametrize("block_bytes", [1, 100, 1000, 1 << 20])
@pytest.mark.parametrize("broken", [None, 1, 15, 29])
def test_a_chain_is_walked_in_blocks_as_far_as_it_holds(tmp_path: Path, block_bytes: int, broken: int | None) -> None:
    lines = segment(tmp_path).splitlines()
    if broken is not None:
        lines[broken] = lines[broken].replace(b'"seq":', b'"seq":7')
    content = b"".join(entry + b"\n" for entry in lines)
    found = walked(io.BytesIO(content + b"torn"), len(content), block_bytes=block_bytes)
    held = len(lines) if broken is None else broken
    header = read_header(lines[0])
    assert header

    assert found.link == walk(header.link, lines[:held])
    assert found.before == lines[held - 1]
    assert found.end == sum(len(entry) + 1 for entry in lines[:held])
    assert found.following == tuple(lines[held:])


def test_without_a_header_nothing_holds(tmp_path: Path) -> None:
    lines = segment(tmp_path).splitlines(keepends=True)[1:]
    found = walked(io.BytesIO(b"".join(lines)), sum(map(len, lines)))

    assert (found.header, found.link, found.before, found.end) == (None, Link(), b"", 0)
    assert found.following == tuple(entry[:-1] for entry in lines)


def test_a_tree_grows_over_whatever_stands_in_a_part_of_a_file() -> None:
    content = b"0\n1\n\n2\n3\n"

    assert grown_over(Link().tree, io.BytesIO(content), 2, 7) == grown(Link().tree, map(leaf, (b"1", b"", b"2")))
