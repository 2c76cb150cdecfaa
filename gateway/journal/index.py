"""Where in a log to look for a name, a request, an operation or an end: an index that can be thrown away. Blocking.

A file of SQLite beside nothing of the gateway's, with a row for each block of lines; a search goes through all rows. It
holds no names and never an answer: whoever asks reads the lines. But what it does not point at is not found, so
whatever does not add up (a file of the log that was changed, a damaged index) is made anew, or not used at all.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from gateway.journal.blocks import Block, Wanted, blocks_of
from gateway.journal.recovery import segment_numbers, segment_path
from gateway.journal.stretches import STRETCH_BYTES, Stretch

_APPLICATION = 0x53474103  # what SQLite's header says whose file it is; another number for other shapes or terms
_HEADER_BYTES = 100
_SETTLED_NS = 1_000_000_000  # a file touched just now may change once more, and its times would not show it
_IN_THE_WAY = {  # of the index, not its fault
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}

_SHAPE = """
CREATE TABLE segment (number INTEGER PRIMARY KEY, stamp TEXT, size INTEGER, digest INTEGER, checksum INTEGER);
CREATE TABLE block (
    segment INTEGER, start INTEGER, finish INTEGER, earliest TEXT, latest TEXT, terms BLOB, unreadable INTEGER,
    checksum INTEGER, PRIMARY KEY (segment, start)) WITHOUT ROWID;
"""


class IndexUnusable(Exception):
    """The log itself must be read; the text says why."""


class _Damaged(Exception):
    """What stands in it was not put there so."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """A file as far as it is indexed: `digest` is the checksum of its first `size` bytes."""

    number: int
    stamp: str = ""
    size: int = 0
    digest: int = 0

    @property
    def checksum(self) -> int:
        return zlib.crc32(f"{self.number} {self.stamp} {self.size} {self.digest}".encode("ascii", "replace"))


class Index:
    """The index of one log: `refresh` it, then ask. A context, which closes it."""

    def __init__(self, directory: Path, file: Path, *, is_ours: bool, wait_seconds: float = 2.0) -> None:
        """`is_ours`: nobody else puts anything there, so what cannot be read may be thrown away.

        It waits so many seconds for another search that is at the same index.

        Raises:
            IndexUnusable: nothing can be kept there, or another program's file is there.
        """
        self._directory, self._file, self._is_ours = directory, file, is_ours
        self._wait_seconds = wait_seconds
        self._database = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def refresh(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """Take up what came to the log, drop what is gone or was changed; `progress` hears of the log's bytes.

        Raises:
            IndexUnusable: it cannot be.
            OSError: the log cannot be read.
        """
        with self._complaining(), _collector_paused():
            known = self._segments()
            present = segment_numbers(self._directory)
            for number in known.keys() - set(present):
                with self._writing():
                    self._forget(number)
            for number in present:
                with suppress(FileNotFoundError):  # deleted since it was listed
                    self._follow(number, progress)

    def stretches(self, wanted: Wanted) -> list[Stretch]:
        """Where to look, in the log's order.

        Raises:
            IndexUnusable: it is damaged.
        """
        with self._complaining():
            self._database.execute("BEGIN")  # what another search may write meanwhile is not seen
            try:
                return [
                    Stretch(segment_path(self._directory, segment.number), block.start, block.finish)
                    for segment in self._segments().values()
                    for block in self._blocks(segment)
                    if block.may_hold(wanted)
                ]
            finally:
                self._database.rollback()

    def unreadable_lines(self) -> int:
        """How many lines of the log hold no JSON object.

        Raises:
            IndexUnusable: it is damaged.
        """
        with self._complaining():
            found = self._database.execute("SELECT sum(unreadable) FROM block").fetchone()[0]
            return found if isinstance(found, int) else 0

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        """Say what is wrong with it; a damaged one is thrown away, so that the next search makes it anew."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # none: what it read is no text
            if code & 0xFF not in _IN_THE_WAY:
                self._throw_away()
            raise IndexUnusable(f"{self._file}: {error}") from error
        except _Damaged as error:
            self._throw_away()
            raise IndexUnusable(f"{self._file}: {error}") from error

    # The log ------------------------------------------------------------------------------------------

    def _follow(self, number: int, progress: Callable[[int], None]) -> None:
        """Go on along a file from where it was left, if it is the same file still."""
        with segment_path(self._directory, number).open("rb") as file:
            stamp, known = _stamp(file), self._segments().get(number)
            if known and stamp and known.stamp == stamp:
                progress(known.size)
                return
            with self._writing():
                known = self._segments().get(number)  # another search may have been at it
                if known is None or _checksum_of(file, known.size) != known.digest:
                    self._forget(number)
                    known = _Segment(number)
                progress(known.size)
                self._take_up(file, known, stamp, progress)

    def _take_up(self, file: BinaryIO, known: _Segment, stamp: str, progress: Callable[[int], None]) -> None:
        size, digest = known.size, known.digest
        file.seek(size)
        for content in _whole_lines(file):
            rows = [
                (known.number, b.start, b.finish, b.earliest, b.latest, b.terms, b.unreadable, b.checksum)
                for b in blocks_of(content, size)
            ]
            self._database.executemany("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            size, digest = size + len(content), zlib.crc32(content, digest)
            progress(len(content))
        now = _Segment(known.number, stamp, size, digest)
        self._database.execute(
            "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?)",
            (now.number, now.stamp, now.size, now.digest, now.checksum),
        )

    # The database -------------------------------------------------------------------------------------

    def _segments(self) -> dict[int, _Segment]:
        """In their order."""
        found: dict[int, _Segment] = {}
        for *values, checksum in self._database.execute("SELECT * FROM segment ORDER BY number"):
            segment = _Segment(*values)
            if segment.checksum != checksum:
                raise _Damaged("it is damaged")
            found[segment.number] = segment
        return found

    def _blocks(self, segment: _Segment) -> Iterator[Block]:
        """Of one segment, without a gap."""
        due = 0
        rows = self._database.execute(
            "SELECT start, finish, earliest, latest, terms, unreadable, checksum FROM block WHERE segment = ?"
            " ORDER BY start",
            (segment.number,),
        )
        for *values, checksum in rows:
            block = Block(*values)
            if not isinstance(values[4], bytes) or block.start != due or block.checksum != checksum:
                raise _Damaged("it is damaged")
            due = block.finish
            yield block
        if due != segment.size:
            raise _Damaged("a part of it is missing")

    def _forget(self, number: int) -> None:
        self._database.execute("DELETE FROM block WHERE segment = ?", (number,))
        self._database.execute("DELETE FROM segment WHERE number = ?", (number,))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        with self._database:  # commits, or takes back
            yield

    # The file -----------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        try:
            # SECURITY: hashes and times tell of people, so it is nobody else's business; nor is it a link to a file.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(self._file, flags, 0o600), "rb") as file:  # noqa: PTH123 - by its descriptor
                head = file.read(_HEADER_BYTES)
            if head and head[68:72] != struct.pack(">I", _APPLICATION):
                if not self._is_ours:
                    raise IndexUnusable(f"{self._file} is no index of this version, and is left as it is")
                self._unlink()
                return self._opened()
            database = sqlite3.connect(self._file, timeout=self._wait_seconds, isolation_level=None)
            if not head:
                database.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION}; {_SHAPE} COMMIT;")
        except OSError as error:
            raise IndexUnusable(f"{self._file}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise IndexUnusable(f"{self._file}: {error}") from error
        return database

    def _throw_away(self) -> None:
        self._database.close()
        with suppress(OSError):
            self._unlink()

    def _unlink(self) -> None:
        """With what SQLite might take back into a new one."""
        self._file.with_name(f"{self._file.name}-journal").unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Records hold no cycles, and to look for some among millions takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _stamp(file: BinaryIO) -> str:
    """What changes with every change of a file; "" while one might follow that it would not show."""
    told = os.fstat(file.fileno())
    if max(told.st_mtime_ns, told.st_ctime_ns) > time.time_ns() - _SETTLED_NS:
        return ""
    return f"{told.st_dev} {told.st_ino} {told.st_size} {told.st_mtime_ns} {told.st_ctime_ns}"


def _checksum_of(file: BinaryIO, size: int) -> int:
    """Of the first bytes of a file; -1 where it has less."""
    file.seek(0)
    checksum = 0
    while size:
        content = file.read(min(STRETCH_BYTES, size))
        if not content:
            return -1
        checksum, size = zlib.crc32(content, checksum), size - len(content)
    return checksum


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """What follows in a file as far as its last newline, a piece at a time."""
    rest = b""
    while content := file.read(STRETCH_BYTES):
        whole, newline, rest = (rest + content).rpartition(b"\n")
        if newline:
            yield whole + newline
