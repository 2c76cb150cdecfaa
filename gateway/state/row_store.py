"""What an instance must remember, on disk: one SQLite file of rows, one thread that writes it, and one commit for
everybody who waits.

What `save` returned from survives kill -9 and a power cut. What could not be written is owed: it goes first with the
next save, so that the file never has a gap. The file is read once, at the start. What the rows mean, others know.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE rows (
    kind TEXT NOT NULL, tenant TEXT NOT NULL, about TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, tenant, about)
) WITHOUT ROWID;
"""

RowKey = tuple[str, str, str]  # kind, tenant, what it is about
RowChanges = Mapping[RowKey, str | None]  # None: the row is gone


class StateUnavailable(RuntimeError):
    """State could not be read or kept; the text says why and what to do, for operators."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a file holds, in the words of operators."""

    name: str  # of what is in it
    version: int  # of how it is written
    loss: str  # what moving the file away does
    missed: str  # what a restart without the file does
    unavailable: type[StateUnavailable]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be kept, and who waits for it."""

    changes: RowChanges
    figures: Mapping[str, float]
    kept: asyncio.Future[None]


class RowStore:
    """The file of one instance; `async with` opens it and holds it against every other process."""

    def __init__(self, path: Path, holding: Holding, *, time_limit_seconds: float = 5.0) -> None:
        self.path = path
        self.problem: str | None = None  # why the last save failed; None while all is well
        self._holding = holding
        self._time_limit_seconds = time_limit_seconds
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._owed: dict[RowKey, str | None] = {}  # the thread's: not in the file yet
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Open the file; make it (0600) if there is none.

        Raises:
            StateUnavailable: it is damaged, of another version, of another user, or in use.
        """
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._connection = await self._loop.run_in_executor(None, self._open)
        # A daemon, for a disk that hangs for good must not keep the process from ending.
        threading.Thread(target=self._keep_all, name=self._holding.name, daemon=True).start()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what was asked for, within the time limit, and let the file go."""
        self._is_open = False
        self._asked.put(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._time_limit_seconds):
                await self._ended.wait()

    async def save(self, changes: RowChanges, figures: Mapping[str, float]) -> None:
        """Keep rows that changed, and figures about them all: they would survive a power cut once this returns.

        What fails is owed and goes with the next save. To be called in the order in which the changes were taken.

        Raises:
            StateUnavailable: the disk fails, is full, or is too slow.
        """
        if not self._is_open:
            raise self._holding.unavailable(f"the {self._holding.name} is not open")
        asked = _Asked(changes, figures, self._loop.create_future())
        self._asked.put(asked)
        try:
            async with asyncio.timeout(self._time_limit_seconds):
                await asked.kept
        except TimeoutError as error:
            self.problem = f"the disk took longer than {self._time_limit_seconds:g} s"
            raise self._holding.unavailable(self.problem) from error

    def read(self) -> tuple[dict[RowKey, str], dict[str, float]]:
        """Every row and figure; once, before the first save.

        Raises:
            StateUnavailable: the file is damaged.
        """
        try:
            rows = self._connection.execute("SELECT kind, tenant, about, value FROM rows").fetchall()
            figures = dict(self._connection.execute("SELECT name, value FROM meta WHERE name <> 'version'"))
            return {(kind, tenant, about): value for kind, tenant, about, value in rows}, {
                name: float(value) for name, value in figures.items()
            }
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self.damaged(error) from error

    def damaged(self, why: object) -> StateUnavailable:
        """What to raise when the file holds what nobody can have written."""
        return _damaged(self.path, self._holding, why)

    # In a thread ------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        holding, path = self._holding, self.path
        try:
            _make_or_check(path, holding)
            # One thread after the other has it, never two at once.
            connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise holding.unavailable(f"the {holding.name} {path} cannot be opened: {error}") from error
        try:
            _prepare(connection, path, holding)
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep_all(self) -> None:
        with closing(self._connection):
            for batch in self._batches():
                problem = self._keep(batch)
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self._loop.call_soon_threadsafe(self._note_end, batch, problem)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended.set)

    def _batches(self) -> Iterator[list[_Asked]]:
        """Everything that is asked for while one batch is kept makes up the next; ends at None."""
        asked = self._asked.get()
        while asked is not None:
            batch = [asked]
            try:
                while asked := self._asked.get_nowait():
                    batch.append(asked)
            except Empty:
                yield batch
                asked = self._asked.get()
            else:
                yield batch

    def _keep(self, batch: list[_Asked]) -> str | None:
        """Why it could not be kept; None when it is."""
        for asked in batch:
            self._owed.update(asked.changes)
        if not self.path.exists():  # SQLite would go on writing to a file that no start will find
            return f"the file is gone; put it back and restart, or {self._holding.missed}"
        try:
            _write(self._connection, self._owed, batch[-1].figures)
        except sqlite3.Error as error:
            return str(error)
        except Exception as error:  # a fault of ours: the thread must go on, and those who wait must hear of it
            log.exception("the %s failed", self._holding.name)
            return f"the {self._holding.name} failed: {type(error).__name__}"
        self._owed.clear()
        return None

    def _note_end(self, batch: list[_Asked], problem: str | None) -> None:
        """A batch came back from the thread."""
        self.problem = problem
        said = f"the {self._holding.name} {self.path} cannot be written: {problem}"
        for asked in batch:
            if asked.kept.done():
                continue
            if problem is None:
                asked.kept.set_result(None)
            else:
                asked.kept.set_exception(self._holding.unavailable(said))


def _make_or_check(path: Path, holding: Holding) -> None:
    """Make the file with its final mode, or see that it is ours: SQLite would follow a link, and take anybody's."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        status = path.lstat()
        if path.is_symlink() or not path.is_file():
            text = f"the {holding.name} {path} is no plain file; move it away and start again"
            raise holding.unavailable(text) from None
        if status.st_uid != os.geteuid():
            raise holding.unavailable(
                f"the {holding.name} {path} belongs to user {status.st_uid}, and this is user {os.geteuid()}: "
                "start as the user who owns it, or give it to this one (chown)"
            ) from None


def _prepare(connection: sqlite3.Connection, path: Path, holding: Holding) -> None:
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # before WAL: then it needs no shared memory
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")  # takes the file against others, until it is closed
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            _create(connection, holding.version)
        (version,) = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() or (None,)
        connection.execute("COMMIT")
        (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise holding.unavailable(f"the {holding.name} {path} is in use by another process") from error
        raise _damaged(path, holding, error) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, holding, error) from error
    if version != holding.version:
        raise holding.unavailable(
            f"the {holding.name} {path} has version {version}, and this gateway knows version {holding.version}: "
            f"start the one that wrote it, or move the file away, {holding.loss}"
        )
    if check != "ok":
        raise _damaged(path, holding, check)


def _create(connection: sqlite3.Connection, version: int) -> None:
    for statement in filter(str.strip, SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('version', ?)", (version,))


def _write(connection: sqlite3.Connection, changes: RowChanges, figures: Mapping[str, float]) -> None:
    """One transaction."""
    gone = [key for key, value in changes.items() if value is None]
    there = [(*key, value) for key, value in changes.items() if value is not None]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("DELETE FROM rows WHERE kind = ? AND tenant = ? AND about = ?", gone)
        connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", there)
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(figures.items()))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _damaged(path: Path, holding: Holding, error: object) -> StateUnavailable:
    return holding.unavailable(
        f"the {holding.name} {path} is damaged ({error}): put a backup in its place, or move it away together with "
        f"{path.name}-wal and start again, {holding.loss}"
    )
