"""The journal's door for the event loop: lines are written in one thread, and whoever waits shares one sync.

A disk takes as long to sync a hundred lines as one. So whatever is asked for while the thread is busy makes up the
next batch, in the order in which it came; and under load a millisecond goes by between two (see `journal.pace`).
Lines that are only described when they are asked for are written out then, one after the other: each for half of
what it costs between everything else that a request takes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias

from gateway.audit.chain import Link
from gateway.audit.records import Record
from gateway.audit.tampering import Finding
from gateway.journal.cursors import BEGINNING, Position
from gateway.journal.disk import Disk
from gateway.journal.files import Failure, Incident, LogFiles
from gateway.journal.pace import Pace
from gateway.journal.recovery import TornTail
from gateway.journal.segments import Rotation

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.001

Line: TypeAlias = bytes | Callable[[], bytes]  # with its newline; or what writes it


class JournalUnavailable(Exception):
    """A line could not be put on record in time; the text says why, for operators."""


@dataclass(slots=True)
class _Asked:
    """A line, and who waits for it."""

    line: Line
    on_record: asyncio.Future[None]
    asked_at: float  # loop seconds
    vital: bool
    written: bytes = b""  # the line, once its batch is complete


class Journal:
    """The audit log of one instance; `async with` holds its directory against every other instance."""

    def __init__(
        self,
        directory: Path,
        *,
        instance: str = "",
        rotation: Rotation | None = None,
        time_limit_seconds: float = 5.0,
        disk: Disk | None = None,
    ) -> None:
        self.directory = directory
        self.problem: str | None = None  # why the last append failed; None while all is well
        self.torn: tuple[TornTail, ...] = ()  # what was set aside when the journal was opened
        self.broken: Finding | None = None  # the last segment's chain did not hold when it was opened
        self.interrupted: tuple[Record, ...] = ()  # writes that were under way when the last run ended
        self._instance, self._rotation = instance, rotation or Rotation()
        self.time_limit_seconds = time_limit_seconds
        self.disk = disk or Disk()
        self._files: LogFiles | None = None
        self._waiting: list[_Asked] = []
        self._under_way: list[_Asked] = []  # with the thread
        self._pace = Pace()
        self._gathering = False  # the next batch goes to the thread in a moment
        self._timer: asyncio.TimerHandle | None = None
        self._batches: SimpleQueue[list[_Asked] | None] = SimpleQueue()

    async def __aenter__(self) -> Self:
        """Go on where the last line ended.

        Raises:
            DirectoryInUse: another instance has it.
            OSError: the directory cannot be read or written to.
        """
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        await self._loop.run_in_executor(None, self._open)
        # A daemon, for a disk that hangs for good must not keep the process from ending.
        threading.Thread(target=self._write_batches, name="journal", daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the lines that were asked for, within the time limit, and let the directory go."""
        self._files = None
        if self._waiting:
            self._batches.put(_with_lines(self._waiting))
        self._batches.put(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.time_limit_seconds):
                await self._ended.wait()

    @property
    def link(self) -> Link:
        """The end of what is on record, whose tree a checkpoint signs."""
        return self._files.segments.link if self._files else Link()

    @property
    def segment(self) -> int:
        """The number of the segment that is written to."""
        return self._files.segments.number if self._files else 0

    @property
    def durable(self) -> Position:
        """The end of the last line that would survive a power cut."""
        return self._files.segments.durable if self._files is not None else BEGINNING

    @property
    def waiting(self) -> int:
        """Lines that somebody waits for and that are not on record yet."""
        return len(self._waiting) + len(self._under_way)

    @property
    def busy_seconds(self) -> float:
        """How long the lines that are being written have waited; a disk that is full or broken says so at once."""
        return self._loop.time() - self._under_way[0].asked_at if self._under_way else 0.0

    def take_incidents(self) -> tuple[Incident, ...]:
        """What befell the log since this was asked last, for the record."""
        if self._files is None or not self._files.incidents:
            return ()
        return tuple([self._files.incidents.popleft() for _ in range(len(self._files.incidents))])

    async def append(self, line: Line, *, vital: bool = False) -> None:
        """Put one line on record: it would survive a power cut once this returns. It is numbered and chained as it is
        written; a vital one, while that fails, as soon as it can be.

        What writes a line is called once, when its batch is complete, or never; what it raises is raised here.

        After a failure the line is not there, but for one case: a disk too slow for the time limit may still take it
        later. The next append tries afresh.

        Raises:
            JournalUnavailable: the disk fails, is full, or is too slow.
        """
        if self._files is None:
            raise JournalUnavailable("the journal is not open")
        asked = _Asked(line, self._loop.create_future(), self._loop.time(), vital)
        self._waiting.append(asked)
        if not self._under_way and not self._gathering:
            self._gathering = True
            self._loop.call_soon(self._gathered)  # whoever else is served in this turn of the loop
        if self._timer is None:
            self._timer = self._loop.call_later(self.time_limit_seconds, self._give_up_on_the_late)
        await asked.on_record

    def _hand_over(self) -> None:
        self._under_way, self._waiting = _with_lines(self._waiting), []
        if self._under_way:
            self._pace.note(len(self._under_way), self._loop.time())
            self._batches.put(self._under_way)

    def _note_end(self, batch: list[_Asked], failure: Failure | None) -> None:
        """A batch came back from the thread."""
        self.problem = failure.why if failure else None
        for asked in _on_record(batch, failure):
            if not asked.on_record.done():
                asked.on_record.set_result(None)
        if failure is not None:
            for asked in (asked for asked in batch if not asked.on_record.done()):
                asked.on_record.set_exception(JournalUnavailable(failure.why))
        self._under_way = []
        if self._pace.is_fast and self._files is not None:
            self._gathering = True
            self._loop.call_later(GATHER_SECONDS, self._gathered)
        else:
            self._gathered()

    def _gathered(self) -> None:
        self._gathering = False
        if self._waiting and self._files is not None:
            self._hand_over()

    def _give_up_on_the_late(self) -> None:
        """Those who have waited too long are told so; what was not yet with the thread is never written."""
        self._timer = None
        latest = self._loop.time() - self.time_limit_seconds + 0.001
        late = [asked for asked in (*self._under_way, *self._waiting) if asked.asked_at <= latest]
        self._waiting = [asked for asked in self._waiting if asked.asked_at > latest]
        for asked in late:
            if not asked.on_record.done():
                self.problem = f"the disk took longer than {self.time_limit_seconds:g} s"
                asked.on_record.set_exception(JournalUnavailable(self.problem))
        left = [asked.asked_at for asked in (*self._under_way, *self._waiting) if not asked.on_record.done()]
        if left:
            self._timer = self._loop.call_at(min(left) + self.time_limit_seconds, self._give_up_on_the_late)

    # In the thread ----------------------------------------------------------------------------------

    def _open(self) -> None:
        files = LogFiles(self.directory, rotation=self._rotation, disk=self.disk, instance=self._instance)
        self.torn, self.broken, self.interrupted = files.segments.torn, files.segments.broken, files.interrupted
        self._files = files

    def _write_batches(self) -> None:
        files = self._files
        assert files is not None  # noqa: S101 - opened before the thread began
        while (batch := self._batches.get()) is not None:
            try:
                written, vital = [asked.written for asked in batch], [asked.written for asked in batch if asked.vital]
                failure = files.append(written, vital)
            except Exception as error:  # a fault of ours: the thread must go on, and those who wait must hear of it
                log.exception("the journal failed")
                failure = Failure(f"the journal failed: {type(error).__name__}", reserved=0)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._note_end, batch, failure)
        files.close()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended.set)


def written_out(line: Line) -> bytes:
    """What is to stand in the log, but for its number and its link."""
    return line if isinstance(line, bytes) else line()


def _on_record(batch: list[_Asked], failure: Failure | None) -> list[_Asked]:
    """Those whose lines are in the log, or else in the reserve."""
    return [asked for asked in batch if asked.vital][: failure.reserved] if failure else batch


def _with_lines(waiting: list[_Asked]) -> list[_Asked]:
    """Those whose lines could be written out."""
    return [asked for asked in waiting if _has_its_line(asked)]


def _has_its_line(asked: _Asked) -> bool:
    try:
        asked.written = written_out(asked.line)
    except Exception as error:
        if not asked.on_record.done():
            asked.on_record.set_exception(error)
        return False
    return True
