"""What the audit log costs of CPU: the gateway and one that records nothing, under load at once on one core.

Rounds of a virtual machine differ by more than what is asked for; these two share each of its moods.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median

from tests.bench.load import saturate
from tests.bench.report import verdict
from tests.bench.systems import Bench, started

MOST_US = {"a GET": (0, 45.0), "a PATCH": (100, 90.0)}  # PATCHes in a hundred requests; CPU microseconds
ROUNDS, SECONDS = 9, 3


def shares(shared: Bench) -> Iterator[str]:
    """Lines: the median over rounds, their spread, and the most it may be."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as both:
        systems = [stack.enter_context(started(name, shared)) for name in ("gateway", "unrecorded")]
        for name, (patches, most) in MOST_US.items():
            found = []
            for _ in range(ROUNDS):
                loads = [both.submit(saturate, system, shared.programs, patches, SECONDS) for system in systems]
                recorded, unrecorded = (load.result().cpu_us for load in loads)
                found.append(recorded - unrecorded)
            said = verdict(median(found) <= most)
            spread = f"({min(found):.1f}..{max(found):.1f})"
            yield f"the audit log's CPU in {name:<8} {median(found):6.1f} us {spread}   at most {most:g}   {said}"
