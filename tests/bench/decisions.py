"""What the guard's decision costs by itself, in this process: no socket, no disk, no upstream."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median

from gateway.exchange import Client, Delivery, Operation, Request, RequestId, Trail
from gateway.rehearsal.messages import activation
from gateway.scim.access import taken
from gateway.scim.patches import read_patch
from gateway.stages.guarding import Directories, Guarding
from gateway.stages.inspection import inspect, survey
from gateway.state.keeper import Keeper
from gateway.state.ledger import Ledger
from tests.bench.report import verdict
from tests.worlds import PATH, client, request

PEOPLE_IN_THE_WINDOW = 500
ROUNDS, STEPS = 7, 4000
MOST_US = {"a PATCH that deactivates": 15.0, "a PATCH that takes nothing": 15.0, "a GET": 1.0}


class _NoFile(Keeper):
    """Keeps nothing: what the disk costs is measured with the whole gateway."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), time.time, time.monotonic)
        self.ledger = Ledger()

    async def keep(self, *, at_least_the_time: bool = False) -> None:
        if self.ledger is not None:
            self.ledger.take_changes()


def decisions() -> Iterator[str]:
    """Lines: the median over rounds of one decision, and the most it may be."""
    for name, us in asyncio.run(_measure()).items():
        said = verdict(us <= MOST_US[name])
        yield f"the guard's decision on {name:<28} {us:6.2f} us   at most {MOST_US[name]:g}   {said}"


async def _measure() -> dict[str, float]:
    guarding, caller = Guarding(_NoFile(), Directories(time.monotonic)), client("/Users/1", guard=_guard())
    for number in range(PEOPLE_IN_THE_WINDOW):
        operation, asked = _operation(number, active=False)
        await _decide(guarding, operation, Trail(asked, client=caller), caller)
    deactivation, asked = _operation(PEOPLE_IN_THE_WINDOW, active=False)
    activating, asked_too = _operation(1, active=True)
    trail, trail_too = Trail(asked, client=caller), Trail(asked_too, client=caller)
    changes = read_patch(json.loads(_body(active=False)))

    async def deactivate() -> None:
        taken("PATCH", deactivation.address, changes)  # as inspection asks
        await _decide(guarding, deactivation, trail, caller)

    async def activate() -> None:
        taken("PATCH", activating.address, changes)
        await _decide(guarding, activating, trail_too, caller)

    reading = _operation(1, method="GET")[0]

    async def read() -> None:
        if reading.writes:  # all that the pipeline does of it
            await _decide(guarding, reading, trail, caller)

    steps = (deactivate, activate, read)
    return {name: await _timed(step) for name, step in zip(MOST_US, steps, strict=True)}


def _guard() -> dict[str, object]:
    return {"people": 100_000, "directory_size": 1_000_000}


def _body(*, active: bool) -> bytes:
    return json.dumps(activation(active=active)).encode()


def _operation(number: int, *, method: str = "PATCH", active: bool = False) -> tuple[Operation, Request]:
    asked = request(method, f"{PATH}/Users/{number:06}", fields=(("Content-Type", "application/scim+json"),))
    caller = client(f"/Users/{number:06}")
    body = _body(active=active) if method == "PATCH" else b""
    return inspect(survey(asked, caller), body, asked, caller), asked


async def _decide(guarding: Guarding, operation: Operation, trail: Trail, caller: Client) -> None:
    trail.judgement = await guarding.weigh(operation, caller, "jira Users id 1", RequestId("req-1"), _nobody_is_asked)
    guarding.settle(trail)


async def _nobody_is_asked(target: str) -> Delivery:
    raise AssertionError(target)


async def _timed(step: Callable[[], Awaitable[None]]) -> float:
    """Microseconds of CPU a step, the median of the rounds."""
    rounds = []
    gc.collect()
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(STEPS):
            await step()
        rounds.append((time.process_time() - began) / STEPS * 1e6)
    return median(rounds)
