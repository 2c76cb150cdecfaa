"""The few things the journal asks of a disk, so that a test can give it one that fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

Identity: TypeAlias = tuple[int, int]  # device and inode: no other file has them while this one is open


class Disk:
    """Thin over the system calls: every method may raise OSError; descriptors belong to the caller."""

    def create(self, path: Path) -> int:
        """Open a file that must be new (0640) for appending; its name is durable."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            self.sync_directory(path.parent)
        except OSError:
            with suppress(OSError):  # every attempt would leave one more
                path.unlink()
            os.close(descriptor)
            raise
        return descriptor

    def open(self, path: Path) -> int:
        """Open a file that exists for appending; never through a link."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)

    def write(self, descriptor: int, content: bytes) -> int:
        """How many bytes were taken: on a full disk, only some."""
        return os.write(descriptor, content)

    def open_in_place(self, path: Path) -> int:
        """Open a file that exists for overwriting parts of it; never through a link."""
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def write_at(self, descriptor: int, content: bytes, offset: int) -> int:
        """How many bytes were taken; for a descriptor of `open_in_place`."""
        return os.pwrite(descriptor, content, offset)

    def append(self, descriptor: int, content: bytes) -> int:
        """How many bytes were taken, and would survive a power cut: `write` and `sync` in one call.

        Between two, the thread would wait for the interpreter, which the rest of the gateway has.
        """
        return os.pwritev(descriptor, (content,), 0, os.RWF_DSYNC)  # O_APPEND: at the end, whatever the offset

    def sync(self, descriptor: int) -> None:
        """Return only when what was written would survive a power cut."""
        os.fdatasync(descriptor)

    def sync_directory(self, directory: Path) -> None:
        """Return only when the names in it would survive a power cut."""
        sync_directory(directory)

    def settle(self, path: Path) -> None:
        """Return only when all that a file holds would survive a power cut, and is read from the disk again.

        After a sync that failed the kernel takes pages for clean that never got to the disk, and goes on to show them.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fdatasync(descriptor)
            with suppress(OSError):  # not every file system forgets what it is asked to
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """Cut a file back."""
        os.ftruncate(descriptor, size_bytes)

    def identity(self, descriptor: int) -> Identity:
        """Which file this is, by whatever name it goes."""
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino

    def size(self, path: Path, identity: Identity) -> int | None:
        """A file's size; None when the path does not lead to it any more: somebody removed or moved it."""
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return None
        return status.st_size if (status.st_dev, status.st_ino) == identity else None

    def room(self, descriptor: int) -> int:
        """How many bytes of the disk a file has for itself: fewer than its size where it has holes."""
        return os.fstat(descriptor).st_blocks * 512

    def close(self, descriptor: int) -> None:
        """Give a descriptor back."""
        os.close(descriptor)


def sync_directory(directory: Path, sync: Callable[[int], None] = os.fsync) -> None:
    """Return only when the names in it would survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
