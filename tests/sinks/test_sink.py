from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path

import pytest

from gateway.journal import Journal
from gateway.journal.cursors import CursorFile, Position
from gateway.journal.recovery import segment_path
from gateway.journal.segments import Rotation
from gateway.sinks import Sink
from tests.sinks.outlets import FakeOutlet, cursor_path, record
from tests.waiting import until
from tests.worlds import NOW


@asynccontextmanager
async def running(
    outlet: FakeOutlet, journal: Journal, directory: Path, first_wait_seconds: float = 0.002
) -> AsyncIterator[Sink]:
    """A sink at work, which waits next to nothing between its attempts, and soon believes that one went well."""
    sink = Sink(outlet, journal, directory, jitter=lambda: 0.0, first_wait_seconds=first_wait_seconds)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(sink.run())
        try:
            yield sink
        finally:
            work.cancel()


def numbers(lines: list[bytes]) -> list[int]:
    return [json.loads(line)["seq"] for line in lines]


async def test_every_line_gets_out_once_and_as_it_stands(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    async with Journal(tmp_path / "log", rotation=Rotation(max_bytes=2000)) as journal:
        async with running(outlet, journal, tmp_path) as sink:
            await record(journal, 20)
            await until(partial(caught_up, sink, journal))
            await record(journal, 3)
            await until(partial(caught_up, sink, journal))
        assert sink.counts == {"sent": journal.durable.sequence, "gone": 0}
        assert sink.settled_sequence == journal.durable.sequence

    files = sorted((tmp_path / "log").glob("*.jsonl"))
    assert len(files) > 1
    assert outlet.taken == b"".join(file.read_bytes() for file in files).splitlines()


async def test_a_stopped_sink_goes_on_where_it_was(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    for _ in range(3):
        async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path) as sink:
            await record(journal, 3)
            await until(partial(caught_up, sink, journal))

    assert numbers(outlet.taken) == list(range(1, 11))


class NotingCursor(CursorFile):
    """Remembers what was saved, and whether the event loop stood still for it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.saved: list[tuple[int, bool]] = []

    def save(self, position: Position) -> None:
        super().save(position)
        self.saved.append((position.sequence, threading.current_thread() is threading.main_thread()))


async def test_a_disconnect_holds_up_nothing_while_the_cursor_is_saved(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    cursor = NotingCursor(cursor_path(tmp_path))
    async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path) as sink:
        sink._cursor = cursor
        await record(journal, 1)
        await until(lambda: cursor.saved == [(2, False)])  # the next time is a second later, or at an end
        await record(journal, 1)
        await until(lambda: len(outlet.taken) == 3)
        outlet.end()
        await until(lambda: len(cursor.saved) == 2)
        assert cursor.saved == [(2, False), (3, False)]
        await record(journal, 1)
        await until(lambda: len(outlet.taken) == 4)

    assert cursor.saved[-1][0] == 4


def caught_up(sink: Sink, journal: Journal) -> bool:
    return journal.durable.sequence > 0 and sink.lag_lines == 0


async def test_what_may_not_have_arrived_is_sent_again(tmp_path: Path) -> None:
    outlet = FakeOutlet(settle_seconds=60)
    async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path) as sink:
        await record(journal, 3)
        await until(lambda: len(outlet.taken) == 4)
        outlet.end()
        await until(lambda: len(outlet.taken) == 8)
        assert sink.settled_sequence == 0

    assert numbers(outlet.taken) == [1, 2, 3, 4] * 2
    assert not cursor_path(tmp_path).exists()


async def test_an_outage_loses_nothing_and_shows(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path) as sink:
        await record(journal, 1)
        await until(partial(caught_up, sink, journal))
        outlet.is_down = True
        outlet.end()
        await until(lambda: sink.problem)
        await record(journal, 5)
        await until(lambda: sink.problem == "Connection refused" and sink.oldest_seconds(NOW + 7))

        assert (sink.problem, sink.lag_lines, sink.oldest_seconds(NOW + 7)) == ("Connection refused", 5, 7)
        outlet.is_down = False
        await until(lambda: caught_up(sink, journal) and not sink.problem)

        assert (sink.lag_lines, sink.oldest_seconds(NOW + 7)) == (0, 0)


async def test_a_sink_that_stalls_holds_up_no_record(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    outlet.is_stalled = True
    async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path) as sink:
        await record(journal, 1)
        await until(lambda: sink.oldest_seconds(inf))
        await record(journal, 50)

        assert sink.lag_lines == 52


async def test_lines_that_were_removed_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outlet = FakeOutlet()
    rotation = Rotation(max_bytes=400)
    async with Journal(tmp_path / "log", rotation=rotation) as journal, running(outlet, journal, tmp_path) as sink:
        await record(journal, 1)
        await until(lambda: outlet.taken)
        outlet.is_down = True
        outlet.end()
        await until(lambda: sink.problem == "Connection refused")
        for _ in range(9):
            await record(journal, 1)
        for number in (2, 3):
            segment_path(tmp_path / "log", number).unlink()
        outlet.is_down = False
        await until(lambda: numbers(outlet.taken)[-1] == journal.durable.sequence)

        assert sink.counts["gone"] == journal.durable.sequence - len(set(numbers(outlet.taken))) > 0
    assert "were removed from the audit log before the sink fake had them" in caplog.text


async def test_a_server_that_hangs_up_again_and_again_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = FakeOutlet(settle_seconds=60)
    outlet.is_fickle = True
    async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path, 0.1) as sink:
        await record(journal, 1)
        await until(lambda: outlet.opened >= 4)
        assert sink.problem == "the other side ended the connection"
    assert [entry.getMessage() for entry in caplog.records] == [
        "the sink fake takes no lines, which wait on disk: the other side ended the connection"
    ]


async def test_a_fault_of_ours_ends_nothing(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    outlet.poison = b'"seq":2,'
    async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path) as sink:
        await record(journal, 2)
        await until(lambda: sink.problem == "RuntimeError")
        outlet.poison = b""
        await until(lambda: len(outlet.taken) >= 3)

    assert numbers(outlet.taken)[-1] == 3


async def test_a_cursor_that_cannot_be_saved_stops_no_line(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    (tmp_path / "file").write_text("in the way of the directory")
    async with Journal(tmp_path / "log") as journal, running(outlet, journal, tmp_path / "file") as sink:
        await record(journal, 2)
        await until(lambda: sink.problem.startswith("where it is cannot be saved: "))
        await record(journal, 2)
        await until(lambda: len(outlet.taken) == 5)

        assert (numbers(outlet.taken), outlet.opened) == ([1, 2, 3, 4, 5], 1)


async def test_waits_double_up_to_a_minute_and_are_scattered(tmp_path: Path) -> None:
    outlet = FakeOutlet()
    jitters = iter([0.0, 1.0] * 20)
    sink = Sink(outlet, Journal(tmp_path), tmp_path, jitter=lambda: next(jitters))
    waits = []
    for failures in (1, 1, 2, 2, 3, 3, 40, 40):
        sink._failures = failures
        waits.append(sink._wait_seconds())

    assert waits == [0.25, 0.5, 0.5, 1.0, 1.0, 2.0, 30.0, 60.0]
