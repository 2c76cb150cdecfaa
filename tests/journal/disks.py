"""A real disk that can be told to fail, as real ones do."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from gateway.audit.chain import Link, linked
from gateway.journal.disk import Disk, Identity
from gateway.journal.segments import Rotation, Segments


class TwoStepDisk(Disk):
    """Appends by a write and a sync, so that each of them can be made to fail, or counted."""

    def append(self, descriptor: int, content: bytes) -> int:
        written = self.write(descriptor, content)
        self.sync(descriptor)
        return written


class FailingDisk(TwoStepDisk):
    """Writes really; `free_bytes` run out with half a write, and the named operations fail with EIO."""

    def __init__(self) -> None:
        self.free_bytes: int | None = None
        self.failing: set[str] = set()
        self._halves = False
        self.slow = threading.Event()  # clear: every sync waits for it
        self.slow.set()

    def create(self, path: Path) -> int:
        self._may_fail("create")
        return super().create(path)

    def write_at(self, descriptor: int, content: bytes, offset: int) -> int:
        """In place, so that it takes no room; every other call takes only a half."""
        self._may_fail("write_at")
        self._halves = not self._halves
        return super().write_at(descriptor, content[: len(content) // 2 or 1] if self._halves else content, offset)

    def write(self, descriptor: int, content: bytes) -> int:
        self._may_fail("write")
        if self.free_bytes is None:
            return super().write(descriptor, content)
        if self.free_bytes == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(descriptor, content[: self.free_bytes])
        self.free_bytes -= written
        return written

    def sync(self, descriptor: int) -> None:
        self.slow.wait(timeout=10)
        self._may_fail("sync")
        super().sync(descriptor)

    def settle(self, path: Path) -> None:
        self._may_fail("sync")
        super().settle(path)

    def sync_directory(self, directory: Path) -> None:
        self._may_fail("sync_directory")
        super().sync_directory(directory)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._may_fail("truncate")
        super().truncate(descriptor, size_bytes)

    def identity(self, descriptor: int) -> Identity:
        self._may_fail("identity")
        return super().identity(descriptor)

    def close(self, descriptor: int) -> None:
        """As a real one, it is over even if it fails."""
        super().close(descriptor)
        self._may_fail("close")

    def _may_fail(self, operation: str) -> None:
        if operation in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class BadSectorDisk(FailingDisk):
    """One file's beginning cannot be written to any more."""

    bad: Identity | None = None

    def write_at(self, descriptor: int, content: bytes, offset: int) -> int:
        if offset < 4096 and self.bad == super().identity(descriptor):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().write_at(descriptor, content, offset)

    def spoil(self, path: Path) -> None:
        status = path.stat()
        self.bad = status.st_dev, status.st_ino


class LosableDisk(FailingDisk):
    """Loses its volume: what was open then fails for good, as EIO, ESTALE and ENOTCONN do, whatever comes there."""

    def __init__(self) -> None:
        super().__init__()
        self._open: set[int] = set()
        self._lost: set[int] = set()

    def lose_volume(self) -> None:
        self._lost |= self._open

    def create(self, path: Path) -> int:
        return self._remember(super().create(path))

    def open(self, path: Path) -> int:
        return self._remember(super().open(path))

    def open_in_place(self, path: Path) -> int:
        return self._remember(super().open_in_place(path))

    def write(self, descriptor: int, content: bytes) -> int:
        self._may_be_lost(descriptor)
        return super().write(descriptor, content)

    def write_at(self, descriptor: int, content: bytes, offset: int) -> int:
        self._may_be_lost(descriptor)
        return super().write_at(descriptor, content, offset)

    def sync(self, descriptor: int) -> None:
        self._may_be_lost(descriptor)
        super().sync(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._may_be_lost(descriptor)
        super().truncate(descriptor, size_bytes)

    def identity(self, descriptor: int) -> Identity:
        self._may_be_lost(descriptor)
        return super().identity(descriptor)

    def _remember(self, descriptor: int) -> int:
        self._open.add(descriptor)
        self._lost.discard(descriptor)  # the number was free again
        return descriptor

    def _may_be_lost(self, descriptor: int) -> None:
        if descriptor in self._lost:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


class CountingDisk(FailingDisk):
    """Counts its syncs."""

    syncs = 0

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        super().sync(descriptor)


LINE = b'{"v":2}\n'  # as short as one can be, before it has its number


def line(sequence: int) -> bytes:
    """A line as it stood in a file before there was a chain: 16 bytes up to number 9."""
    return b'{"seq":%d,"v":1}\n' % sequence


def chained(lines: int, link: Link | None = None) -> tuple[bytes, Link]:
    """So many lines as they stand in a file, without a header, and the link after them."""
    return linked(link or Link(), [LINE] * lines)


LINE_BYTES = len(chained(1)[0])  # up to number 9


def open_segments(
    directory: Path,
    disk: Disk | None = None,
    *,
    max_segment_bytes: int = 1 << 20,
    max_seconds: float = 86_400.0,
    now: Callable[[], float] = lambda: 1_800_000_000.0,
) -> Segments:
    """The segments of an instance called gw-1."""
    rotation = Rotation(max_segment_bytes, max_seconds)
    return Segments(directory, rotation=rotation, disk=disk or FailingDisk(), instance="gw-1", now=now)


class ForgetfulDisk(TwoStepDisk):
    """Keeps of each file, when the power goes, only what was synced and a part of what came after."""

    def __init__(self) -> None:
        self.dying = False  # syncs do not get to their end any more
        self._paths: dict[int, Path] = {}
        self._synced: dict[Path, int] = {}

    def create(self, path: Path) -> int:
        return self._remember(super().create(path), path)

    def open(self, path: Path) -> int:
        return self._remember(super().open(path), path)

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        if self.dying or descriptor not in self._paths:  # what is overwritten in place counts as written at once
            return
        self._synced[self._paths[descriptor]] = os.fstat(descriptor).st_size

    def settle(self, path: Path) -> None:
        """What no sync gets to the disk is in the kernel's memory alone, which forgets it."""
        super().settle(path)
        size = path.stat().st_size
        synced = self._synced.get(path, size)
        if self.dying:
            os.truncate(path, min(synced, size))
        else:
            self._synced[path] = size

    def lose_power(self, keep: Callable[[int], int]) -> None:
        """`keep` says of so many unsynced bytes how many are left."""
        for path, synced in self._synced.items():
            unsynced = path.stat().st_size - synced
            os.truncate(path, synced + (keep(unsynced) if unsynced > 0 else min(unsynced, 0)))

    def _remember(self, descriptor: int, path: Path) -> int:
        self._paths[descriptor] = path
        self._synced.setdefault(path, os.fstat(descriptor).st_size)
        return descriptor


class SickDisk(FailingDisk, ForgetfulDisk):
    """Fails as it is told, and the power may go."""

    def __init__(self) -> None:
        FailingDisk.__init__(self)
        ForgetfulDisk.__init__(self)


def content(directory: Path) -> bytes:
    """What all segments hold, in their order."""
    return b"".join(path.read_bytes() for path in sorted(directory.glob("audit-*.jsonl")))


def sequences(directory: Path) -> list[int]:
    """The numbers of all lines, every one of them whole."""
    found = content(directory)
    assert found.endswith(b"\n") or not found
    return [json.loads(entry)["seq"] for entry in found.splitlines()]


def marks(directory: Path) -> list[int]:
    """The numbers of all lines that are no segment's header."""
    return [json.loads(entry)["seq"] for entry in content(directory).splitlines() if b'"event":"segment"' not in entry]
