from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.lines import read_sequence
from gateway.journal.cursors import BEGINNING, Position
from gateway.journal.recovery import segment_path
from gateway.journal.segments import Segments
from gateway.journal.tail import Batch, read_on
from tests.journal.disks import LINE, LINE_BYTES, FailingDisk, content, open_segments, sequences


def written(directory: Path, count: int) -> Segments:
    """Lines one by one, a few in a segment."""
    segments = open_segments(directory, max_segment_bytes=6 * LINE_BYTES)
    for _ in range(count):
        segments.append([LINE])
    segments.close()
    return segments


def read_all(directory: Path, start: Position, durable: Position, max_bytes: int = 1000) -> tuple[list[bytes], Batch]:
    lines: list[bytes] = []
    while (batch := read_on(directory, start, durable, max_bytes)).lines:
        lines += batch.lines
        start = batch.end
    return lines, batch


def on_record(directory: Path, number: int | None = None) -> list[bytes]:
    """The lines of one segment, or of all."""
    return (content(directory) if number is None else segment_path(directory, number).read_bytes()).splitlines()


@pytest.mark.parametrize("max_bytes", [1, LINE_BYTES - 1, LINE_BYTES, LINE_BYTES + 1, 400, 10_000])
def test_every_line_is_read_once_over_the_borders_of_segments(tmp_path: Path, max_bytes: int) -> None:
    segments = written(tmp_path, 23)
    lines, last = read_all(tmp_path, BEGINNING, segments.durable, max_bytes)

    assert len({path.name for path in tmp_path.iterdir()}) > 3
    assert lines == on_record(tmp_path)
    assert [read_sequence(line) for line in lines] == list(range(1, segments.link.sequence + 1))
    assert last.end == segments.durable


def test_a_line_that_is_not_durable_is_not_read(tmp_path: Path) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.failing = {"sync", "truncate"}
    with pytest.raises(OSError, match="Input/output"):
        segments.append([LINE])

    assert segment_path(tmp_path, 1).read_bytes().count(b"\n") == 3
    assert list(read_on(tmp_path, BEGINNING, segments.durable).lines) == on_record(tmp_path, 1)[:2]


def test_what_a_failure_left_does_not_show_later(tmp_path: Path) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.failing = {"sync"}
    with pytest.raises(OSError, match="Input/output"):
        segments.append([LINE])
    disk.failing = set()
    segments.append([LINE])

    assert segments.durable.segment == 2
    assert sequences(tmp_path) == [1, 2, 3, 4]
    assert read_all(tmp_path, BEGINNING, segments.durable)[0] == on_record(tmp_path)


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    before = written(tmp_path, 6)
    after = written(tmp_path, 5)

    assert read_all(tmp_path, before.durable, after.durable)[0] == on_record(tmp_path)[before.link.sequence :]


def test_removed_segments_are_passed_over_and_counted(tmp_path: Path) -> None:
    segments = written(tmp_path, 20)
    here = read_on(tmp_path, BEGINNING, segments.durable, max_bytes=600).end
    removed = sum(len(on_record(tmp_path, number)) for number in (1, 2, 3))
    for number in (1, 2, 3):
        segment_path(tmp_path, number).unlink()
    batch = read_on(tmp_path, here, segments.durable)

    assert here.segment == 1
    assert list(batch.lines) == on_record(tmp_path, 4)
    assert batch.gone == removed - here.sequence > 0


def test_what_was_removed_before_the_first_look_is_not_missed(tmp_path: Path) -> None:
    segments = written(tmp_path, 8)
    segment_path(tmp_path, 1).unlink()
    batch = read_on(tmp_path, BEGINNING, segments.durable)

    assert list(batch.lines) == on_record(tmp_path, 2)
    assert batch.gone == 0


def test_a_log_that_took_the_place_of_another_is_read_whole(tmp_path: Path) -> None:
    segments = written(tmp_path, 6)

    assert read_all(tmp_path, Position(9, 48, 900), segments.durable)[0] == on_record(tmp_path)
    assert read_all(tmp_path, Position(2, 9000, 900), segments.durable)[0] == on_record(tmp_path)


@pytest.mark.parametrize("offset", [7, 9000])
def test_a_segment_that_was_changed_is_read_again(tmp_path: Path, offset: int) -> None:
    segments = written(tmp_path, 8)

    assert read_all(tmp_path, Position(1, offset, 2), segments.durable)[0] == on_record(tmp_path)


def test_half_a_line_at_the_end_of_an_old_segment_is_no_line(tmp_path: Path) -> None:
    segments = written(tmp_path, 8)
    whole = on_record(tmp_path)
    with segment_path(tmp_path, 1).open("ab") as file:
        file.write(b'{"seq":5,"v"')

    assert read_all(tmp_path, BEGINNING, segments.durable)[0] == whole


def test_a_log_without_lines_has_nothing_to_read(tmp_path: Path) -> None:
    assert read_on(tmp_path, BEGINNING, BEGINNING) == Batch((), BEGINNING)
    assert read_on(tmp_path, BEGINNING, written(tmp_path, 0).durable).lines == ()
