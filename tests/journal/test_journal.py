from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.journal import DirectoryInUse, Journal, JournalUnavailable
from gateway.journal.segments import MakeLine
from tests.journal.disks import FailingDisk, content, line, sequences


async def test_lines_stand_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    def marked(mark: int) -> MakeLine:
        return lambda sequence: b'{"seq":%d,"mark":%d}\n' % (sequence, mark)

    async with Journal(tmp_path) as journal:
        await asyncio.gather(*(journal.append(marked(mark)) for mark in range(50)))

    assert content(tmp_path).splitlines() == [b'{"seq":%d,"mark":%d}' % (mark + 1, mark) for mark in range(50)]


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
        await journal.append(line)


async def test_what_was_set_aside_at_the_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "audit-000001.jsonl").write_bytes(line(1) + b"torn")
    async with Journal(tmp_path) as journal:
        assert [torn.size_bytes for torn in journal.torn] == [4]


async def test_a_failure_is_told_and_over_with_the_next_line_that_is_written(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with Journal(tmp_path, disk=disk) as journal:
        disk.free_bytes = 4
        with pytest.raises(JournalUnavailable, match="No space left"):
            await journal.append(line)
        assert journal.problem == "No space left on device"
        disk.free_bytes = None
        await journal.append(line)
        assert journal.problem is None

    assert sequences(tmp_path) == [1]


async def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_asker_beyond_the_limit(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with Journal(tmp_path, disk=disk, time_limit_seconds=0.05) as journal:
        disk.slow.clear()
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match=r"longer than 0\.05 s"):
                await journal.append(line)
        disk.slow.set()

    async with Journal(tmp_path) as journal:
        await journal.append(line)
    # The line under way may be there; the one that waited behind it was given up and is not.
    assert sequences(tmp_path) == [1, 2]


async def test_a_closed_journal_takes_no_line(tmp_path: Path) -> None:
    async with Journal(tmp_path) as journal:
        pass

    with pytest.raises(JournalUnavailable):
        await journal.append(line)
