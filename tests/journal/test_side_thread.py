from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.journal.side_thread import SideThread
from tests.waiting import until


async def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await SideThread("x", 5.0).run(work)


async def test_work_that_hangs_is_waited_for_no_longer_than_the_limit_and_never_at_the_end() -> None:
    side, goes_on, done = SideThread("x", 0.01), threading.Event(), []

    with pytest.raises(OSError, match=r"longer than 0\.01 s"):
        await side.run(lambda: done.append(goes_on.wait(10)))
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "x")
    with pytest.raises(OSError, match=r"longer than 0\.01 s"):
        await side.run(lambda: done.append(False))
    goes_on.set()
    await until(lambda: done)

    assert done == [True]


async def test_one_thing_is_done_after_the_other_though_nobody_waits_for_the_first() -> None:
    side, begun, goes_on, done = SideThread("x", 5.0), threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        goes_on.wait(10)
        done.append(1)

    async with asyncio.TaskGroup() as tasks:
        given_up = tasks.create_task(side.run(first))
        await until(begun.is_set)
        given_up.cancel()
        second = tasks.create_task(side.run(lambda: done.append(2)))
        await asyncio.sleep(0)
        goes_on.set()
        await second

    assert done == [1, 2]
