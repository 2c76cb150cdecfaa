"""A real disk that can be told to fail, as real ones do."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

from gateway.audit.lines import numbered
from gateway.journal.disk import Disk


class FailingDisk(Disk):
    """Writes really; `free_bytes` run out with half a write, and the named operations fail with EIO."""

    def __init__(self) -> None:
        self.free_bytes: int | None = None
        self.failing: set[str] = set()
        self.slow = threading.Event()  # clear: every sync waits for it
        self.slow.set()

    def create(self, path: Path) -> int:
        self._may_fail("create")
        return super().create(path)

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

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._may_fail("truncate")
        super().truncate(descriptor, size_bytes)

    def _may_fail(self, operation: str) -> None:
        if operation in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class CountingDisk(FailingDisk):
    """Counts its syncs."""

    syncs = 0

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        super().sync(descriptor)


LINE = b'{"v":1}\n'  # as short as one can be, before it has its number


def line(sequence: int) -> bytes:
    """A line as it stands in a file: 16 bytes up to number 9."""
    return numbered(LINE, sequence)


def content(directory: Path) -> bytes:
    """What all segments hold, in their order."""
    return b"".join(path.read_bytes() for path in sorted(directory.glob("audit-*.jsonl")))


def sequences(directory: Path) -> list[int]:
    """The numbers of all lines, every one of them whole."""
    found = content(directory)
    assert found.endswith(b"\n") or not found
    return [json.loads(entry)["seq"] for entry in found.splitlines()]
