"""Turns: one at a time, in order, and nobody who gave up stands in the way."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.turns import MAX_WAITING, Turns


async def rounds(number: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_turn_is_taken_until_it_is_given_back() -> None:
    turns = Turns()

    assert await turns.take_at_once("a")
    assert not await turns.take_at_once("a")
    assert await turns.take_at_once("b")
    assert (turns.held, turns.waiting) == (2, 0)
    await turns.give_back("a")
    assert await turns.take_at_once("a")
    for key in ("a", "b"):
        await turns.give_back(key)
    assert turns.held == 0


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(), list[int]()
    await turns.take_at_once("a")

    async def wait(number: int) -> None:
        await turns.wait("a")
        order.append(number)
        await turns.give_back("a")

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(wait(number))
        await rounds(3)
        assert turns.waiting == 20
        await turns.give_back("a")

    assert order == list(range(20))
    assert (turns.held, turns.waiting) == (0, 0)


async def test_nobody_overtakes_the_one_whose_turn_has_just_come() -> None:
    turns = Turns()
    await turns.take_at_once("a")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(turns.wait("a"))
        await rounds(2)
        await turns.give_back("a")  # the waiter has not run yet

        assert not await turns.take_at_once("a")
        await waiting
    await turns.give_back("a")
    assert turns.held == 0


async def test_a_queue_is_full_at_its_bound_and_not_before() -> None:
    turns = Turns()
    await turns.take_at_once("a")
    async with asyncio.TaskGroup() as tasks:
        waiting = []
        for _ in range(MAX_WAITING):
            assert not await turns.queue_is_full("a")
            waiting.append(tasks.create_task(turns.wait("a")))
            await rounds(1)
        assert await turns.queue_is_full("a")
        assert not await turns.queue_is_full("b")
        waiting[0].cancel()
        await rounds(2)
        assert not await turns.queue_is_full("a")
        for task in waiting:
            task.cancel()
    await turns.give_back("a")
    assert (turns.held, turns.waiting) == (0, 0)


@pytest.mark.parametrize("given_before", [False, True], ids=["while it waits", "when its turn has just come"])
async def test_whoever_gives_up_the_wait_leaves_no_trace(given_before: bool) -> None:
    turns = Turns()
    await turns.take_at_once("a")
    async with asyncio.TaskGroup() as tasks:
        gives_up, behind = tasks.create_task(turns.wait("a")), tasks.create_task(turns.wait("a"))
        await rounds(2)
        if given_before:
            await turns.give_back("a")
        gives_up.cancel()
        await asyncio.wait((gives_up,))
        if not given_before:
            assert turns.waiting == 1
            await turns.give_back("a")
        await behind

        assert gives_up.cancelled()
    await turns.give_back("a")
    assert (turns.held, turns.waiting) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from(["ask", "cancel", "go on"]), st.integers(0, 9)), max_size=40))
def test_whatever_order_things_come_in_one_has_the_turn_and_none_is_lost(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        turns, inside, most, order = Turns(), 0, 0, list[int]()

        async def one(number: int) -> None:
            nonlocal inside, most
            await turns.wait("a")
            inside += 1
            most = max(most, inside)
            order.append(number)
            try:
                await asyncio.sleep(0)
            finally:
                inside -= 1
                await turns.give_back("a")

        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            for step, number in steps:
                match step:
                    case "ask":
                        tasks.append(group.create_task(one(len(tasks))))
                    case "cancel" if tasks:
                        tasks[number % len(tasks)].cancel()
                    case _:
                        await asyncio.sleep(0)
        assert (turns.held, turns.waiting) == (0, 0)
        assert most <= 1
        assert order == sorted(order)

    asyncio.run(play())
