"""The credentials made at run time with their file: what is decided is on disk before it is in effect.

A file that cannot be read keeps the gateway from starting: without it, a revoked credential would open again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.state.credentials.rows import RowUnreadable, read_rows, rows_of
from gateway.state.credentials.values import Book, Owed
from gateway.state.last_use import LastUse
from gateway.state.row_store import Holding, RowStore, StateUnavailable

log = logging.getLogger(__name__)

FILE_NAME = "credentials.sqlite3"


class CredentialsUnavailable(StateUnavailable):
    """The credentials made at run time could not be read or kept; the text says why and what to do, for operators."""


HOLDING = Holding(
    name="file of credentials",
    version=1,
    loss="which forgets every credential made at run time, and that any was revoked: "
    "take the revoked ones out of the settings first",
    missed="every credential made at run time is forgotten",
    unavailable=CredentialsUnavailable,
)


class CredentialKeeper:
    """One instance's credentials made at run time, and when each credential was used last. `async with` opens it."""

    def __init__(self, directory: Path, last_use: LastUse, now: Callable[[], float]) -> None:
        self.book = Book()  # what is in effect
        self.owed: tuple[Owed, ...] = ()  # notices that are not on record yet, oldest first
        self.counts_since = now()  # Unix seconds: who has no last use was not used from then on
        self._last_use, self._now = last_use, now
        self._store = RowStore(directory / FILE_NAME, HOLDING)
        self._kept: dict[tuple[str, str, str], str] = {}  # on disk, or owed to it
        self._one_by_one = asyncio.Lock()  # or a last use would put the book of before on disk again

    async def __aenter__(self) -> Self:
        """Raises: CredentialsUnavailable."""
        await self._store.__aenter__()
        try:
            rows, figures = self._store.read()
            try:
                self.book, uses, self.owed = read_rows(rows)
            except RowUnreadable as error:
                raise self._store.damaged(error) from error
        except BaseException:
            await self._store.__aexit__(None, None, None)
            raise
        self._kept = rows
        self._last_use.uses.update(uses)
        self.counts_since = figures.get("counts_since", self.counts_since)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.keep_uses()
        except CredentialsUnavailable as unavailable:
            log.error("the last uses of credentials are not kept: %s", unavailable)  # noqa: TRY400 - says all
        finally:
            await self._store.__aexit__(kind, error, trace)

    @property
    def problem(self) -> str | None:
        """Why the last change could not be kept; None while all is well."""
        return self._store.problem

    async def keep(self, book: Book) -> None:
        """Put another book on disk, then in effect.

        Raises:
            CredentialsUnavailable: nothing has changed, and the next save undoes what came to the disk too late.
        """
        async with self._one_by_one:
            await self._save(book)
            self.book = book

    async def keep_in_any_case(self, book: Book, *owed: Owed) -> None:
        """Put another book in effect and on disk, with notices that are owed from now on; to end something does not
        wait for a disk that works.

        Raises:
            CredentialsUnavailable: it is in effect, and a restart before the disk works would forget it.
        """
        async with self._one_by_one:
            self.book = book
            self.owed += owed
            await self._save(book)

    async def settle(self, paid: Owed) -> None:
        """A notice that was owed is on record.

        Raises:
            CredentialsUnavailable: a restart before the disk works would put it on record once more.
        """
        async with self._one_by_one:
            self.owed = tuple(one for one in self.owed if one is not paid)
            await self._save(self.book)

    async def keep_uses(self) -> None:
        """Put on disk when credentials were used last, and what earlier calls could not; every minute or so.

        Raises:
            CredentialsUnavailable: it is not there, and goes with the next call.
        """
        async with self._one_by_one:
            await self._save(self.book)

    async def _save(self, book: Book) -> None:
        rows = rows_of(book, self._last_use.uses, self.owed)
        changes: dict[tuple[str, str, str], str | None] = {**dict.fromkeys(self._kept.keys() - rows.keys())}
        changes |= {key: text for key, text in rows.items() if self._kept.get(key) != text}
        self._kept = rows
        if changes or self.problem is not None:
            await self._store.save(changes, {"counts_since": self.counts_since})
