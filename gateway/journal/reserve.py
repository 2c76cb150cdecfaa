"""The reserve: room on the disk for what must not be lost while the log itself cannot be written. Blocking.

A file of a fixed size, written out whole before anything depends on it, so that a full disk still takes what goes
into it. (Where a file system never writes in place, as btrfs and ZFS do, nobody can promise that.) Lines stand at its
beginning and zeros behind them; they are no part of the chain until the log has taken them over.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

from gateway.journal.disk import Disk, Identity

RESERVE_NAME = "reserve"
_NEW_NAME = "reserve.new"
RESERVE_BYTES = 4 << 20
_ZEROS = bytes(64 << 10)


class Reserve:
    """The reserve of one log, whose directory must be locked for us."""

    def __init__(
        self, directory: Path, disk: Disk, size_bytes: int = RESERVE_BYTES, *, name: str = RESERVE_NAME
    ) -> None:
        self.path = directory / name
        self.lines: tuple[bytes, ...] = ()  # what it holds, each with its newline
        self._disk, self._size_bytes = disk, size_bytes
        self._descriptor: int | None = None
        self._identity: Identity = (0, 0)
        self._room_bytes = 0  # that it has of the disk
        self._used_bytes = 0  # by those lines
        self._dirty_bytes = 0  # up to here something else than zeros may stand

    def open(self) -> None:
        """Take over what is there, or make it.

        Raises:
            OSError: it cannot be read, or there is no room for it.
        """
        self.close()
        content = self._read().partition(b"\0")[0]
        self._descriptor = self._disk.open_in_place(self.path)
        self._identity = self._disk.identity(self._descriptor)
        self._used_bytes = content.rfind(b"\n") + 1  # half a line behind that was never acknowledged
        self.lines = tuple(content[: self._used_bytes].splitlines(keepends=True))
        try:
            self._write_out()
        except OSError as error:
            self.close()
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def be_there(self) -> None:
        """Make it anew, with what it held, if somebody removed it, its directory, or what it has of the disk.

        Raises:
            OSError: there is no room for it.
        """
        if self._is_whole():
            return
        held = self.lines
        try:
            self.open()
            self._hold(held)
        except OSError:
            self.close()
            self.lines = held
            raise

    def put(self, lines: Sequence[bytes]) -> int:
        """Keep lines, from the first on for as long as there is room: how many. Those would survive a power cut.

        Raises:
            OSError: none of them is kept; it cannot be written either.
        """
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), str(self.path))
        ends = accumulate(map(len, lines), initial=self._used_bytes)
        fitting = sum(end <= self._size_bytes for end in ends) - 1
        if fitting:
            content = b"".join(lines[:fitting])
            self._overwrite(content)
            self._used_bytes += len(content)
            self.lines += tuple(lines[:fitting])
        return fitting

    def clear(self) -> None:
        """Forget all lines; where they cannot be overwritten, by another file in the place of this one.

        Raises:
            OSError: they may still be there.
        """
        self.lines, self._used_bytes = (), 0
        if not self._dirty_bytes or self._descriptor is None:
            return
        try:
            self._overwrite(b"")
        except OSError:
            self._replace()

    @property
    def used_bytes(self) -> int:
        """What its lines take."""
        return self._used_bytes

    def close(self) -> None:
        """Give the file back. What it held was synced, so nothing that is said now tells of a loss."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # its number is free all the same, and may be a connection's next
                self._disk.close(descriptor)

    def _is_whole(self) -> bool:
        if self._descriptor is None or (self._disk.size(self.path, self._identity) or 0) < self._size_bytes:
            return False
        return self._disk.room(self._descriptor) >= self._room_bytes

    def _hold(self, lines: tuple[bytes, ...]) -> None:
        """These and no others: written over those, for a crash may come between a way out and a way in."""
        content = b"".join(lines)
        self._used_bytes = 0
        self._overwrite(content)
        self.lines, self._used_bytes = lines, len(content)

    def _replace(self) -> None:
        """A sector may be bad for good: what it shows would go on record again at one start after the other."""
        if self._disk.size(self.path, self._identity) is None:  # gone, or another instance's: see `be_there`
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(self.path))
        new = Reserve(self.path.parent, self._disk, self._size_bytes, name=_NEW_NAME)
        try:
            new.path.unlink(missing_ok=True)  # a crash may have left one
            new.open()
            new.path.rename(self.path)
        except OSError:
            with suppress(OSError):
                new.path.unlink(missing_ok=True)
            raise
        finally:
            new.close()
        self.open()
        self._disk.sync_directory(self.path.parent)

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            self._disk.close(self._disk.create(self.path))
            return b""

    def _write_out(self) -> None:
        """Zeros behind the lines, each time: one that was copied here may have holes where blocks must be."""
        assert self._descriptor is not None  # noqa: S101 - only `open` calls
        for offset in range(self._used_bytes, self._size_bytes, len(_ZEROS)):
            self._write_at(_ZEROS[: self._size_bytes - offset], offset)
        self._disk.sync(self._descriptor)
        self._dirty_bytes = self._used_bytes
        # Where zeros are compressed it has less from the beginning; where more is taken than is asked for, that may go.
        self._room_bytes = min(self._disk.room(self._descriptor), self._size_bytes)

    def _overwrite(self, content: bytes) -> None:
        """Put content behind the lines, and zeros over whatever a failure left behind that."""
        assert self._descriptor is not None  # noqa: S101 - only those call who looked
        end = self._used_bytes + len(content)
        behind, self._dirty_bytes = max(0, self._dirty_bytes - end), max(self._dirty_bytes, end)
        self._write_at(content + bytes(behind), self._used_bytes)
        self._disk.sync(self._descriptor)
        self._dirty_bytes = end

    def _write_at(self, content: bytes, offset: int) -> None:
        assert self._descriptor is not None  # noqa: S101 - only those call who looked
        while content:
            taken = self._disk.write_at(self._descriptor, content, offset)
            content, offset = content[taken:], offset + taken
