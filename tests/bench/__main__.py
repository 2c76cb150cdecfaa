"""`make bench`: the gateway and its peers in one run, each on the same core; writes build/bench.json."""

from __future__ import annotations

import os
import resource
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from tests.bench.decisions import decisions
from tests.bench.load import LoadFailed, latencies, patch_latencies, percentile, saturate, syncs
from tests.bench.logs import logs
from tests.bench.memory import fail_handshakes, hold_connections
from tests.bench.processes import OTHER_CORE, SYSTEM_CORE
from tests.bench.profiling import profile
from tests.bench.programs import ROOT, ProgramMissing, find_programs, versions
from tests.bench.report import Sample, as_json, disturbances, summarise, table, verdicts
from tests.bench.share import shares
from tests.bench.shipping import shipping
from tests.bench.systems import COMMANDS, Bench, SystemFailed, bench, started

BUILD = ROOT / "build"
OPEN_FILES = 8192
# The prefix of a load's names in bench.json, its CPU's name, and how many of a hundred requests are PATCHes.
LOADS = (("get_", "get_cpu_us", 0), ("patch_", "patch_cpu_us", 100), ("", "cpu_us_per_request", 20))
IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}


class Unsuitable(Exception):
    """This machine or directory cannot be measured on."""


def main(words: list[str] | None = None) -> int:
    """0, even where a target is missed; 1 when something could not be measured."""
    chosen = _options(words)
    if chosen.guard:
        _say(decisions())
        return 0
    if chosen.audit:
        with TemporaryDirectory(prefix="audit-", dir=_built()) as directory:
            _say(logs(Path(directory)))
            _say(shipping(Path(directory)))
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _prepare()
        with bench(BUILD / "bench", find_programs()) as shared:
            if chosen.profile:
                _say(profile(shared, chosen.patches, chosen.seconds))
            else:
                _measure(shared, chosen)
    except (LoadFailed, SystemFailed, ProgramMissing, Unsuitable) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _options(words: list[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", default=",".join(COMMANDS), help="these systems alone (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="each system once a round (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=6, help="of each measurement (default: %(default)s)")
    parser.add_argument("--profile", action="store_true", help="show where the gateway's time goes, measure nothing")
    parser.add_argument("--guard", action="store_true", help="time the guard's decision by itself, and nothing else")
    parser.add_argument("--audit", action="store_true", help="time verify, search and ways out of a large audit log")
    parser.add_argument("--patches", type=int, default=0, help="of a hundred requests of a profile (default: GETs)")
    chosen = parser.parse_args(words)
    chosen.only = chosen.only.split(",")
    if unknown := set(chosen.only) - set(COMMANDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}")
    if chosen.rounds < 1 or chosen.seconds < 1:
        parser.error("a round and a second at least")
    return chosen


def _built() -> Path:
    BUILD.mkdir(exist_ok=True)
    return BUILD


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM, too, must end what was started."""
    raise KeyboardInterrupt


def _prepare() -> None:
    """
    Raises:
        Unsuitable: says what is missing.
    """
    if (kind := file_system(_built(), Path("/proc/self/mounts").read_text(encoding="utf-8"))) in IN_MEMORY:
        raise Unsuitable(f"{BUILD} is on {kind}: an audit log in memory costs nothing, so nothing would be measured")
    if not {SYSTEM_CORE, OTHER_CORE} <= os.sched_getaffinity(0):
        raise Unsuitable("two cores are needed: one for what is measured, one for the load")
    os.sched_setaffinity(0, {OTHER_CORE})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < OPEN_FILES:
        raise Unsuitable(f"{OPEN_FILES} open files are needed, and {most} are allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, most))


def file_system(directory: Path, mounts: str) -> str:
    """The type of file system that a directory lies on; of several mounts on one place the last holds. Pure."""
    fields = [line.split() for line in mounts.splitlines()]
    around = [
        (len(Path(field[1]).parts), place, field[2])
        for place, field in enumerate(fields)
        if directory.is_relative_to(field[1])
    ]
    return max(around)[2]


def _measure(shared: Bench, chosen: Namespace) -> None:
    samples: dict[str, list[Sample]] = {name: [] for name in chosen.only}
    for number in range(chosen.rounds):
        for name in chosen.only:
            sample = _sample(name, shared, chosen.seconds)
            samples[name].append(sample)
            get, patch, p99 = (sample[key] for key in ("get_cpu_us", "patch_cpu_us", "p99_ms"))
            _say([f"round {number + 1}, {name}: GET {get:.1f} us, PATCH {patch:.1f} us, p99 {p99:.2f} ms"])
    results = summarise(samples)
    (BUILD / "bench.json").write_text(as_json(results, versions(shared.programs), datetime.now(UTC)))
    found = [*verdicts(results), "", *disturbances(results)]
    if {"gateway", "unrecorded"} <= set(chosen.only):
        found += shares(shared)
    _say(["", table(results), "", *found, *decisions(), f"written: {BUILD / 'bench.json'}"])


def _sample(name: str, shared: Bench, seconds: int) -> Sample:
    """One round of one system. Each part has a fresh process: memory once freed would hide what is taken later."""
    sample: dict[str, float] = {}
    with started(name, shared) as system:
        held = hold_connections(system)
        sample["rss_mib_before"] = held.before_mib
        sample["rss_mib_1000_connections"] = held.with_mib
        sample["kib_per_connection"] = held.kib_per_connection
    if name == "gateway":
        with started(name, shared) as system:
            sample["rss_mib_after_8000_failed_handshakes"] = fail_handshakes(system)
    with started(name, shared) as system:
        for prefix, cpu, patches in LOADS:
            found = saturate(system, shared.programs, patches, seconds)
            sample[cpu] = found.cpu_us
            sample[f"{prefix}requests_per_second"] = found.per_second
            sample[f"{prefix}busy"] = found.busy
            sample[f"{prefix}core_taken_by_others"] = found.taken
        took = latencies(system, shared.programs, shared.directory, seconds)
        sample |= {"p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99)}
        took = patch_latencies(system, shared.programs, shared.directory, seconds)
        sample["patch_p99_ms"] = percentile(took, 0.99)
        sample["fdatasync_p99_ms"] = percentile(syncs(shared.directory, seconds), 0.99)
    return sample


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - a command line prints


if __name__ == "__main__":
    sys.exit(main())
