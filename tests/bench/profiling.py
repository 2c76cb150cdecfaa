"""Where the gateway's own time goes: GETs at saturation, and a sampler beside (py-spy, from outside the process)."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.bench.load import LoadFailed, saturate
from tests.bench.processes import OTHER_CORE
from tests.bench.systems import Bench, System, started

SAMPLES_PER_SECOND = 500
SHOWN = 40


def profile(shared: Bench, patches: int, seconds: int) -> Iterator[str]:
    """Two lists of functions, as lines: by own time, and by time with all they call."""
    with started("gateway", shared) as system, ThreadPoolExecutor() as threads:
        sampling = threads.submit(_sample, system, shared, seconds)
        load = saturate(system, shared.programs, patches, seconds)
        stacks = parse_stacks(sampling.result())
    total = sum(stacks.values())
    yield f"{load.per_second:.0f} requests a second while {total} samples were taken; {patches} % PATCHes"
    for heading, counts in (("own time", own_time(stacks)), ("with all it calls", whole_time(stacks))):
        yield f"\n{heading}"
        for function, count in counts.most_common(SHOWN):
            yield f"{count / total:7.1%}  {function}"


def _sample(system: System, shared: Bench, seconds: int) -> str:
    """Folded stacks: `outermost;...;innermost count`; native code (uvloop, OpenSSL) counts for its caller."""
    file = shared.directory / "profile.txt"
    words = ("record", "--pid", str(system.pid), "--duration", str(seconds), "--rate", str(SAMPLES_PER_SECOND))
    how = ("--format", "raw", "--function", "--nonblocking", "--output", str(file))
    pinned = ("taskset", "--cpu-list", str(OTHER_CORE), *shared.programs.py_spy, *words, *how)
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise LoadFailed(f"py-spy failed (it needs root, or kernel.yama.ptrace_scope=0): {done.stderr[-1000:]}")
    return file.read_text(encoding="utf-8")


def parse_stacks(folded: str) -> dict[tuple[str, ...], int]:
    """How often each stack was seen. Pure."""
    stacks = {}
    for line in folded.splitlines():
        frames, _, count = line.rpartition(" ")
        stacks[tuple((frames or "(no Python)").split(";"))] = int(count)
    return stacks


def own_time(stacks: Mapping[tuple[str, ...], int]) -> Counter[str]:
    """By the function that was running. Pure."""
    counts: Counter[str] = Counter()
    for frames, count in stacks.items():
        counts[frames[-1]] += count
    return counts


def whole_time(stacks: Mapping[tuple[str, ...], int]) -> Counter[str]:
    """By every function on the stack, once a stack. Pure."""
    counts: Counter[str] = Counter()
    for frames, count in stacks.items():
        for frame in set(frames):
            counts[frame] += count
    return counts
