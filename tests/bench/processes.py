"""Processes under measurement: started on one core, watched through /proc, and ended in any case."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SYSTEM_CORE = 0  # what is measured has it for itself
OTHER_CORE = 1  # everything else: load, upstream, this program
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
END_SECONDS = 15


@contextmanager
def running(
    words: Sequence[str], *, core: int, output: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """A process on one core until the block ends, children and all; its number. What it says goes to `output`."""
    with output.open("ab") as file:
        process = subprocess.Popen(
            ("taskset", "--cpu-list", str(core), *words),  # it becomes the program, under the same number
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,  # a Ctrl-C is ours to handle, and what it starts is ended with it
        )
    try:
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, and then insist; the whole session, for a master may leave its workers behind."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    finally:
        with suppress(ProcessLookupError):  # the whole session is gone
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def lives(pid: int) -> bool:
    """Whether a child of ours has not ended yet."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    members = [pid]
    for member in members:  # grows while it is read
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            members += [int(child) for child in children.read_text(encoding="ascii").split()]
    return members


def cpu_seconds(pid: int) -> float:
    """What a process and its descendants have used so far, in user and kernel mode, on every thread."""
    ticks = 0
    for member in family(pid):
        after_name = Path(f"/proc/{member}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])  # utime and stime: proc(5), counted from the state
    return ticks / TICKS_PER_SECOND


def core_seconds(core: int, statistics: str) -> float:
    """What everyone has used of a core so far, by the text of /proc/stat. Pure."""
    _, _, after = statistics.partition(f"cpu{core} ")
    user, nice, system, _, _, irq, softirq = (int(field) for field in after.split()[:7])  # between: idle and iowait
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND


def rss_mib(pid: int) -> float:
    """What a process and its descendants hold in memory now."""
    kib = 0
    for member in family(pid):
        status = Path(f"/proc/{member}/status").read_text(encoding="utf-8")
        kib += int(status.partition("VmRSS:")[2].split()[0])
    return kib / 1024
