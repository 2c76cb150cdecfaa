"""How fast a way out of the audit log is: syslog over mutual TLS, to a receiver on the other core.

`python -m tests.bench.shipping DIRECTORY` is that receiver: it makes certificates there, says its port, and reads.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from gateway.journal.cursors import Position
from gateway.journal.recovery import segment_paths
from gateway.sinks import Sink, SyslogOutlet
from tests.bench.logs import write_log
from tests.bench.processes import OTHER_CORE, SYSTEM_CORE
from tests.bench.report import verdict
from tests.sinks.servers import Papers, section_of, serving
from tests.waiting import until

LINES = 100_000
LEAST_PER_SECOND = 2000.0
PATIENCE_SECONDS = 120.0


class _Written:
    """A log that nobody writes to any more."""

    def __init__(self, directory: Path, lines: int) -> None:
        self.directory = directory
        last = segment_paths(directory)[-1]
        self.durable = Position(len(segment_paths(directory)), last.stat().st_size, lines)


def shipping(directory: Path, lines: int = LINES) -> Iterator[str]:
    """Measure: a line for each form that events leave in."""
    log = directory / "shipped"
    write_log(log, lines)
    (directory / "papers").mkdir()
    command = ("taskset", "--cpu-list", str(OTHER_CORE), sys.executable, "-m", "tests.bench.shipping")
    with subprocess.Popen((*command, str(directory / "papers")), stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        os.sched_setaffinity(0, {SYSTEM_CORE})
        try:
            for form in ("json", "ocsf"):
                yield asyncio.run(_ship(directory, log, port, form))
        finally:
            receiver.kill()
            shutil.rmtree(directory / "papers")


async def _ship(directory: Path, log: Path, port: int, form: Literal["json", "ocsf"]) -> str:
    section = section_of(directory / "papers", port, format=form)
    source = _Written(log, sum(path.read_bytes().count(b"\n") for path in segment_paths(log)))
    sink = Sink(SyslogOutlet(section), source, directory / form)
    began, used = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sink.run())
        await until(lambda: sink.counts["sent"] and not sink.lag_lines, PATIENCE_SECONDS)
        took, used = time.perf_counter() - began, time.process_time() - used
        running.cancel()
    per_second = sink.counts["sent"] / took
    kept = verdict(per_second >= LEAST_PER_SECOND)
    cost = f"{used / sink.counts['sent'] * 1e6:.1f} us of CPU each"
    said = f"syslog over TLS, {form}, events a second"
    return f"{said:<42} {per_second:10,.0f}   at least {LEAST_PER_SECOND:,.0f}   {kept} ({cost})"


async def _receive(directory: Path) -> None:
    async with serving(Papers(directory)) as server:
        print(server.port, flush=True)  # noqa: T201 - for whoever started it
        while True:
            await asyncio.sleep(0.1)
            server.received.clear()


if __name__ == "__main__":
    asyncio.run(_receive(Path(sys.argv[1])))
