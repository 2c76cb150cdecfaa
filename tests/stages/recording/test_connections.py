"""Connections that came to nothing, and floods of strangers: on record, and never more than the quotas allow."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.exchange import RequestId, Unparsed
from gateway.journal import Journal
from gateway.metrics import Metrics
from gateway.refusal import Reason
from gateway.stages.recording import Recording
from gateway.stages.recording.connections import MAX_WAITING, Connections
from gateway.stages.recording.strangers import LINES_PER_ADDRESS, LINES_PER_WINDOW, MAX_ADDRESSES
from tests import worlds
from tests.audit import trails
from tests.journal.disks import FailingDisk, content
from tests.waiting import until


class Door:
    """Connections over a real journal, at a time that stands."""

    def __init__(self, journal: Journal, disk: FailingDisk) -> None:
        self.journal, self.disk = journal, disk
        self.seconds = 1000.0
        self.recording = Recording(
            journal,
            Metrics(["jira"], version="test"),
            instance="gw-1",
            now=lambda: worlds.NOW,
            clock=lambda: self.seconds,
        )
        self.connections = Connections(self.recording, lambda: worlds.NOW - 1)

    def lines(self) -> list[dict[str, Any]]:
        written = [json.loads(line) for line in content(self.journal.directory).splitlines()]
        return [line for line in written if line["event"] != "segment"]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    disk = FailingDisk()
    async with Journal(tmp_path, disk=disk) as journal:
        yield Door(journal, disk)


async def test_a_connection_that_came_to_nothing_is_on_record_with_its_own_time(door: Door) -> None:
    door.connections.note("203.0.113.9", "not-tls")
    assert door.lines() == []  # whoever accepts connections does not wait for the disk
    await door.connections.drain()

    (line,) = door.lines()
    assert (line["event"], line["address"], line["failure"]) == ("connection", "203.0.113.9", "not-tls")
    assert line["time"] == "2027-01-15T07:59:59.000000Z"


async def test_connections_and_refusals_share_the_lines_of_an_address(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(LINES_PER_ADDRESS):
        door.connections.note("203.0.113.9", "timeout")
        await door.recording.record_outcome(trails.turned_away(address="203.0.113.9"))
    await door.connections.drain()
    await door.recording.flush(at_end=True)
    events = [line["event"] for line in door.lines()]

    assert events.count("connection") == events.count("refusal") == LINES_PER_ADDRESS / 2
    assert door.lines()[-1]["count"] == LINES_PER_ADDRESS
    assert sum(record.message == "a connection came to nothing" for record in caplog.records) == LINES_PER_ADDRESS / 2


async def test_a_disk_that_fails_ends_nothing_and_what_was_not_written_is_told(door: Door) -> None:
    door.disk.free_bytes = 0
    door.connections.note("203.0.113.9", "reset")
    await door.connections.drain()
    door.disk.free_bytes = None
    await door.recording.flush()

    assert [line["details"] for line in door.lines()] == [{"unrecorded": {"connection": 1}}]


async def test_while_the_disk_is_slow_no_more_than_so_many_wait_and_the_others_are_counted(door: Door) -> None:
    for minute in range(3):
        door.seconds = 1000.0 + 60 * minute
        for number in range(LINES_PER_WINDOW):
            door.connections.note(f"10.0.0.{number % 100}", "reset")
        assert len(door.connections._waiting) == MAX_WAITING
        await door.recording.flush()
    await door.connections.drain()
    await door.recording.flush(at_end=True)
    written = door.lines()

    assert sum(line["event"] == "connection" for line in written) == MAX_WAITING
    assert sum(line.get("count", 0) for line in written) == 2 * LINES_PER_WINDOW


async def test_whoever_drains_at_a_stop_waits_for_what_is_being_written(door: Door) -> None:
    door.disk.slow.clear()
    async with asyncio.TaskGroup() as tasks:
        door.connections.note("203.0.113.9", "reset")
        running = tasks.create_task(door.connections.run())
        await until(lambda: not door.connections._waiting)
        ending = tasks.create_task(door.connections.drain())
        await asyncio.sleep(0)
        assert not ending.done()
        door.disk.slow.set()
        await ending
        running.cancel()

    assert [line["failure"] for line in door.lines()] == ["reset"]


# Floods ---------------------------------------------------------------------------------------------

FLOOD = 100_000


def from_one_address(_number: int) -> str:
    return "203.0.113.9"


def from_everywhere(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def from_one_network(number: int) -> str:
    return f"2001:db8::{number >> 16:x}:{number & 65535:x}"


def from_many_networks(number: int) -> str:
    return f"2001:db8:{number >> 16:x}:{number & 65535:x}::1"


@pytest.mark.parametrize(
    ("address_of", "max_lines", "max_counts"),
    [
        (from_one_address, LINES_PER_ADDRESS, 1),
        (from_one_network, LINES_PER_ADDRESS, 1),
        (from_everywhere, LINES_PER_WINDOW, MAX_ADDRESSES + 1),
        (from_many_networks, LINES_PER_WINDOW, MAX_ADDRESSES + 1),
    ],
)
async def test_a_hundred_thousand_strangers_fill_neither_disk_nor_memory_nor_the_log(
    door: Door,
    caplog: pytest.LogCaptureFixture,
    address_of: Callable[[int], str],
    max_lines: int,
    max_counts: int,
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(FLOOD):
        address = address_of(number)
        if number % 2:
            door.connections.note(address, "not-tls")
        else:
            told = Unparsed(RequestId("req-9"), worlds.NOW, address, Reason.HEAD_MALFORMED, "bare LF")
            await door.recording.record_unparsed(told)
    strangers = door.recording._strangers
    assert len(strangers._lines) <= MAX_ADDRESSES
    assert len(strangers._suppressed) <= max_counts
    assert len(door.connections._waiting) <= max_lines
    assert len(caplog.records) <= max_lines

    await door.connections.drain()
    door.seconds += 60
    await door.recording.flush()
    written = door.lines()
    counts = [line["count"] for line in written if line["event"] == "suppressed"]
    size_bytes = sum(file.stat().st_size for file in door.journal.directory.glob("*.jsonl"))

    assert len(written) - len(counts) <= max_lines
    assert len(counts) <= max_counts
    assert len(written) - len(counts) + sum(counts) == FLOOD
    assert size_bytes < 500 * (max_lines + max_counts + 2)
