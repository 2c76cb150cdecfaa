from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.journal.reserve import RESERVE_BYTES, RESERVE_NAME, Reserve
from tests.journal.disks import BadSectorDisk, FailingDisk, LosableDisk

LINES = (b'{"a":1}\n', b'{"b":2}\n')
SIZE = 1000


def opened(directory: Path, disk: FailingDisk | None = None) -> Reserve:
    reserve = Reserve(directory, disk or FailingDisk(), SIZE)
    reserve.open()
    return reserve


def lines_after_a_crash(directory: Path) -> tuple[bytes, ...]:
    return opened(directory).lines


def test_its_blocks_are_there_before_anybody_needs_them(tmp_path: Path) -> None:
    Reserve(tmp_path, FailingDisk()).open()
    found = (tmp_path / RESERVE_NAME).stat()

    assert found.st_size == RESERVE_BYTES
    assert found.st_blocks * 512 >= RESERVE_BYTES
    assert stat.S_IMODE(found.st_mode) & 0o137 == 0


def test_holes_are_filled_at_the_start(tmp_path: Path) -> None:
    with (tmp_path / RESERVE_NAME).open("wb") as file:
        file.write(LINES[0])
        file.truncate(RESERVE_BYTES)
    reserve = Reserve(tmp_path, FailingDisk())
    reserve.open()

    assert reserve.lines == LINES[:1]
    assert (tmp_path / RESERVE_NAME).stat().st_blocks * 512 >= RESERVE_BYTES


def test_what_was_put_survives_a_crash_in_its_order(tmp_path: Path) -> None:
    reserve = opened(tmp_path)
    reserve.put(LINES[:1])
    reserve.put(LINES[1:])

    assert reserve.lines == lines_after_a_crash(tmp_path) == LINES
    assert (tmp_path / RESERVE_NAME).stat().st_size == SIZE


def test_what_was_cleared_is_gone_for_good_and_its_room_is_free_again(tmp_path: Path) -> None:
    reserve = opened(tmp_path)
    reserve.put([b"x" * (SIZE - 1) + b"\n"])
    reserve.clear()

    assert reserve.lines == lines_after_a_crash(tmp_path) == ()
    reserve.put(LINES)
    assert lines_after_a_crash(tmp_path) == LINES


def test_a_full_one_takes_nothing_more_and_keeps_what_it_has(tmp_path: Path) -> None:
    reserve = opened(tmp_path)
    reserve.put(LINES)

    assert reserve.put([b"x" * SIZE]) == 0
    assert reserve.lines == lines_after_a_crash(tmp_path) == LINES


def test_what_fits_of_many_lines_is_kept_whole_and_to_the_last_byte(tmp_path: Path) -> None:
    reserve = opened(tmp_path)
    half = b"x" * (SIZE // 2 - 1) + b"\n"

    assert reserve.put([half, half, half]) == 2
    assert reserve.lines == lines_after_a_crash(tmp_path) == (half, half)


@pytest.mark.parametrize("failing", ["write_at", "sync"])
def test_a_line_that_failed_is_not_there_and_hides_nothing_behind_the_next(tmp_path: Path, failing: str) -> None:
    disk = FailingDisk()
    reserve = opened(tmp_path, disk)
    disk.failing = {failing}
    with pytest.raises(OSError, match="Input/output"):
        reserve.put([b'{"never":"acknowledged"}\n', b'{"nor":"this"}\n'])
    disk.failing = set()
    reserve.put(LINES[:1])

    assert reserve.lines == lines_after_a_crash(tmp_path) == LINES[:1]


def test_half_a_line_that_a_crash_left_is_not_there(tmp_path: Path) -> None:
    (tmp_path / RESERVE_NAME).write_bytes(LINES[0] + b'{"half')
    reserve = opened(tmp_path)
    reserve.put(LINES[1:])

    assert reserve.lines == lines_after_a_crash(tmp_path) == LINES


def test_one_that_was_removed_is_made_anew_with_what_it_held(tmp_path: Path) -> None:
    reserve = opened(tmp_path)
    reserve.put(LINES)
    (tmp_path / RESERVE_NAME).unlink()
    reserve.be_there()

    assert reserve.lines == lines_after_a_crash(tmp_path) == LINES


def test_one_whose_volume_is_lost_is_made_anew_where_another_is_mounted(tmp_path: Path) -> None:
    disk = LosableDisk()
    reserve = opened(tmp_path, disk)
    reserve.put(LINES)
    disk.lose_volume()
    (tmp_path / RESERVE_NAME).unlink()
    reserve.be_there()

    assert reserve.lines == lines_after_a_crash(tmp_path) == LINES


def test_one_that_cannot_be_overwritten_is_cleared_by_another_in_its_place(tmp_path: Path) -> None:
    disk = BadSectorDisk()
    reserve = opened(tmp_path, disk)
    reserve.put(LINES)
    disk.spoil(tmp_path / RESERVE_NAME)
    (tmp_path / "reserve.new").write_bytes(b"of a crash\n")
    reserve.clear()
    assert reserve.lines == lines_after_a_crash(tmp_path) == ()
    reserve.put(LINES[1:])

    assert reserve.lines == lines_after_a_crash(tmp_path) == LINES[1:]
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [(RESERVE_NAME, SIZE)]


@pytest.mark.parametrize("failing", ["create", "write_at", "sync"])
def test_one_that_no_other_can_take_the_place_of_is_as_it_was(tmp_path: Path, failing: str) -> None:
    disk = BadSectorDisk()
    reserve = opened(tmp_path, disk)
    reserve.put(LINES)
    disk.spoil(tmp_path / RESERVE_NAME)
    disk.failing = {failing}
    with pytest.raises(OSError, match="Input/output"):
        reserve.clear()
    assert lines_after_a_crash(tmp_path) == LINES
    assert [path.name for path in tmp_path.iterdir()] == [RESERVE_NAME]
    disk.failing = set()
    reserve.clear()

    assert lines_after_a_crash(tmp_path) == ()


def test_no_other_takes_the_place_of_somebody_elses(tmp_path: Path) -> None:
    disk = BadSectorDisk()
    directory = tmp_path / "audit"
    directory.mkdir()
    reserve = opened(directory, disk)
    reserve.put(LINES)
    disk.spoil(directory / RESERVE_NAME)
    directory.rename(tmp_path / "elsewhere")
    directory.mkdir()
    (directory / RESERVE_NAME).write_bytes(LINES[0])
    with pytest.raises(OSError, match="Stale"):
        reserve.clear()

    assert (directory / RESERVE_NAME).read_bytes() == LINES[0]


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def cut_in_a_line(file: Path) -> None:
    os.truncate(file, len(LINES[0]) + 3)


def made_sparse(file: Path) -> None:
    os.truncate(file, 0)
    os.truncate(file, RESERVE_BYTES)


@pytest.mark.parametrize("held", [(), LINES])
@pytest.mark.parametrize("robbed", [emptied, cut_in_a_line, made_sparse])
def test_one_whose_room_somebody_took_has_it_again_with_what_it_held(
    tmp_path: Path, robbed: Callable[[Path], None], held: tuple[bytes, ...]
) -> None:
    file = tmp_path / RESERVE_NAME
    reserve = Reserve(tmp_path, FailingDisk())
    reserve.open()
    if held:
        reserve.put(held)
    robbed(file)
    reserve.be_there()

    assert file.stat().st_size == RESERVE_BYTES
    assert file.stat().st_blocks * 512 >= RESERVE_BYTES
    assert reserve.lines == held
    again = Reserve(tmp_path, FailingDisk())
    again.open()
    assert again.lines == held


def test_one_that_is_whole_is_not_written_again(tmp_path: Path) -> None:
    disk = FailingDisk()
    reserve = opened(tmp_path, disk)
    reserve.put(LINES)
    with (tmp_path / RESERVE_NAME).open("ab") as file:
        file.write(b"more")
    disk.failing = {"write_at", "sync"}
    reserve.be_there()

    assert reserve.lines == LINES


def test_an_error_of_closing_it_costs_nothing_and_closes_nobody_elses(tmp_path: Path) -> None:
    disk = FailingDisk()
    reserve = opened(tmp_path, disk)
    reserve.put(LINES)
    disk.failing = {"close"}
    reserve.close()
    other = os.dup(0)  # as a connection that comes then: it has that number
    reserve.close()
    os.fstat(other)
    os.close(other)

    assert lines_after_a_crash(tmp_path) == LINES


def test_one_that_cannot_be_made_anew_forgets_nothing_and_tries_again(tmp_path: Path) -> None:
    disk = FailingDisk()
    reserve = opened(tmp_path, disk)
    reserve.put(LINES)
    (tmp_path / RESERVE_NAME).unlink()
    disk.failing = {"write_at"}
    with pytest.raises(OSError, match="Input/output"):
        reserve.be_there()
    assert reserve.lines == LINES
    with pytest.raises(OSError, match="Bad file"):
        reserve.put(LINES)
    disk.failing = set()
    reserve.be_there()

    assert lines_after_a_crash(tmp_path) == LINES


def test_no_room_for_it_is_said_with_its_name(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.failing = {"write_at"}
    with pytest.raises(OSError, match=RESERVE_NAME):
        opened(tmp_path, disk)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / RESERVE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=os.strerror(40)):
        opened(tmp_path)

    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
