"""A sink: reads the audit log from where it was and hands it to an outlet, as fast as that takes it.

The log on disk is its only queue, so what it holds in memory is one batch, however far it is behind. Its cursor moves
only over what has surely arrived; whatever ends before that is sent again, so a receiver may see a line twice (the
same `seq`) and never misses one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.audit.records import written_at
from gateway.journal.cursors import CursorFile, Position
from gateway.journal.tail import Batch, read_on
from gateway.sinks.outlets import Channel, Outlet

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # between two looks at whether there is more
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
SAVE_SECONDS = 1.0
SAVE_LINES = 500


class Source(Protocol):
    """The audit log, as far as a sink must know it."""

    directory: Path

    @property
    def durable(self) -> Position:
        """The end of the last line that would survive a power cut."""


class Sink:
    """One way out of one log. Where it stands is kept in `directory`, in a file of the outlet's name."""

    def __init__(
        self,
        outlet: Outlet,
        source: Source,
        directory: Path,
        *,
        jitter: Callable[[], float] = random.random,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
    ) -> None:
        self.name = outlet.name
        self.counts: Counter[str] = Counter(sent=0, gone=0)  # lines handed over; removed before they could be
        self._outlet, self._source = outlet, source
        self._jitter, self._first_wait_seconds = jitter, first_wait_seconds
        self._cursor = CursorFile(directory / f"{outlet.name}.json")
        self._sent = self._arrived = self._saved = Position()
        self._saved_at = 0.0  # loop seconds
        self._settling: deque[tuple[Position, float]] = deque()  # handed over, with the loop seconds of that
        self._oldest_at: float | None = None  # Unix seconds: the first line that has not been handed over
        self._failure = ""  # why nothing gets out at the moment
        self._failures = 0  # since a line got out
        self._cursor_failure = ""

    @property
    def problem(self) -> str:
        """Why lines do not get out, or would get out again after a restart; "" when all is well."""
        return self._failure or self._cursor_failure

    @property
    def lag_lines(self) -> int:
        """Lines that are on record and were not handed over yet."""
        return max(0, self._source.durable.sequence - self._sent.sequence)

    @property
    def settled_sequence(self) -> int:
        """The number of the last line that has arrived and will not be sent again; 0 before the cursor is read."""
        return self._saved.sequence

    def oldest_seconds(self, now: float) -> float:
        """The age of the oldest line that was not handed over; 0 when all were. `now` in Unix seconds."""
        return max(0.0, now - self._oldest_at) if self._oldest_at is not None and self.lag_lines else 0.0

    async def run(self) -> None:
        """Send until cancelled, whatever happens."""
        self._arrived = self._saved = self._sent = await asyncio.to_thread(self._cursor.read)
        try:
            while True:
                await self._run_once()
                await asyncio.to_thread(self._keep)
                await asyncio.sleep(self._wait_seconds())
        finally:  # at a stop nobody waits for a thread any more
            self._keep()

    async def _run_once(self) -> None:
        """Use the outlet until it ends, and note why."""
        try:
            await self._open_and_ship()
        except OSError as error:
            self._note_failure(_why(error))
        except Exception as error:  # a fault of ours must not end the gateway
            log.exception("the sink %s failed", self.name)
            self._note_failure(type(error).__name__)

    async def _open_and_ship(self) -> None:
        """Open the outlet and use it until it ends.

        Raises:
            OSError: it cannot be opened, or has ended.
        """
        self._settling.clear()
        self._sent = self._arrived
        await self._read()  # how far behind we are shows also while nobody takes anything
        async with self._outlet.open() as channel:
            await self._ship(channel)

    async def _ship(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        opened_at = loop.time()
        while not channel.has_ended:
            content, batch = await self._read()
            if batch.lines:
                await channel.send(content)
                self._note_sent(batch)
            else:
                await asyncio.sleep(POLL_SECONDS)
            # In TLS 1.3 a server refuses our certificate only after it has seemed to take it, and lines with it.
            if loop.time() - opened_at >= 2 * self._first_wait_seconds:
                self._note_success()
            await self._settle()
        msg = "the other side ended the connection"
        raise ConnectionResetError(msg)

    async def _read(self) -> tuple[bytes, Batch]:
        """The next lines as they are to be sent."""
        durable = self._source.durable
        if durable == self._sent:
            return b"", Batch((), self._sent)
        content, batch = await asyncio.to_thread(self._read_and_frame, self._sent, durable)
        self._oldest_at = written_at(batch.lines[0]) if batch.lines else None
        return content, batch

    def _read_and_frame(self, start: Position, durable: Position) -> tuple[bytes, Batch]:
        batch = read_on(self._source.directory, start, durable)
        return b"".join([self._outlet.frame(line) for line in batch.lines]), batch

    def _note_sent(self, batch: Batch) -> None:
        self.counts["sent"] += len(batch.lines)
        if batch.gone:
            log.error("%d lines were removed from the audit log before the sink %s had them", batch.gone, self.name)
            self.counts["gone"] += batch.gone
        self._sent, self._oldest_at = batch.end, None
        self._settling.append((batch.end, asyncio.get_running_loop().time()))

    async def _settle(self) -> None:
        """Move the cursor over what has arrived, and save it when it is time."""
        now = asyncio.get_running_loop().time()
        while self._settling and self._settling[0][1] + self._outlet.settle_seconds <= now:
            self._arrived = self._settling.popleft()[0]
        lines = self._arrived.sequence - self._saved.sequence
        if self._arrived != self._saved and (lines >= SAVE_LINES or now >= self._saved_at + SAVE_SECONDS):
            self._saved_at = now
            await asyncio.to_thread(self._save, self._arrived)

    def _keep(self) -> None:
        """Save what has arrived since the last time; blocks for as long as the disk takes."""
        if self._arrived != self._saved:
            self._save(self._arrived)

    def _save(self, position: Position) -> None:
        """Failing, it only costs lines that are sent twice after a restart."""
        try:
            self._cursor.save(position)
        except OSError as error:
            if not self._cursor_failure:
                log.error("where the sink %s is cannot be saved: %s", self.name, _why(error))  # noqa: TRY400 - says all
            self._cursor_failure = f"where it is cannot be saved: {_why(error)}"
        else:
            self._saved, self._cursor_failure = position, ""

    def _note_success(self) -> None:
        if self._failure:
            log.warning("the sink %s takes lines again", self.name)
        self._failure, self._failures = "", 0

    def _note_failure(self, why: str) -> None:
        if why != self._failure:
            log.error("the sink %s takes no lines, which wait on disk: %s", self.name, why)
        self._failure = why
        self._failures += 1

    def _wait_seconds(self) -> float:
        """Doubling, and scattered: else all instances would come back to a mended server at once."""
        doubled = self._first_wait_seconds * 2.0 ** min(max(0, self._failures - 1), 16)
        return min(doubled, LONGEST_WAIT_SECONDS) * (0.5 + self._jitter() / 2)


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
