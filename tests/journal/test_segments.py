from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.journal.segments import Segments
from tests.journal.disks import LINE, CountingDisk, FailingDisk, content, line, sequences


def open_segments(directory: Path, disk: FailingDisk | None = None, max_segment_bytes: int = 1 << 20) -> Segments:
    return Segments(directory, max_segment_bytes=max_segment_bytes, disk=disk or FailingDisk())


def test_lines_are_numbered_without_a_gap_across_restarts(tmp_path: Path) -> None:
    for _ in range(3):
        segments = open_segments(tmp_path)
        segments.append([LINE])
        segments.append([LINE])
        segments.close()

    assert sequences(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert len(list(tmp_path.glob("audit-*"))) == 1


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=2 * len(line(1)) + 5)
    for _ in range(5):
        segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1, 2, 3, 4, 5]
    assert [path.stat().st_size for path in sorted(tmp_path.glob("audit-*"))] == [
        2 * len(line(1)),
        2 * len(line(1)),
        len(line(1)),
    ]


def test_a_line_larger_than_a_segment_is_written_all_the_same(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=5)
    segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1]


def test_only_owner_and_group_may_read(tmp_path: Path) -> None:
    open_segments(tmp_path).close()
    (path,) = tmp_path.glob("audit-*")

    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


def disk_full(disk: FailingDisk) -> None:
    disk.free_bytes = 4


def no_write(disk: FailingDisk) -> None:
    disk.failing = {"write"}


def no_sync(disk: FailingDisk) -> None:
    disk.failing = {"sync"}


def nothing_works(disk: FailingDisk) -> None:
    disk.free_bytes = 4
    disk.failing = {"truncate", "create"}


FAULTS = pytest.mark.parametrize("fault", [disk_full, no_write, no_sync, nothing_works])


@FAULTS
def test_after_a_failure_the_next_line_takes_the_place_of_the_one_that_failed(
    tmp_path: Path, fault: Callable[[FailingDisk], None]
) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    fault(disk)
    for _ in range(3):
        with pytest.raises(OSError, match=r"No space|Input/output"):
            segments.append([LINE])
    disk.free_bytes, disk.failing = None, set()
    segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1, 2]
    assert len(list(tmp_path.glob("audit-*"))) <= 2


def test_half_a_line_is_cut_off_at_once_so_that_a_crash_finds_none(tmp_path: Path) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.free_bytes = 4
    with pytest.raises(OSError, match="No space"):
        segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1]


def test_after_a_failed_sync_lines_go_to_a_new_segment(tmp_path: Path) -> None:
    # The kernel may have dropped the pages and still show them to us; a later sync of that file proves nothing.
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.failing = {"sync"}
    with pytest.raises(OSError, match="Input/output"):
        segments.append([LINE])
    disk.failing = set()
    segments.append([LINE])
    segments.close()

    assert [path.read_bytes() for path in sorted(tmp_path.glob("audit-*"))] == [line(1), line(2)]


def test_lines_of_one_batch_are_written_with_one_sync_and_numbered_in_their_order(tmp_path: Path) -> None:
    disk = CountingDisk()
    segments = open_segments(tmp_path, disk)
    disk.syncs = 0
    segments.append([b'{"mark":%d}\n' % mark for mark in range(9)])
    segments.close()

    assert disk.syncs == 1
    assert content(tmp_path).splitlines() == [b'{"seq":%d,"mark":%d}' % (mark + 1, mark) for mark in range(9)]


@pytest.mark.parametrize("free_bytes", [0, 4, 16, 20, 47])
def test_a_batch_that_does_not_fit_leaves_none_of_its_lines(tmp_path: Path, free_bytes: int) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    disk.free_bytes = free_bytes
    with pytest.raises(OSError, match="No space"):
        segments.append([LINE] * 3)

    assert content(tmp_path) == b""
    disk.free_bytes = None
    segments.append([LINE] * 3)
    segments.close()
    assert sequences(tmp_path) == [1, 2, 3]


def test_a_segment_that_somebody_truncated_is_left_to_the_finder(tmp_path: Path) -> None:
    segments = open_segments(tmp_path)
    segments.append([LINE])
    os.truncate(tmp_path / "audit-000001.jsonl", 3)
    segments.append([LINE])
    segments.close()

    assert (tmp_path / "audit-000001.jsonl").read_bytes() == b'{"s'
    assert (tmp_path / "audit-000002.jsonl").read_bytes() == line(2)


def test_a_segment_that_somebody_removed_loses_no_later_line(tmp_path: Path) -> None:
    segments = open_segments(tmp_path)
    segments.append([LINE])
    (tmp_path / "audit-000001.jsonl").unlink()
    segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [2]


def test_a_limit_of_the_kernels_is_met_like_a_full_disk(tmp_path: Path) -> None:
    program = """
import pathlib, resource, signal, sys
from gateway.journal.disk import Disk
from gateway.journal.segments import Segments
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
segments = Segments(pathlib.Path(sys.argv[1]), max_segment_bytes=1 << 20, disk=Disk())
def append():
    segments.append([b'{"v":1}\\n'])
    return segments.sequence
for _ in range(4):
    try: print(append())
    except OSError as error: print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(append())
"""
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines() == ["1", "2", "File too large", "File too large", "3"]
    assert sequences(tmp_path) == [1, 2, 3]


def test_every_line_that_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    program = """
import pathlib, sys
from gateway.journal.disk import Disk
from gateway.journal.segments import Segments
segments = Segments(pathlib.Path(sys.argv[1]), max_segment_bytes=1000, disk=Disk())
while True:
    segments.append([b'{"v":1}\\n'])
    print(segments.sequence, flush=True)
"""
    acknowledged = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            first = [process.stdout.readline() for _ in range(150)]
            process.kill()
            rest = process.stdout.read().splitlines()
        assert int(first[0]) in (acknowledged + 1, acknowledged + 2)  # one may be written and not acknowledged
        acknowledged = int(rest[-1] if rest else first[-1])
    open_segments(tmp_path).close()

    found = sequences(tmp_path)
    assert found == list(range(1, len(found) + 1))
    assert len(found) in (acknowledged, acknowledged + 1)
