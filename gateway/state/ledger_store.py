"""The ledger on disk: what `save` returned from survives kill -9 and a power cut (see `state.row_store`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.state.ledger import Ledger, Moment
from gateway.state.ledger.rows import Changes, RowUnreadable, row_of, text_of
from gateway.state.row_store import Holding, RowKey, RowStore, StateUnavailable


class LedgerUnavailable(StateUnavailable):
    """The ledger could not be read or kept; the text says why and what to do, for operators."""


HOLDING = Holding(
    name="ledger",
    version=1,
    loss="which forgets every hold: held writes are then judged anew",
    missed="whatever is held is forgotten",
    unavailable=LedgerUnavailable,
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the file held. Whatever was in flight has been settled as unknown."""

    ledger: Ledger
    moment: Moment | None  # of the last save; None in a new file


class LedgerStore:
    """The file of one instance; `async with` opens it and holds it against every other process."""

    def __init__(self, path: Path, *, time_limit_seconds: float = 5.0) -> None:
        self._rows = RowStore(path, HOLDING, time_limit_seconds=time_limit_seconds)

    async def __aenter__(self) -> Self:
        """Open the file; make it (0600) if there is none.

        Raises:
            LedgerUnavailable: it is damaged, of another version, of another user, or in use.
        """
        await self._rows.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what was asked for, within the time limit, and let the file go."""
        await self._rows.__aexit__(kind, error, trace)

    @property
    def problem(self) -> str | None:
        """Why the last save failed; None while all is well."""
        return self._rows.problem

    async def save(self, changes: Changes, moment: Moment) -> None:
        """Keep what changed: it would survive a power cut once this returns.

        What fails is owed and goes with the next save. To be called in the order in which the changes were taken.

        Raises:
            LedgerUnavailable: the disk fails, is full, or is too slow.
        """
        rows: dict[RowKey, str | None] = {
            key: None if value is None else text_of(value) for key, value in changes.items()
        }
        await self._rows.save(rows, {"guard": moment.guard, "wall": moment.wall})

    async def touch(self, moment: Moment) -> None:
        """Keep the time alone, so that a restart goes on from it; and try once more what is owed.

        Raises:
            LedgerUnavailable: as `save`.
        """
        await self.save({}, moment)

    def load(self) -> Loaded:
        """Read the ledger; once, before the first save.

        Raises:
            LedgerUnavailable: the file is damaged.
        """
        texts, figures = self._rows.read()
        try:
            moment = Moment(figures["guard"], figures["wall"]) if "guard" in figures else None
            ledger = Ledger.restored([row_of(*key, text) for key, text in texts.items()])
        except (RowUnreadable, LookupError, TypeError, ValueError) as error:
            raise self._rows.damaged(error) from error
        if moment is not None:
            ledger.settle_all(moment.guard)
        return Loaded(ledger, moment)
