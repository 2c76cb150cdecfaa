"""Connections that ended before any request, on their way to the record: a handshake failed, or there was no place.

Whoever accepts connections must neither wait for the disk nor fail, so it only leaves a word here; a task of its own
puts the words on record. They are strangers' words, under the strangers' quotas.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from gateway.stages.recording import Recording
from gateway.stages.recording.strangers import LINES_PER_WINDOW

log = logging.getLogger(__name__)

MAX_WAITING = LINES_PER_WINDOW  # while a disk is slow; whoever comes beyond them is counted


class Connections:
    """Words about connections, waiting to go on record; for the life of an instance."""

    def __init__(self, recording: Recording, now: Callable[[], float] = time.time) -> None:
        self._recording, self._now = recording, now
        self._waiting: deque[tuple[str, str, float]] = deque()  # address, failure, Unix seconds
        self._arrived = asyncio.Event()
        self._one_by_one = asyncio.Lock()

    def note(self, address: str, failure: str) -> None:
        """One connection from `address` came to nothing. Neither waits nor raises."""
        if len(self._waiting) >= MAX_WAITING:
            self._recording.suppress(address)
        elif self._recording.stranger_has_a_line(address):
            log.info("a connection came to nothing", extra={"address": address, "failure": failure})
            self._waiting.append((address, failure, self._now()))
            self._arrived.set()

    async def run(self) -> None:
        """Put on record what arrives, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self.drain()

    async def drain(self) -> None:
        """Put on record what waits, and return when it is; what cannot be written is counted with all else like it."""
        async with self._one_by_one:  # at a stop, what `run` is writing is waited for, and not cut off with it
            while self._waiting:
                words, self._waiting = self._waiting, deque()
                async with asyncio.TaskGroup() as appending:  # so they share a sync, and a disk that hangs is met once
                    for address, failure, at in words:
                        appending.create_task(self._recording.record_connection(address, failure, at))
