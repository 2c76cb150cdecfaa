"""An outlet that remembers, and fails when it is told to; and a log to read from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.journal import Journal
from gateway.sinks.outlets import Channel


class FakeOutlet:
    """Takes lines; it may be down (nothing opens), stalled (nothing is taken) or fickle (what takes lines ends)."""

    def __init__(self, *, settle_seconds: float = 0.0) -> None:
        self.name = "fake"
        self.settle_seconds = settle_seconds
        self.is_down = False
        self.is_stalled = False
        self.is_fickle = False
        self.poison = b""
        self.taken: list[bytes] = []
        self.opened = 0
        self._has_ended = False

    def frame(self, line: bytes) -> bytes:
        if self.poison and self.poison in line:
            msg = "poison"
            raise RuntimeError(msg)
        return line + b"\n"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Channel]:
        if self.is_down:
            raise ConnectionRefusedError(111, "Connection refused")
        self.opened += 1
        self._has_ended = False
        yield self

    async def send(self, content: bytes) -> None:
        if self.is_stalled:
            await asyncio.Event().wait()
        self.taken += content.splitlines()
        self._has_ended = self.is_fickle

    @property
    def has_ended(self) -> bool:
        return self._has_ended

    def end(self) -> None:
        """The other side goes away."""
        self._has_ended = True


async def record(journal: Journal, count: int) -> None:
    """So many lines go on record."""
    await asyncio.gather(*(journal.append(b'{"time":"2027-01-15T08:00:00Z","event":"notice"}\n') for _ in range(count)))


def cursor_path(directory: Path) -> Path:
    return directory / "fake.json"
