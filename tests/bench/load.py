"""Load, and what it shows: CPU time a request at saturation (wrk), latency at a fixed rate (h2load)."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import OTHER_CORE, SYSTEM_CORE, core_seconds, cpu_seconds
from tests.bench.programs import Programs
from tests.bench.systems import PATCH, PATH, TOKEN, System

CONNECTIONS = 32
WARM_UP_SECONDS = 1
RATE = 500  # requests a second, where latency is taken
RATE_CONNECTIONS = 10
_LINE = b"x" * 800 + b"\n"
SCRIPT = Path(__file__).parent / "wrk.lua"


class LoadFailed(Exception):
    """Something was not answered as it should: what was measured is worth nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk says of a run."""

    requests: int
    seconds: float
    bad: int  # statuses from 400 up, broken connections and timeouts


@dataclass(frozen=True, slots=True)
class Saturated:
    """What a system did under as much load as it takes."""

    cpu_us: float  # CPU microseconds a request
    per_second: float
    busy: float  # its share of its core; well below 1, `per_second` is not the most it can do
    taken: float  # what others had of that core, as a share


def saturate(system: System, programs: Programs, patches: int, seconds: int) -> Saturated:
    """Load with `patches` PATCHes in a hundred requests, the rest GETs, on connections kept alive.

    Raises:
        LoadFailed: with the first answer that was not 2xx.
    """
    _wrk(system, programs, patches, WARM_UP_SECONDS)
    began, before, all_before = time.monotonic(), cpu_seconds(system.pid), _core_seconds()
    load = parse_wrk(_wrk(system, programs, patches, seconds))
    used, by_all, lasted = cpu_seconds(system.pid) - before, _core_seconds() - all_before, time.monotonic() - began
    if load.bad or not load.requests:
        told = _wrk(system, programs, patches, seconds, tell=True)
        raise LoadFailed(f"{system.name}: {load.bad} of {load.requests} answers are bad; once more: {told}")
    return Saturated(
        used / load.requests * 1e6, load.requests / load.seconds, used / lasted, max(0.0, by_all - used) / lasted
    )


def _core_seconds() -> float:
    return core_seconds(SYSTEM_CORE, Path("/proc/stat").read_text(encoding="ascii"))


def _wrk(system: System, programs: Programs, patches: int, seconds: int, *, tell: bool = False) -> str:
    environment = os.environ | {"BENCH_PATCHES": str(patches), "BENCH_PATH": PATH, "BENCH_TOKEN": TOKEN}
    if tell:
        environment["BENCH_TELL"] = "1"
    words = (f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT), system.url)
    return _run((*programs.wrk, "-t1", *words), seconds, environment)


def parse_wrk(output: str) -> Load:
    """What wrk.lua wrote at the end. Pure."""
    _, found, rest = output.partition("SUMMARY ")
    if not found:
        raise LoadFailed(f"wrk said nothing of its run: {output[-500:]}")
    summary = json.loads(rest.splitlines()[0])
    bad = summary["bad_statuses"] + summary["broken"] + summary["timeouts"]
    return Load(summary["requests"], summary["microseconds"] / 1e6, bad)


def latencies(system: System, programs: Programs, directory: Path, seconds: int) -> list[float]:
    """Milliseconds that GETs took at RATE requests a second; wrk holds no rate.

    Its connections tick together, so requests come in small bursts: up to RATE_CONNECTIONS at once.

    Raises:
        LoadFailed: when one was not answered 200.
    """
    log = directory / "h2load.log"
    words = (f"-c{RATE_CONNECTIONS}", "--rps", str(RATE // RATE_CONNECTIONS), *_targets(system, range(1, 101)))
    found = _h2load([_h2load_command(programs, log, seconds, words)], [log], seconds)
    return _enough(found, system, seconds)


def patch_latencies(system: System, programs: Programs, directory: Path, seconds: int) -> list[float]:
    """The same for PATCHes. Each connection is a program of its own: those of one ask for the same user at once, and
    would wait for their turn.
    """
    body = directory / "patch.json"
    body.write_text(PATCH)
    logs = [directory / f"h2load-{number}.log" for number in range(RATE_CONNECTIONS)]
    fields = ("-H", ":method: PATCH", "-H", "Content-Type: application/scim+json")
    how = ("-c1", "--rps", str(RATE // RATE_CONNECTIONS), f"--data={body}", *fields)
    commands = [
        _h2load_command(programs, log, seconds, (*how, *_targets(system, range(number * 10, number * 10 + 10))))
        for number, log in enumerate(logs)
    ]
    return _enough(_h2load(commands, logs, seconds), system, seconds)


def _targets(system: System, users: range) -> list[str]:
    return [f"{system.url}{PATH}/Users/{number:06}" for number in users]


def _h2load_command(programs: Programs, log: Path, seconds: int, words: Sequence[str]) -> tuple[str, ...]:
    log.unlink(missing_ok=True)
    fields = ("-H", f"Authorization: Bearer {TOKEN}", "-H", "Accept: application/scim+json")
    how = ("--h1", "-t1", f"--duration={seconds}", "--warm-up-time=1", f"--log-file={log}")
    return (*programs.h2load, *how, *fields, *words)


def _h2load(commands: Sequence[tuple[str, ...]], logs: Sequence[Path], seconds: int) -> list[float]:
    with ThreadPoolExecutor(len(commands)) as threads:
        for run in [threads.submit(_run, command, seconds, os.environ) for command in commands]:
            run.result()
    found = [took for log in logs for took in parse_h2load(log.read_text(encoding="ascii"))]
    for log in logs:
        log.unlink()
    return found


def _enough(found: list[float], system: System, seconds: int) -> list[float]:
    if len(found) < 0.9 * RATE * seconds:
        raise LoadFailed(f"{system.name}: {len(found)} answers in {seconds} s, at {RATE} a second")
    return found


def parse_h2load(log: str) -> list[float]:
    """Milliseconds of each request; lines are start (microseconds since 1970), status, microseconds. Pure.

    Raises:
        LoadFailed: at the first status that is not 200.
    """
    found = []
    for line in log.splitlines():
        _, status, microseconds = line.split("\t")[:3]
        if status != "200":
            raise LoadFailed(f"an answer at a fixed rate has status {status}")
        found.append(int(microseconds) / 1000)
    return found


def syncs(directory: Path, seconds: int) -> list[float]:
    """Milliseconds that this disk takes for an fdatasync after a line of the usual length, at RATE a second.

    One right after the other would take a tenth of it: the disk, and what wakes whoever waits for it, stay awake.
    """
    path, found = directory / "syncs", []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(RATE * seconds):
            os.write(descriptor, _LINE)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            found.append((time.perf_counter() - began) * 1000)
            time.sleep(1 / RATE)
    finally:
        os.close(descriptor)
        path.unlink()
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed (nearest rank). Pure."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _run(words: tuple[str, ...], seconds: int, environment: Mapping[str, str]) -> str:
    """What a load program says; it runs beside the upstream."""
    pinned = ("taskset", "--cpu-list", str(OTHER_CORE), *words)
    done = subprocess.run(pinned, capture_output=True, text=True, env=environment, timeout=seconds + 60, check=False)
    if done.returncode:
        raise LoadFailed(f"{words[0]} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout
