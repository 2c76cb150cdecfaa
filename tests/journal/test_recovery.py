from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.disk import Disk
from gateway.journal.recovery import last_line, recover, segment_path
from tests.journal.disks import FailingDisk, line, sequences

SIZE = len(line(1))


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


def test_an_empty_directory_begins_at_nothing(tmp_path: Path) -> None:
    recovered = recover(tmp_path, Disk())

    assert (recovered.segment, recovered.link.sequence, recovered.torn) == (0, 0, ())


def test_an_empty_last_segment_goes_on_where_the_one_before_it_ended(tmp_path: Path) -> None:
    segment_path(tmp_path, 1).write_bytes(line(1) + line(2))
    segment_path(tmp_path, 2).touch()
    recovered = recover(tmp_path, Disk())

    assert (recovered.segment, recovered.link.sequence) == (2, 2)


def test_segments_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    segment_path(tmp_path, 999_999).write_bytes(line(1))
    segment_path(tmp_path, 1_000_000).write_bytes(line(2))

    assert recover(tmp_path, Disk()).link.sequence == 2


def test_what_a_crash_left_is_set_aside_whole(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 3)
    path.write_bytes(line(1) + b'{"seq":2,"torn')
    (torn,) = recover(tmp_path, Disk()).torn

    assert (torn.segment, torn.size_bytes) == (path, 14)
    assert torn.set_aside.read_bytes() == b'{"seq":2,"torn'
    assert sequences(tmp_path) == [1]


def test_a_second_crash_does_not_overwrite_what_the_first_one_left(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 1)
    names = set()
    for tail in (b"first", b"second"):
        path.write_bytes(line(1) + tail)
        (torn,) = recover(tmp_path, Disk()).torn
        names.add(torn.set_aside.name)

    assert names == {"audit-000001.torn1", "audit-000001.torn2"}


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_nothing_is_cut_off_before_it_is_safe_elsewhere(tmp_path: Path, operation: str) -> None:
    path = segment_path(tmp_path, 1)
    path.write_bytes(line(1) + b"torn")
    disk = FailingDisk()
    disk.failing = {operation}

    with pytest.raises(OSError, match="Input/output"):
        recover(tmp_path, disk)
    assert path.read_bytes() == line(1) + b"torn"


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_copy_that_could_not_be_made_leaves_nothing_behind(tmp_path: Path, operation: str) -> None:
    path = segment_path(tmp_path, 1)
    path.write_bytes(line(1) + b"torn")
    disk = FailingDisk()
    disk.failing = {operation}
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            recover(tmp_path, disk)

    assert list(tmp_path.iterdir()) == [path]
