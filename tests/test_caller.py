"""Patience: a wait on a caller's behalf is over when its time is, or when the caller hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from gateway.caller import patience
from gateway.refusal import Reason, Refusal
from tests.worlds import FakeCaller


def soon(seconds: float = 1) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_whoever_is_done_in_time_notices_nothing() -> None:
    caller = FakeCaller()
    async with patience(caller, soon(), "its turn"):
        await asyncio.sleep(0)
        assert caller.on_gone is not None

    assert caller.on_gone is None


@pytest.mark.parametrize("seconds", [-1, 0, 0.01])
async def test_a_wait_that_takes_too_long_says_for_what_it_was(seconds: float) -> None:
    caller = FakeCaller()
    with pytest.raises(Refusal) as refused:
        async with patience(caller, soon(seconds), "its turn"):
            await asyncio.Future[None]()

    assert refused.value.reason is Reason.QUEUE_TIMEOUT
    assert "its turn" in refused.value.note
    assert caller.on_gone is None


async def test_a_caller_who_hangs_up_ends_the_wait_at_once() -> None:
    caller = FakeCaller()

    async def wait() -> None:
        async with patience(caller, soon(60), "its turn"):
            await asyncio.Future[None]()

    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_reason(wait()))
        await asyncio.sleep(0)
        caller.hang_up()
        assert await waiting is Reason.CLIENT_GONE
    assert caller.on_gone is None


async def _reason(work: Awaitable[None]) -> Reason:
    with pytest.raises(Refusal) as refused:
        await work
    return refused.value.reason


async def test_nothing_is_waited_for_when_the_caller_has_gone_already() -> None:
    entered = False
    with pytest.raises(Refusal) as refused:
        async with patience(FakeCaller(is_gone=True), soon(), "its turn"):
            entered = True

    assert (refused.value.reason, entered) == (Reason.CLIENT_GONE, False)


async def test_a_caller_who_hangs_up_when_the_wait_is_over_disturbs_nobody() -> None:
    caller = FakeCaller()
    async with patience(caller, soon(), "its turn"):
        pass
    caller.hang_up()
    await asyncio.sleep(0)


async def test_a_caller_who_hangs_up_as_the_wait_ends_is_told_apart_from_a_timeout() -> None:
    caller = FakeCaller()
    with pytest.raises(Refusal) as refused:
        async with patience(caller, soon(), "its turn"):
            caller.hang_up()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    assert refused.value.reason is Reason.CLIENT_GONE


async def test_a_timeout_of_the_blocks_own_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with patience(FakeCaller(), soon(), "its turn"):
            raise TimeoutError


@pytest.mark.parametrize("error", [ValueError(), Refusal(Reason.QUEUE_FULL)])
async def test_an_error_of_the_block_passes_and_leaves_nothing_set(error: Exception) -> None:
    caller = FakeCaller()
    with pytest.raises(type(error)) as raised:
        async with patience(caller, soon(), "its turn"):
            raise error

    assert raised.value is error
    assert caller.on_gone is None


async def test_a_wait_that_is_cancelled_is_cancelled() -> None:
    caller = FakeCaller()

    async def wait() -> None:
        async with patience(caller, soon(), "its turn"):
            await asyncio.Future[None]()

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,))

    assert waiting.cancelled()
    assert caller.on_gone is None


async def test_one_wait_after_another_each_has_its_own_end() -> None:
    caller = FakeCaller()
    for what in ("its turn", "a place"):
        async with patience(caller, soon(), what):
            await asyncio.sleep(0)
    with pytest.raises(Refusal, match="client-gone"):
        async with patience(caller, soon(), "a connection"):
            caller.hang_up()
            await asyncio.Future[None]()


async def test_a_caller_who_hangs_up_just_as_the_time_is_over_ends_the_wait_once() -> None:
    caller = FakeCaller()
    loop = asyncio.get_running_loop()
    until = soon(0.01)
    loop.call_at(until, lambda: loop.call_soon(caller.hang_up))  # in the turn in which the limit has fired
    loop.call_at(until, caller.hang_up)

    assert await _reason(_wait_for_nothing(caller, until)) in (Reason.CLIENT_GONE, Reason.QUEUE_TIMEOUT)


async def _wait_for_nothing(caller: FakeCaller, until: float) -> None:
    async with patience(caller, until, "its turn"):
        await asyncio.Future[None]()
