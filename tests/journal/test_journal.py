from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

from gateway.journal import DirectoryInUse, Journal, JournalUnavailable
from gateway.journal.segments import Rotation
from tests.journal.disks import LINE, CountingDisk, FailingDisk, content, line, sequences
from tests.waiting import until


async def test_lines_stand_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    async with Journal(tmp_path) as journal:
        await asyncio.gather(*(journal.append(b'{"mark":%d}\n' % mark) for mark in range(50)))

    for mark, entry in enumerate(content(tmp_path).splitlines()[1:]):
        assert entry.startswith(b'{"seq":%d,"mark":%d,"prev":"' % (mark + 2, mark))


async def test_a_second_journal_in_one_directory_is_refused(tmp_path: Path) -> None:
    async with Journal(tmp_path):
        with pytest.raises(DirectoryInUse):
            async with Journal(tmp_path):
                pass


async def test_a_journal_that_could_not_be_opened_keeps_no_lock(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.failing = {"create"}
    with pytest.raises(OSError, match="Input/output"):
        async with Journal(tmp_path, disk=disk):
            pass

    async with Journal(tmp_path) as journal:
        await journal.append(LINE)


async def test_what_was_set_aside_at_the_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "audit-000001.jsonl").write_bytes(line(1) + b"torn")
    async with Journal(tmp_path) as journal:
        assert [torn.size_bytes for torn in journal.torn] == [4]


async def test_a_failure_is_told_and_over_with_the_next_line_that_is_written(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with Journal(tmp_path, disk=disk) as journal:
        disk.free_bytes = 4
        with pytest.raises(JournalUnavailable, match="No space left"):
            await journal.append(LINE)
        assert journal.problem == "No space left on device"
        disk.free_bytes = None
        await journal.append(LINE)
        assert journal.problem is None

    assert sequences(tmp_path) == [1, 2]


async def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_asker_beyond_the_limit(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with Journal(tmp_path, disk=disk, time_limit_seconds=0.05) as journal:
        disk.slow.clear()
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match=r"longer than 0\.05 s"):
                await journal.append(LINE)
        disk.slow.set()
        await until(lambda: not journal.waiting)  # or the directory would not be free yet

    async with Journal(tmp_path) as journal:
        await journal.append(LINE)
    # The line under way may be there; the one that waited behind it was given up and is not.
    assert sequences(tmp_path) == [1, 2, 3]


async def test_a_closed_journal_takes_no_line(tmp_path: Path) -> None:
    async with Journal(tmp_path) as journal:
        pass

    with pytest.raises(JournalUnavailable):
        await journal.append(LINE)


async def fails(journal: Journal, line: bytes = LINE, *, vital: bool = False) -> str:
    """Append a line that cannot be, and say why."""
    with pytest.raises(JournalUnavailable) as failed:
        await journal.append(line, vital=vital)
    return str(failed.value)


async def until_it_hangs(disk: CountingDisk) -> None:
    """Until the thread is in the next sync."""
    syncs = disk.syncs
    await until(lambda: disk.syncs > syncs)


async def test_what_is_asked_for_while_a_sync_is_under_way_shares_the_next_one(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk) as journal, asyncio.TaskGroup() as tasks:
        disk.slow.clear()
        before = disk.syncs
        tasks.create_task(journal.append(LINE))
        await until_it_hangs(disk)
        for _ in range(100):
            tasks.create_task(journal.append(LINE))
        await asyncio.sleep(0)
        disk.slow.set()

    assert disk.syncs - before == 2
    assert sequences(tmp_path) == list(range(1, 103))


async def test_nobody_is_told_before_the_sync_is_done(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk) as journal, asyncio.TaskGroup() as tasks:
        disk.slow.clear()
        first = tasks.create_task(journal.append(LINE))
        await until_it_hangs(disk)
        second = tasks.create_task(journal.append(LINE))
        await asyncio.sleep(0)
        assert not first.done()
        assert not second.done()
        disk.slow.set()


async def test_it_is_known_how_long_the_disk_has_been_busy(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk) as journal, asyncio.TaskGroup() as tasks:
        assert journal.busy_seconds == 0
        disk.slow.clear()
        writing = tasks.create_task(journal.append(LINE))
        await until_it_hangs(disk)
        assert journal.busy_seconds > 0
        disk.slow.set()
        await writing
        assert journal.busy_seconds == 0


async def test_a_batch_that_fails_fails_all_of_its_waiters_and_leaves_no_gap(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk) as journal:
        disk.slow.clear()
        async with asyncio.TaskGroup() as tasks:
            failing = [tasks.create_task(fails(journal))]
            await until_it_hangs(disk)
            failing += [tasks.create_task(fails(journal)) for _ in range(9)]
            await asyncio.sleep(0)
            disk.failing = {"sync"}
            disk.slow.set()
        assert [task.result() for task in failing] == ["Input/output error"] * 10
        assert journal.problem == "Input/output error"
        disk.failing = set()
        await asyncio.gather(*(journal.append(LINE) for _ in range(3)))
        assert journal.problem is None

    assert sequences(tmp_path) == [1, 2, 3, 4]


async def test_of_a_batch_that_fails_only_the_vital_ones_are_kept(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk) as journal:
        disk.slow.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(journal.append(LINE))
            await until_it_hangs(disk)
            kept = tasks.create_task(journal.append(b'{"vital":1}\n', vital=True))
            failing = tasks.create_task(fails(journal))
            await asyncio.sleep(0)
            disk.free_bytes = 0
            disk.slow.set()
        assert (kept.result(), failing.result()) == (None, "No space left on device")
        assert journal.problem == "No space left on device"
        disk.free_bytes = None
        await journal.append(LINE)

    assert [b'"vital"' in entry for entry in content(tmp_path).splitlines()] == [False, False, True, False]


async def test_of_vital_lines_that_do_not_all_fit_into_the_reserve_those_that_do_are_kept(tmp_path: Path) -> None:
    disk, size = CountingDisk(), 1 << 20
    async with Journal(tmp_path, disk=disk) as journal:
        disk.slow.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(journal.append(LINE))
            await until_it_hangs(disk)
            failing = [tasks.create_task(fails(journal))]
            lines = [b'{"vital":%d,"pad":"%s"}\n' % (number, b"x" * size) for number in range(5)]
            kept = [tasks.create_task(journal.append(line, vital=True)) for line in lines[:3]]
            failing += [tasks.create_task(fails(journal, line, vital=True)) for line in lines[3:]]
            await asyncio.sleep(0)
            disk.free_bytes = 0
            disk.slow.set()

    assert [asked.result() for asked in kept] == [None] * 3
    assert [asked.result() for asked in failing] == ["No space left on device"] * 3
    assert (tmp_path / "reserve").read_bytes().count(b'"vital"') == 3


async def test_lines_of_many_batches_stand_in_their_order_without_a_gap(tmp_path: Path) -> None:
    async def writes(journal: Journal, writer: int) -> None:
        for mark in range(10):
            await journal.append(b'{"writer":%d,"mark":%d}\n' % (writer, mark))

    async with Journal(tmp_path, rotation=Rotation(max_bytes=2000)) as journal, asyncio.TaskGroup() as tasks:
        for writer in range(5):
            tasks.create_task(writes(journal, writer))
    found = [json.loads(entry) for entry in content(tmp_path).splitlines()]

    assert [entry["seq"] for entry in found] == list(range(1, len(found) + 1))
    for writer in range(5):
        assert [entry["mark"] for entry in found if entry.get("writer") == writer] == list(range(10))


async def test_an_asker_who_goes_away_keeps_nobody_else_from_the_record(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk) as journal, asyncio.TaskGroup() as tasks:
        disk.slow.clear()
        first = tasks.create_task(journal.append(LINE))
        await until_it_hangs(disk)
        waiting = [tasks.create_task(journal.append(LINE)) for _ in range(3)]
        await asyncio.sleep(0)
        for one in (first, waiting[1]):
            one.cancel()
        disk.slow.set()
        await asyncio.wait((waiting[0], waiting[2]))
        await journal.append(LINE)

        assert [one.cancelled() for one in waiting] == [False, True, False]
        assert journal.problem is None
    found = sequences(tmp_path)
    assert found == list(range(1, len(found) + 1))


async def test_the_time_limit_counts_from_each_ones_own_beginning(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk, time_limit_seconds=0.5) as journal, asyncio.TaskGroup() as tasks:
        disk.slow.clear()
        first = tasks.create_task(fails(journal))
        await until_it_hangs(disk)
        await asyncio.sleep(0.4)  # what the second one has left for the disk, once the first one has no more
        second = tasks.create_task(journal.append(LINE))
        assert await first == "the disk took longer than 0.5 s"
        assert not second.done()
        disk.slow.set()
        await second
        assert journal.problem is None

    assert sequences(tmp_path) == [1, 2, 3]


async def test_what_was_asked_for_before_the_end_is_on_record_at_the_end(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with asyncio.TaskGroup() as tasks, Journal(tmp_path, disk=disk) as journal:
        disk.slow.clear()
        tasks.create_task(journal.append(LINE))
        await until_it_hangs(disk)
        for _ in range(5):
            tasks.create_task(journal.append(LINE))
        await asyncio.sleep(0)
        disk.slow.set()

    assert sequences(tmp_path) == [1, 2, 3, 4, 5, 6, 7]


async def test_a_journal_whose_disk_hangs_for_good_can_be_left(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with asyncio.timeout(5), Journal(tmp_path, disk=disk, time_limit_seconds=0.02) as journal:
        disk.slow.clear()
        with pytest.raises(JournalUnavailable):
            await journal.append(LINE)
    disk.slow.set()
    await until(lambda: sequences(tmp_path) == [1, 2])


async def test_what_writes_a_line_is_called_once_when_its_batch_is_complete(tmp_path: Path) -> None:
    disk, written = CountingDisk(), list[int]()

    def write(mark: int) -> bytes:
        written.append(mark)
        return b'{"mark":%d}\n' % mark

    async with asyncio.TaskGroup() as tasks, Journal(tmp_path, disk=disk) as journal:
        disk.slow.clear()
        tasks.create_task(journal.append(partial(write, 0)))
        await until_it_hangs(disk)
        for mark in range(1, 4):
            tasks.create_task(journal.append(partial(write, mark)))
        await asyncio.sleep(0.01)
        assert written == [0]
        disk.slow.set()

    assert written == [0, 1, 2, 3]
    assert [json.loads(entry).get("mark") for entry in content(tmp_path).splitlines()] == [None, 0, 1, 2, 3]


async def test_a_line_that_cannot_be_written_out_spoils_no_other(tmp_path: Path) -> None:
    async with Journal(tmp_path) as journal:
        wrong, _ = await asyncio.gather(journal.append(lambda: bytes(-1)), journal.append(LINE), return_exceptions=True)
        assert isinstance(wrong, ValueError)
        with pytest.raises(ValueError, match="negative"):
            await journal.append(lambda: bytes(-1))
        assert journal.waiting == 0
        await journal.append(LINE)

    assert sequences(tmp_path) == [1, 2, 3]


async def test_a_failing_disk_is_not_well_again_for_a_line_that_cannot_be_written_out(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with Journal(tmp_path, disk=disk) as journal:
        disk.failing = {"sync"}
        await fails(journal)
        with pytest.raises(ValueError, match="negative"):
            await journal.append(lambda: bytes(-1))
        assert journal.problem is not None
        disk.failing = set()


async def test_what_was_given_up_is_never_written_out(tmp_path: Path) -> None:
    disk, written = CountingDisk(), list[bytes]()

    def write() -> bytes:
        written.append(LINE)
        return LINE

    async with Journal(tmp_path, disk=disk, time_limit_seconds=0.05) as journal, asyncio.TaskGroup() as tasks:
        disk.slow.clear()
        tasks.create_task(fails(journal))
        await until_it_hangs(disk)
        with pytest.raises(JournalUnavailable):
            await journal.append(write)
        disk.slow.set()
        await until(lambda: not journal.waiting)  # a batch later, and nothing of it

    assert written == []
