from __future__ import annotations

import json
import shutil
import time
import tracemalloc
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from gateway.journal.files import Incident, LogFiles
from gateway.journal.locks import DirectoryInUse, exclusive
from gateway.journal.segments import Rotation
from gateway.journal.verifying import Request, verify
from tests.journal.disks import LINE, BadSectorDisk, FailingDisk, LosableDisk, SickDisk, content, sequences

ACT = b'{"v":2,"event":"outcome","request":"req-1"}\n'
INTENT = b'{"v":2,"event":"intent","request":"req-1"}\n'


def opened(directory: Path, disk: FailingDisk | None = None, clock: Callable[[], float] = time.monotonic) -> LogFiles:
    return LogFiles(directory, rotation=Rotation(), disk=disk or FailingDisk(), instance="gw-1", clock=clock)


def events(directory: Path) -> list[str]:
    """Of all lines but the segments' headers, "" for plain ones."""
    records = [json.loads(line) for line in content(directory).splitlines()]
    return [record.get("event", "") for record in records if record.get("event") != "segment"]


def test_on_a_full_disk_what_is_vital_is_kept_and_goes_on_record_before_whatever_comes_next(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    assert files.append([LINE]) is None
    disk.free_bytes = 4
    for _ in range(2):
        failure = files.append([LINE, ACT], [ACT])
        assert failure is not None
        assert (failure.why, failure.reserved) == ("No space left on device", 1)
    disk.free_bytes = None
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["", "outcome", "outcome", ""]
    assert list(files.incidents) == [Incident("audit-reserve-taken-over", {"lines": 2})]
    assert verify(Request(tmp_path)).finding is None


def test_what_the_reserve_held_at_a_crash_goes_on_record_once(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    assert files.append([INTENT]) is None
    disk.free_bytes = 0
    assert files.append([ACT], [ACT])
    files.close()
    files = opened(tmp_path)
    assert files.interrupted == (), "its outcome is in the reserve"
    assert files.append([LINE]) is None
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["intent", "outcome", "", ""]


def test_a_crash_between_the_log_and_the_reserve_doubles_nothing(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    assert files.append([LINE]) is None
    disk.free_bytes = 0
    assert files.append([ACT], [ACT])
    disk.free_bytes, disk.failing = None, {"write_at"}
    assert files.append([LINE]) is None, "it cannot be cleared, as at a crash before that"
    assert files.append([LINE]) is None
    files.close()
    files = opened(tmp_path)
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["", "outcome", "", "", ""]


def test_what_was_taken_over_comes_back_however_many_files_follow_on_no_account(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    disk.free_bytes = 0
    assert files.append([ACT], [ACT])
    disk.free_bytes, disk.failing = None, {"write_at"}
    assert files.append([LINE]) is None, "and a crash before the reserve is cleared"
    files.close()
    for _ in range(3):
        files = LogFiles(tmp_path, rotation=Rotation(max_bytes=1), disk=FailingDisk(), instance="gw-1")
        assert files.append([LINE]) is None
        files.close()

    assert events(tmp_path) == ["outcome", "", "", "", ""]


def test_what_the_reserve_forgets_at_a_start_survives_a_power_cut(tmp_path: Path) -> None:
    disk = SickDisk()
    files = opened(tmp_path, disk)
    assert files.append([LINE]) is None
    disk.failing = {"sync", "truncate"}
    assert files.append([LINE, ACT])
    disk.failing = {"truncate"}
    failure = files.append([ACT], [ACT])
    assert failure is not None
    assert failure.reserved, "and the same line stands in the log, unsynced"
    files.close()
    disk.failing = set()
    files = LogFiles(tmp_path, rotation=Rotation(max_bytes=1), disk=disk, instance="gw-1")
    assert files.append([LINE]) is None
    assert b"outcome" not in (tmp_path / "reserve").read_bytes(), "another file follows"
    files.close()
    disk.lose_power(lambda _: 0)
    files = opened(tmp_path)
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["", "", "outcome", "", ""]
    assert verify(Request(tmp_path)).finding is None


def test_a_reserve_that_could_not_be_cleared_is_before_other_files_follow(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = LogFiles(tmp_path, rotation=Rotation(max_bytes=1), disk=disk, instance="gw-1")
    disk.free_bytes = 0
    assert files.append([ACT], [ACT])
    disk.free_bytes, disk.failing = None, {"write_at"}
    assert files.append([LINE]) is None
    disk.failing = set()
    for _ in range(3):
        assert files.append([LINE]) is None
    files.close()
    files = opened(tmp_path)
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path).count("outcome") == 1


def test_what_a_bad_sector_of_the_reserve_holds_goes_on_record_once(tmp_path: Path) -> None:
    disk = BadSectorDisk()
    files = opened(tmp_path, disk)
    disk.free_bytes = 0
    assert files.append([ACT], [ACT])
    disk.free_bytes = None
    disk.spoil(tmp_path / "reserve")
    for _ in range(4):
        assert files.append([LINE]) is None
        files.close()
        files = LogFiles(tmp_path, rotation=Rotation(max_bytes=1), disk=disk, instance="gw-1")
        assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path).count("outcome") == 1


def test_a_start_with_a_full_reserve_does_not_read_the_log_into_memory(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    acts = [long_act(number) for number in range(300)]
    assert files.append(acts) is None
    disk.free_bytes = 0
    assert files.append(acts[-60:], [*acts[-30:], long_act(300)])
    files.close()
    tracemalloc.start()
    try:
        files = opened(tmp_path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["outcome"] * 301 + [""], "those that the log had were not doubled"
    assert 2 * peak_bytes < len(content(tmp_path))


@pytest.mark.parametrize("strange", [b"garbage\n", b"[1]\n", b'{"seq":4,"event":"outcome"}\n', b'{"a":1}\n'])
def test_what_somebody_put_into_the_reserve_does_not_get_into_the_chain(tmp_path: Path, strange: bytes) -> None:
    opened(tmp_path).close()
    with (tmp_path / "reserve").open("r+b") as file:
        file.write(ACT + strange)
    files = opened(tmp_path)
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["outcome", ""]
    assert files.incidents[0] == Incident("audit-reserve-changed", {"lines": 1})


def test_where_the_reserve_fails_too_nothing_is_said_to_be_kept(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    disk.free_bytes, disk.failing = 0, {"write_at"}
    failure = files.append([ACT], [ACT])
    assert failure is not None
    assert not failure.reserved


def test_lines_that_are_not_vital_are_not_reserved(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    disk.free_bytes = 0
    failure = files.append([LINE])
    assert failure is not None
    assert not failure.reserved
    disk.free_bytes = None
    files.append([LINE])
    files.close()

    assert sequences(tmp_path) == [1, 2]


def long_act(number: int) -> bytes:
    return b'{"v":2,"event":"outcome","request":"req-%d","pad":"%s"}\n' % (number, b"x" * (60 << 10))


def test_what_fits_of_a_batch_is_reserved_and_how_much_of_it_is_said(tmp_path: Path) -> None:
    disk, seconds = FailingDisk(), count()
    files = opened(tmp_path, disk, clock=lambda: next(seconds))
    disk.free_bytes = 0
    acts = [long_act(number) for number in range(100)]
    failure = files.append([LINE, *acts], acts)
    assert failure is not None
    assert failure.reserved == 68
    disk.free_bytes = None
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["outcome"] * 68 + [""]


def test_while_the_reserve_holds_much_the_disk_is_tried_again_once_a_second_and_what_is_vital_is_kept(
    tmp_path: Path,
) -> None:
    seconds, disk = [0.0], FailingDisk()
    files = opened(tmp_path, disk, clock=lambda: seconds[0])
    disk.free_bytes = 0
    for number in range(2):
        assert files.append([long_act(number)], [long_act(number)]), "the second time the reserve holds little"
    assert files.append([LINE])
    disk.free_bytes = None
    failure = files.append([LINE, ACT], [ACT])
    assert failure is not None
    assert (failure.why, failure.reserved) == ("No space left on device", 1), "without another try"
    seconds[0] = 1.0
    assert files.append([LINE]) is None
    assert files.append([LINE]) is None
    files.close()

    assert events(tmp_path) == ["outcome"] * 3 + ["", ""]


@pytest.mark.parametrize("away", ["removed", "moved"])
@pytest.mark.parametrize("made_again", [False, True])
def test_a_directory_that_vanished_is_made_anew_and_held_and_the_numbers_go_on(
    tmp_path: Path, away: str, made_again: bool
) -> None:
    directory = tmp_path / "audit"
    files = opened(directory)
    assert files.append([LINE]) is None
    if away == "removed":
        shutil.rmtree(directory)
    else:
        directory.rename(tmp_path / "elsewhere")
    if made_again:
        directory.mkdir()
    assert files.append([LINE]) is None
    assert files.append([LINE]) is None
    with pytest.raises(DirectoryInUse), exclusive(directory):
        pass
    files.close()

    assert sequences(directory) == [3, 4, 5]
    assert (directory / "reserve").exists()
    assert list(files.incidents) == [Incident("audit-directory-vanished", {"directory": str(directory)})]
    finding = verify(Request(directory)).finding
    assert finding
    assert finding.why.startswith("lines 1 to 2 are missing")
    with exclusive(directory):
        pass


def test_a_directory_that_was_moved_away_may_come_back(tmp_path: Path) -> None:
    directory = tmp_path / "audit"
    files = opened(directory)
    assert files.append([LINE]) is None
    directory.rename(tmp_path / "first")
    assert files.append([LINE]) is None
    directory.rename(tmp_path / "second")
    (tmp_path / "first").rename(directory)
    assert files.append([LINE]) is None
    files.close()

    assert sequences(directory) == [1, 2, 5, 6]
    with exclusive(directory), exclusive(tmp_path / "second"):
        pass


def test_a_directory_that_another_instance_took_is_left_to_it(tmp_path: Path) -> None:
    directory = tmp_path / "audit"
    files = opened(directory)
    directory.rename(tmp_path / "elsewhere")
    with exclusive(directory):
        failure = files.append([LINE])
    assert failure is not None
    assert "in use by process" in failure.why
    assert files.append([LINE]) is None, "once it is free"


def test_a_directory_that_cannot_be_made_is_tried_again_each_time_and_told_once(tmp_path: Path) -> None:
    disk = FailingDisk()
    directory = tmp_path / "audit"
    files = opened(directory, disk)
    assert files.append([INTENT]) is None
    shutil.rmtree(directory)
    directory.touch()
    for _ in range(3):
        failure = files.append([ACT], [ACT])
        assert failure is not None
        assert failure.reserved, "in memory and in a file without a name: as good as it gets"
    directory.unlink()
    assert files.append([LINE]) is None
    files.close()

    assert events(directory) == ["outcome", "outcome", "outcome", ""]
    assert [incident.kind for incident in files.incidents] == ["audit-directory-vanished", "audit-reserve-taken-over"]


def test_after_a_lost_volume_the_log_and_what_is_vital_go_on_in_the_one_that_is_mounted(tmp_path: Path) -> None:
    disk = LosableDisk()
    directory = tmp_path / "audit"
    files = opened(directory, disk)
    disk.free_bytes = 0
    assert files.append([ACT], [ACT])
    disk.free_bytes = None
    disk.lose_volume()
    failure = files.append([LINE])
    assert failure is not None
    assert failure.why == "Stale file handle"
    directory.rename(tmp_path / "lost")
    directory.mkdir()
    assert files.append([LINE]) is None
    with pytest.raises(DirectoryInUse), exclusive(directory):
        pass
    disk.free_bytes = 0
    failure = files.append([ACT], [ACT])
    assert failure is not None
    assert failure.reserved
    files.close()

    assert events(directory) == ["outcome", ""]
    assert [incident.kind for incident in files.incidents] == ["audit-directory-vanished", "audit-reserve-taken-over"]


def test_a_file_that_somebody_changed_is_told(tmp_path: Path) -> None:
    files = opened(tmp_path)
    assert files.append([LINE]) is None
    with (tmp_path / "audit-000001.jsonl").open("ab") as file:
        file.write(b"guest\n")
    assert files.append([LINE]) is None

    assert list(files.incidents) == [Incident("audit-file-changed", {"file": "audit-000001.jsonl"})]


def test_what_befell_a_file_is_told_once_however_often_a_new_one_is_tried(tmp_path: Path) -> None:
    disk = FailingDisk()
    files = opened(tmp_path, disk)
    assert files.append([LINE]) is None
    (tmp_path / "audit-000001.jsonl").unlink()
    disk.failing = {"create"}
    for _ in range(3):
        assert files.append([LINE])

    assert len(files.incidents) == 1


def test_no_room_for_the_reserve_stops_the_start_and_leaves_no_lock(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.failing = {"write_at"}
    with pytest.raises(OSError, match="Input/output"):
        opened(tmp_path, disk)

    opened(tmp_path).close()
