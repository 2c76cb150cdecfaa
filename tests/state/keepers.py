"""A keeper without a file, whose disk may fail or hang, and whose time is the test's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.state.keeper import Keeper
from gateway.state.ledger import Ledger
from gateway.state.ledger.rows import Key, Value
from gateway.state.ledger_store import LedgerUnavailable
from tests.worlds import NOW


class PlainKeeper(Keeper):
    """`kept` is what a crash would leave. `fails` says why nothing can be kept; `hangs` keeps everybody waiting."""

    def __init__(self, *, unreadable: str | None = None) -> None:
        self.seconds = 0.0  # since the start
        self.wall_ahead_seconds = 0.0  # what the wall clock was set by since then
        super().__init__(
            Path("/nonexistent"), lambda: NOW + self.seconds + self.wall_ahead_seconds, lambda: self.seconds
        )
        self.ledger = None if unreadable else Ledger()
        self.kept: dict[Key, Value | None] = {}
        self.fails: str | None = None
        self.hangs: asyncio.Event | None = None
        self.is_waiting = asyncio.Event()
        self._unreadable = unreadable

    @property
    def problem(self) -> str | None:
        return self._unreadable or self.fails

    @property
    def books(self) -> Ledger:
        """The ledger, of a keeper that could read one."""
        assert self.ledger is not None
        return self.ledger

    def kinds(self) -> list[str]:
        """What kinds of rows there are in the ledger now."""
        return sorted(kind for kind, _, _ in self.books.rows())

    async def keep(self, *, at_least_the_time: bool = False) -> None:
        if self.hangs is not None:
            self.is_waiting.set()
            await self.hangs.wait()
        if self.ledger is None or self.fails is not None:
            raise LedgerUnavailable(self.problem)
        self.kept |= self.ledger.take_changes()
