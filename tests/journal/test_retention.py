from __future__ import annotations

from collections.abc import Iterable
from math import inf
from pathlib import Path

import pytest

from gateway.journal.recovery import segment_path
from gateway.journal.retention import expired
from tests.journal.disks import LINE, open_segments

START, DAY = 1_800_000_000.0, 86_400.0


def write(directory: Path, segments: int) -> None:
    """So many segments, each of a day."""
    write_on(directory, range(segments))


def write_on(directory: Path, days: Iterable[float]) -> None:
    """A segment that begins on each of these days."""
    for one in days:
        opened = open_segments(directory, max_seconds=0.5, now=lambda day=one: START + DAY * day)  # type: ignore[misc] # bound
        opened.append([LINE])
        opened.close()


def found(directory: Path) -> list[tuple[str, int, int]]:
    return [(old.path.name, old.first, old.last) for old in expired(directory, inf, inf)]


def test_an_empty_segment_ends_no_retention(tmp_path: Path) -> None:
    write(tmp_path, 2)
    segment_path(tmp_path, 3).touch()
    segment_path(tmp_path, 4).touch()
    opened = open_segments(tmp_path)
    for _ in range(3):
        opened._begin_segment()
        opened.append([LINE])
    opened.close()

    assert found(tmp_path) == [
        ("audit-000001.jsonl", 1, 2),
        ("audit-000002.jsonl", 3, 4),
        ("audit-000005.jsonl", 5, 6),
    ]


def test_an_empty_segment_is_none_of_the_last_two(tmp_path: Path) -> None:
    write(tmp_path, 3)
    segment_path(tmp_path, 4).touch()

    assert found(tmp_path) == [("audit-000001.jsonl", 1, 2)]


@pytest.mark.parametrize("damaged", [1, 2])
@pytest.mark.parametrize(
    "line",
    [
        b"junk",
        b"[" * 100_000,
        b'{"seq":1e999,"time":"2026-11-26T00:00:00Z"}',
        b'{"seq":1,"time":"2026-13-26T00:00:00Z"}',
        b'{"seq":1,"time":7}',
    ],
)
def test_a_segment_that_cannot_be_read_ends_it_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: int, line: bytes
) -> None:
    write(tmp_path, 4)
    segment_path(tmp_path, damaged).write_bytes(line + b"\n")

    assert found(tmp_path) == []
    assert f"from {segment_path(tmp_path, damaged)} on" in caplog.text


def test_segments_that_are_young_enough_end_it_quietly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, 4)

    assert len(expired(tmp_path, START + DAY + 1, START + 9 * DAY)) == 1
    assert not caplog.records


@pytest.mark.parametrize("ahead", [[1], [2], [1, 2], [2, 3, 4]])
def test_segments_that_a_clock_made_begin_in_the_future_end_no_retention(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ahead: list[int]
) -> None:
    write_on(tmp_path, [10_000 + day if day in ahead else day for day in range(9)])

    assert len(expired(tmp_path, START + 6.5 * DAY, START + 9 * DAY)) == 6
    assert "begins in the future: the clock was ahead" in caplog.text


def test_a_segment_stays_that_only_a_beginning_in_the_future_follows(tmp_path: Path) -> None:
    write_on(tmp_path, [0, 10_001, 10_002, 10_003, 10_004])

    assert expired(tmp_path, START + 100 * DAY, START + 101 * DAY) == ()


def test_a_clock_that_was_behind_makes_no_segment_old(tmp_path: Path) -> None:
    write_on(tmp_path, [100, -10_000, 101, 102, 103])

    assert expired(tmp_path, START + 50 * DAY, START + 103 * DAY) == ()
