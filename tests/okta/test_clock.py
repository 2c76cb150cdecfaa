"""The virtual clock."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.okta.clock import Deadlock, now, run_virtually
from tests.worlds import NOW


def test_hours_pass_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(4 * 3600)
        return now()

    started = time.monotonic()
    assert run_virtually(main()) == pytest.approx(NOW + 4 * 3600)
    assert time.monotonic() - started < 60


def test_timers_fire_in_their_order() -> None:
    fired: list[int] = []

    async def fire(after: int) -> None:
        await asyncio.sleep(after)
        fired.append(after)

    async def main() -> None:
        await asyncio.gather(fire(3000), fire(10), fire(86_400 * 3))

    run_virtually(main())
    assert fired == [10, 3000, 86_400 * 3]


def test_a_time_limit_ends_a_wait_for_nothing() -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_virtually(main())


def test_tasks_that_wait_for_each_other_are_told_so() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="no timer is set"):
        run_virtually(main())


def test_the_clock_stands_still_while_a_thread_works() -> None:
    async def main() -> float:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(asyncio.sleep(3600))
            await asyncio.to_thread(time.sleep, 0.02)
            seconds = asyncio.get_running_loop().time()
            waiting.cancel()
        return seconds

    assert run_virtually(main()) == 0
