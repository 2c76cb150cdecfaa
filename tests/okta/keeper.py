"""The guard's ledger under the virtual clock: its file is a dictionary, in which a row takes its time to be kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.state.keeper import Keeper
from gateway.state.ledger import GuardClock, Ledger, Moment
from gateway.state.ledger.rows import Key, Value, row_of, text_of
from tests.okta.clock import now

KEEP_SECONDS = 0.002


class MemoryKeeper(Keeper):
    """Keeps rows in `kept` as the file would; `after_a_crash` is what the next process finds there."""

    def __init__(self, kept: dict[Key, str] | None = None, moment: Moment | None = None) -> None:
        clock = asyncio.get_running_loop().time
        super().__init__(Path("/nonexistent"), now, clock)
        self.kept, self.moment = kept or {}, moment
        self._clock = GuardClock.started(moment, now(), clock())
        self.ledger = Ledger.restored([row_of(*key, text) for key, text in self.kept.items()])
        self.ledger.settle_all(self.now)
        if moment is not None:
            self.ledger.was_away(self.now - moment.guard)

    async def keep(self, *, at_least_the_time: bool = False) -> None:
        assert self.ledger is not None
        changes = self.ledger.take_changes()
        if changes or at_least_the_time:
            moment = self._clock.moment(now(), asyncio.get_running_loop().time())
            await asyncio.sleep(KEEP_SECONDS)
            self.moment = moment
            for key, value in changes.items():
                self._write(key, value)

    def _write(self, key: Key, value: Value | None) -> None:
        if value is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = text_of(value)

    def after_a_crash(self) -> MemoryKeeper:
        return MemoryKeeper(dict(self.kept), self.moment)
