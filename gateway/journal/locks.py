"""One directory belongs to one instance: a lock of the kernel's, gone with the process that held it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_NAME = ".lock"


class DirectoryInUse(Exception):
    """Another process holds the directory; the text names both."""


@contextmanager
def exclusive(directory: Path) -> Iterator[int]:
    """Hold a directory against every other instance; makes it (0750) if there is none. Yields what `is_held` asks for.

    The file stays when the lock goes: a removed one could be locked by two, each with an inode of its own.

    Raises:
        DirectoryInUse: at once, without waiting.
        OSError: the directory cannot be made or written to.
    """
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        _take(lock, directory)
        yield lock
    finally:
        with suppress(OSError):  # it is free all the same, and one of a dead file system must not cost us the next
            os.close(lock)


def is_held(lock: int, directory: Path) -> bool:
    """Whether what `exclusive` yielded still holds the directory of that name: not once it was removed or moved."""
    try:
        there = (directory / LOCK_NAME).lstat()
    except FileNotFoundError:
        return False
    try:
        return os.path.samestat(os.fstat(lock), there)
    except OSError:  # its file system died (EIO, ESTALE, ENOTCONN): it says so for ever, whatever is mounted there now
        return False


def _take(lock: int, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise DirectoryInUse(f"{directory} is in use by process {holder}") from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)
