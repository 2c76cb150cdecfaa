"""`python -m tests.faults.forgetful serve --config F`: a gateway whose disk forgets at a kill what was not synced.

What is written stays in the memory of the process until it is synced, and then goes to the file in two halves; so a
kill, which a real disk's cache survives, leaves what a power cut would. TRACE gets a line for each sync that is over:
`<monotonic nanoseconds> <file> <bytes that are durable>`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.app import run_instance
from gateway.cli.logs import configure_logging
from gateway.cli.serve import loop_factory
from gateway.journal.disk import Identity
from gateway.settings.reading import read_settings
from tests.journal.disks import TwoStepDisk


@dataclass(slots=True)
class Open:
    """A file, and what it does not have yet."""

    path: Path
    unsynced: bytes = b""


class ForgetfulDisk(TwoStepDisk):
    """Appends only; what is overwritten in place is written at once."""

    def __init__(self, trace: Path) -> None:
        self._open: dict[int, Open] = {}
        self._sync_seconds = 0.0  # of the last one
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def create(self, path: Path) -> int:
        return self._remember(super().create(path), path)

    def open(self, path: Path) -> int:
        return self._remember(super().open(path), path)

    def write(self, descriptor: int, content: bytes) -> int:
        self._open[descriptor].unsynced += content
        return len(content)

    def sync(self, descriptor: int) -> None:
        file = self._open.get(descriptor)
        if file is None:
            return super().sync(descriptor)
        half = len(file.unsynced) // 2
        os.write(descriptor, file.unsynced[:half])
        time.sleep(max(0.004, self._sync_seconds))  # so that kills fall here, too, however slow the disk is
        os.write(descriptor, file.unsynced[half:])
        began = time.monotonic()
        super().sync(descriptor)
        self._sync_seconds = time.monotonic() - began
        file.unsynced = b""
        synced = f"{time.monotonic_ns()} {file.path.name} {os.fstat(descriptor).st_size}\n"
        os.write(self._trace, synced.encode("ascii"))
        return None

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        if descriptor in self._open:
            self._open[descriptor].unsynced = b""
        super().truncate(descriptor, size_bytes)

    def size(self, path: Path, identity: Identity) -> int | None:
        found = super().size(path, identity)
        unsynced = sum(len(file.unsynced) for file in self._open.values() if file.path == path)
        return None if found is None else found + unsynced

    def _remember(self, descriptor: int, path: Path) -> int:
        self._open[descriptor] = Open(path)
        return descriptor


async def main(config: Path) -> None:
    settings = read_settings(config)
    audit = settings.audit.model_copy(update={"max_segment_hours": 1 / 3600})  # shorter than any operator may say
    await run_instance(
        settings.model_copy(update={"audit": audit}),
        ready=lambda _: None,
        stop=asyncio.Event(),
        disk=ForgetfulDisk(config.parent / "trace"),
    )


if __name__ == "__main__":
    configure_logging("info")
    logging.getLogger("gateway.access").setLevel(logging.WARNING)  # nobody reads that many lines
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        runner.run(main(Path(sys.argv[-1])))
