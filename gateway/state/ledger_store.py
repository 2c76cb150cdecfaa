"""The ledger on disk: one SQLite file, one thread that writes it, and one commit for everybody who waits.

What `save` returned from survives kill -9 and a power cut. What could not be written is owed: it goes first with the
next save, so that the file never has a gap. The file is read once, at the start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from gateway.state.ledger import Ledger, Moment
from gateway.state.ledger.rows import Changes, Key, RowUnreadable, Value, row_of, text_of

log = logging.getLogger(__name__)

VERSION = 1
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE rows (
    kind TEXT NOT NULL, tenant TEXT NOT NULL, about TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, tenant, about)
) WITHOUT ROWID;
"""


class LedgerUnavailable(Exception):
    """The ledger could not be read or kept; the text says why and what to do, for operators."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the file held. Whatever was in flight has been settled as unknown."""

    ledger: Ledger
    moment: Moment | None  # of the last save; None in a new file


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be kept, and who waits for it."""

    changes: Changes
    moment: Moment
    kept: asyncio.Future[None]


class LedgerStore:
    """The file of one instance; `async with` opens it and holds it against every other process."""

    def __init__(self, path: Path, *, time_limit_seconds: float = 5.0) -> None:
        self.path = path
        self.problem: str | None = None  # why the last save failed; None while all is well
        self._time_limit_seconds = time_limit_seconds
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._owed: dict[Key, Value | None] = {}  # the thread's: not in the file yet
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Open the file; make it (0600) if there is none.

        Raises:
            LedgerUnavailable: it is damaged, of another version, of another user, or in use.
        """
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._connection = await self._loop.run_in_executor(None, self._open)
        # A daemon, for a disk that hangs for good must not keep the process from ending.
        threading.Thread(target=self._keep_all, name="ledger", daemon=True).start()
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

    async def save(self, changes: Changes, moment: Moment) -> None:
        """Keep what changed: it would survive a power cut once this returns.

        What fails is owed and goes with the next save. To be called in the order in which the changes were taken.

        Raises:
            LedgerUnavailable: the disk fails, is full, or is too slow.
        """
        if not self._is_open:
            raise LedgerUnavailable("the ledger is not open")
        asked = _Asked(changes, moment, self._loop.create_future())
        self._asked.put(asked)
        try:
            async with asyncio.timeout(self._time_limit_seconds):
                await asked.kept
        except TimeoutError as error:
            self.problem = f"the disk took longer than {self._time_limit_seconds:g} s"
            raise LedgerUnavailable(self.problem) from error

    async def touch(self, moment: Moment) -> None:
        """Keep the time alone, so that a restart goes on from it; and try once more what is owed.

        Raises:
            LedgerUnavailable: as `save`.
        """
        await self.save({}, moment)

    # In a thread ------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        """Read the ledger; once, before the first save.

        Raises:
            LedgerUnavailable: the file is damaged.
        """
        try:
            rows = [row_of(*row) for row in self._connection.execute("SELECT kind, tenant, about, value FROM rows")]
            meta = dict(self._connection.execute("SELECT name, value FROM meta"))
            moment = Moment(float(meta["guard"]), float(meta["wall"])) if "guard" in meta else None
            ledger = Ledger.restored(rows)
        except (sqlite3.Error, RowUnreadable, LookupError, TypeError, ValueError) as error:
            raise _damaged(self.path, error) from error
        if moment is not None:
            ledger.settle_all(moment.guard)
        return Loaded(ledger, moment)

    def _open(self) -> sqlite3.Connection:
        try:
            _make_or_check(self.path)
            # One thread after the other has it, never two at once.
            connection = sqlite3.connect(self.path, timeout=0.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise LedgerUnavailable(f"the ledger {self.path} cannot be opened: {error}") from error
        try:
            _prepare(connection, self.path)
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
            return "the file is gone; put it back and restart, or whatever is held is forgotten"
        try:
            _write(self._connection, self._owed, batch[-1].moment)
        except sqlite3.Error as error:
            return str(error)
        except Exception as error:  # a fault of ours: the thread must go on, and those who wait must hear of it
            log.exception("the ledger failed")
            return f"the ledger failed: {type(error).__name__}"
        self._owed.clear()
        return None

    def _note_end(self, batch: list[_Asked], problem: str | None) -> None:
        """A batch came back from the thread."""
        self.problem = problem
        for asked in batch:
            if asked.kept.done():
                continue
            if problem is None:
                asked.kept.set_result(None)
            else:
                asked.kept.set_exception(LedgerUnavailable(f"the ledger {self.path} cannot be written: {problem}"))


def _make_or_check(path: Path) -> None:
    """Make the file with its final mode, or see that it is ours: SQLite would follow a link, and take anybody's."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        status = path.lstat()
        if path.is_symlink() or not path.is_file():
            raise LedgerUnavailable(f"the ledger {path} is no plain file; move it away and start again") from None
        if status.st_uid != os.geteuid():
            raise LedgerUnavailable(
                f"the ledger {path} belongs to user {status.st_uid}, and this is user {os.geteuid()}: "
                "start as the user who owns it, or give it to this one (chown)"
            ) from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # before WAL: then it needs no shared memory
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")  # takes the file against others, until it is closed
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            _create(connection)
        (version,) = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() or (None,)
        connection.execute("COMMIT")
        (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise LedgerUnavailable(f"the ledger {path} is in use by another process") from error
        raise _damaged(path, error) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
    if version != VERSION:
        raise LedgerUnavailable(
            f"the ledger {path} has version {version}, and this gateway knows version {VERSION}: start the one "
            "that wrote it, or move the file away, which forgets every hold"
        )
    if check != "ok":
        raise _damaged(path, check)


def _create(connection: sqlite3.Connection) -> None:
    for statement in filter(str.strip, SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('version', ?)", (VERSION,))


def _write(connection: sqlite3.Connection, changes: Changes, moment: Moment) -> None:
    """One transaction."""
    gone = [key for key, value in changes.items() if value is None]
    there = [(*key, text_of(value)) for key, value in changes.items() if value is not None]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("DELETE FROM rows WHERE kind = ? AND tenant = ? AND about = ?", gone)
        connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", there)
        both = [("guard", moment.guard), ("wall", moment.wall)]
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", both)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _damaged(path: Path, error: object) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the ledger {path} is damaged ({error}): put a backup in its place, or move it away together with "
        f"{path.name}-wal and start again, which forgets every hold: held writes are then judged anew"
    )
