"""The guard's ledger with its clock and its file: what it decides is on disk before anybody relies on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.state.ledger import GuardClock, Ledger
from gateway.state.ledger_store import LedgerStore, LedgerUnavailable

log = logging.getLogger(__name__)

FILE_NAME = "guard.sqlite3"


class Keeper:
    """One instance's ledger. `async with` opens it; a file that cannot be read leaves `ledger` None, and `problem`."""

    def __init__(self, directory: Path, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.ledger: Ledger | None = None
        self._wall, self._monotonic = wall, monotonic  # Unix seconds; monotonic seconds
        self._store = LedgerStore(directory / FILE_NAME)
        self._clock = GuardClock.started(None, wall(), monotonic())
        self._unreadable: str | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._stack.enter_async_context(self._store)
            loaded = self._store.load()
        except LedgerUnavailable as error:
            # Not to start would be worse: people could neither join nor sign in, and nobody else would lose access.
            self._unreadable = str(error)
            log.error("whatever takes access from people is put off: %s", error)  # noqa: TRY400 - says all
            return self
        self._clock = GuardClock.started(loaded.moment, self._wall(), self._monotonic())
        self.ledger = loaded.ledger
        if loaded.moment is not None:
            self.ledger.was_away(self.now - loaded.moment.guard)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.ledger is not None:  # else what was settled last would count as executed after the next start
                await self.keep(at_least_the_time=True)
        except LedgerUnavailable as unavailable:
            log.error("the guard's ledger is not kept to the last: %s", unavailable)  # noqa: TRY400 - says all
        finally:
            await self._stack.aclose()

    @property
    def problem(self) -> str | None:
        """Why the guard cannot count; None while all is well."""
        return self._unreadable or self._store.problem

    @property
    def now(self) -> float:
        """Guard seconds."""
        return self._clock.now(self._monotonic())

    @property
    def lag(self) -> float:
        """Unix seconds less guard seconds: what the wall clock was set by, or the machine slept, since the start."""
        return self._wall() - self.now

    async def keep(self, *, at_least_the_time: bool = False) -> None:
        """Put on disk what has changed, and what earlier calls could not.

        Raises:
            LedgerUnavailable: it is not there, and goes with the next call.
        """
        if self.ledger is None:
            raise LedgerUnavailable(self._unreadable or "the ledger is not open")
        changes = self.ledger.take_changes()
        if changes or at_least_the_time or self._store.problem is not None:
            await self._store.save(changes, self._clock.moment(self._wall(), self._monotonic()))
