from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.chain import read_header
from gateway.audit.lines import read_sequence
from gateway.journal.verifying import Request, verify
from tests.journal.disks import (
    LINE,
    LINE_BYTES,
    CountingDisk,
    FailingDisk,
    ForgetfulDisk,
    LosableDisk,
    SickDisk,
    content,
    marks,
    open_segments,
    sequences,
)


def test_lines_are_numbered_without_a_gap_across_restarts(tmp_path: Path) -> None:
    for _ in range(3):
        segments = open_segments(tmp_path)
        segments.append([LINE])
        segments.append([LINE])
        segments.close()

    assert sequences(tmp_path) == [1, 2, 3, 4, 5, 6, 7]
    assert len(list(tmp_path.glob("audit-*"))) == 1


def test_a_full_segment_is_followed_by_another_that_ties_on_to_it(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=6 * LINE_BYTES)
    for _ in range(5):
        segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == list(range(1, 5 + len(list(tmp_path.glob("audit-*"))) + 1))
    headers = [read_header(path.read_bytes().splitlines()[0]) for path in sorted(tmp_path.glob("audit-*"))]
    starts = [(header.segment, header.link.sequence, header.link.tree.size) for header in headers if header]
    assert starts[:2] == [(1, 0, 0), (2, 4, 4)]
    assert verify(Request(tmp_path)).finding is None


def test_a_segment_that_is_too_old_is_followed_by_another(tmp_path: Path) -> None:
    clock = iter(range(0, 100_000, 1800))
    segments = open_segments(tmp_path, max_seconds=3600, now=lambda: float(next(clock)))
    for _ in range(6):
        segments.append([LINE])
    segments.close()

    assert len(list(tmp_path.glob("audit-*"))) > 1


@pytest.mark.parametrize("restarts", [True, False])
def test_a_segment_that_a_clock_made_begin_in_the_future_is_followed_by_another(tmp_path: Path, restarts: bool) -> None:
    time = [10_000_000.0]
    segments = open_segments(tmp_path, max_seconds=3600, now=lambda: time[0])
    segments.append([LINE])
    time[0] = 1000.0
    if restarts:
        segments.close()
        segments = open_segments(tmp_path, max_seconds=3600, now=lambda: time[0])
    for time[0] in (1000.0, 2000.0, 990.0):  # set back by a little, it goes on in the same one
        segments.append([LINE])
    segments.close()

    headers = [read_header(path.read_bytes().splitlines()[0]) for path in sorted(tmp_path.glob("audit-*"))]
    assert [header.began_at for header in headers if header] == [10_000_000.0, 1000.0]


def test_a_restart_makes_no_segment_younger(tmp_path: Path) -> None:
    for seconds in (0.0, 2000.0, 4000.0):
        segments = open_segments(tmp_path, max_seconds=3600, now=lambda moment=seconds: moment)  # type: ignore[misc] # bound
        segments.append([LINE])
        segments.close()

    assert len(list(tmp_path.glob("audit-*"))) == 2


def test_a_line_larger_than_a_segment_is_written_all_the_same(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=5)
    segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1, 2]


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

    assert sequences(tmp_path) in ([1, 2, 3], [1, 2, 3, 4])  # a new segment has a header
    assert marks(tmp_path) in ([2, 3], [2, 4])
    assert len(list(tmp_path.glob("audit-*"))) <= 2


def test_what_a_start_finds_would_survive_a_power_cut(tmp_path: Path) -> None:
    disk = SickDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.failing = {"sync", "truncate"}
    with pytest.raises(OSError, match="Input/output"):
        segments.append([LINE])
    segments.close()
    disk.failing = set()
    segments = open_segments(tmp_path, disk)
    found = segments.durable.sequence
    segments.close()
    disk.lose_power(lambda _: 0)

    assert sequences(tmp_path) == list(range(1, found + 1))


def test_a_start_believes_what_the_disk_holds_and_not_what_the_kernel_remembers_of_it(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.dying = True
    segments.append([LINE])
    segments.close()
    segments = open_segments(tmp_path, disk)
    found = segments.durable.sequence
    segments.close()

    assert found == 2


@pytest.mark.parametrize("failing", ["sync", "sync_directory"])
def test_what_cannot_be_made_durable_stops_the_start(tmp_path: Path, failing: str) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    segments.close()
    disk.failing = {failing}
    with pytest.raises(OSError, match="Input/output"):
        open_segments(tmp_path, disk)


def test_half_a_line_is_cut_off_at_once_so_that_a_crash_finds_none(tmp_path: Path) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.free_bytes = 4
    with pytest.raises(OSError, match="No space"):
        segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1, 2]


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

    assert [path.read_bytes().count(b"\n") for path in sorted(tmp_path.glob("audit-*"))] == [2, 2]
    assert sequences(tmp_path) == [1, 2, 3, 4]


def test_lines_of_one_batch_are_written_with_one_sync_and_numbered_in_their_order(tmp_path: Path) -> None:
    disk = CountingDisk()
    segments = open_segments(tmp_path, disk)
    disk.syncs = 0
    segments.append([b'{"mark":%d}\n' % mark for mark in range(9)])
    segments.close()

    assert disk.syncs == 1
    for mark, entry in enumerate(content(tmp_path).splitlines()[1:]):
        assert entry.startswith(b'{"seq":%d,"mark":%d,"prev":"' % (mark + 2, mark))


@pytest.mark.parametrize("free_bytes", [0, 4, 200, 300, 400])
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
    assert sequences(tmp_path) == [1, 2, 3, 4]


def test_a_segment_that_somebody_truncated_is_left_to_the_finder(tmp_path: Path) -> None:
    segments = open_segments(tmp_path)
    segments.append([LINE])
    os.truncate(tmp_path / "audit-000001.jsonl", 3)
    segments.append([LINE])
    segments.close()

    assert (tmp_path / "audit-000001.jsonl").read_bytes() == b'{"s'
    assert [read_sequence(entry) for entry in (tmp_path / "audit-000002.jsonl").read_bytes().splitlines()] == [3, 4]


def test_a_segment_that_somebody_removed_loses_no_later_line(tmp_path: Path) -> None:
    segments = open_segments(tmp_path)
    segments.append([LINE])
    (tmp_path / "audit-000001.jsonl").unlink()
    segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [3, 4]


def test_a_segment_whose_volume_is_lost_holds_nothing_up_once_another_is_mounted(tmp_path: Path) -> None:
    disk = LosableDisk()
    directory = tmp_path / "audit"
    directory.mkdir()
    segments = open_segments(directory, disk)
    segments.append([LINE])
    disk.lose_volume()
    for _ in range(2):
        with pytest.raises(OSError, match="Stale"):
            segments.append([LINE])
    assert sequences(directory) == [1, 2]
    directory.rename(tmp_path / "lost")
    directory.mkdir()
    segments.append([LINE])
    segments.append([LINE])
    segments.close()

    assert sequences(directory) == [3, 4, 5]


def test_a_segment_that_cannot_be_mended_is_not_given_up_while_its_name_leads_to_it(tmp_path: Path) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk)
    segments.append([LINE])
    disk.free_bytes, disk.failing = 4, {"truncate"}
    for _ in range(3):
        with pytest.raises(OSError, match=r"No space|Input/output"):
            segments.append([LINE])
    disk.free_bytes, disk.failing = None, set()
    segments.append([LINE])
    segments.close()

    assert [path.name for path in tmp_path.glob("audit-*")] == ["audit-000001.jsonl"]
    assert sequences(tmp_path) == [1, 2, 3]


def test_attempts_to_begin_a_file_leave_none_however_often_the_directory_cannot_be_synced(tmp_path: Path) -> None:
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk, max_segment_bytes=1)
    segments.append([LINE])
    disk.failing = {"sync_directory"}
    for _ in range(50):
        with pytest.raises(OSError, match="Input/output"):
            segments.append([LINE])
    assert len(list(tmp_path.glob("audit-*"))) == 1
    disk.failing = set()
    segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1, 2, 3, 4]
    assert verify(Request(tmp_path)).finding is None


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_an_error_of_closing_a_file_fails_no_line_and_closes_nobody_elses(tmp_path: Path) -> None:
    before = descriptors()
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk, max_segment_bytes=1)
    segments.append([LINE])
    disk.failing = {"close"}
    segments.append([LINE])
    others = [os.dup(0) for _ in range(3)]  # as connections that come then: one has the number of the old file
    for _ in range(3):
        segments.append([LINE])
    segments.close()
    for other in others:
        os.fstat(other)
        os.close(other)

    assert marks(tmp_path) == [2, 4, 6, 8, 10]
    assert descriptors() == before


def test_a_new_segment_that_cannot_be_told_apart_is_followed_by_another_and_leaves_nothing_open(tmp_path: Path) -> None:
    before = descriptors()
    disk = FailingDisk()
    segments = open_segments(tmp_path, disk, max_segment_bytes=1)
    segments.append([LINE])
    disk.failing = {"identity"}
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            segments.append([LINE])
    disk.failing = set()
    segments.append([LINE])
    segments.close()

    assert sequences(tmp_path) == [1, 2, 3, 4]
    assert descriptors() == before


def test_another_file_under_a_segments_name_is_left_alone_however_long_it_is(tmp_path: Path) -> None:
    segments = open_segments(tmp_path)
    segments.append([LINE])
    segment = tmp_path / "audit-000001.jsonl"
    forged = bytes(segment.stat().st_size)
    segment.unlink()
    segment.write_bytes(forged)
    segments.append([LINE])
    segments.close()

    assert segment.read_bytes() == forged
    assert [read_sequence(entry) for entry in (tmp_path / "audit-000002.jsonl").read_bytes().splitlines()] == [3, 4]


def test_a_limit_of_the_kernels_is_met_like_a_full_disk(tmp_path: Path) -> None:
    program = """
import pathlib, resource, signal, sys
from gateway.journal.disk import Disk
from gateway.journal.segments import Rotation, Segments
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (430, resource.RLIM_INFINITY))
segments = Segments(pathlib.Path(sys.argv[1]), rotation=Rotation(), disk=Disk(), instance="gw-1")
def append():
    segments.append([b'{"v":2}\\n'])
    return segments.link.sequence
for _ in range(4):
    try: print(append())
    except OSError as error: print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(append())
"""
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines() == ["2", "3", "File too large", "File too large", "4"]
    assert sequences(tmp_path) == [1, 2, 3, 4]


def test_every_line_that_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    program = """
import pathlib, sys
from gateway.journal.disk import Disk
from gateway.journal.segments import Rotation, Segments
segments = Segments(pathlib.Path(sys.argv[1]), rotation=Rotation(max_bytes=4000), disk=Disk(), instance="gw-1")
while True:
    segments.append([b'{"v":2}\\n'])
    print(segments.link.sequence, flush=True)
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
        # One line and a header before it may be written and not acknowledged, and so may the next one's header.
        assert acknowledged < int(first[0]) <= acknowledged + 4
        acknowledged = int(rest[-1] if rest else first[-1])
    open_segments(tmp_path).close()

    found = sequences(tmp_path)
    assert found == list(range(1, len(found) + 1))
    assert acknowledged <= len(found) <= acknowledged + 2
    assert verify(Request(tmp_path)).finding is None
