"""Places: so many requests at once, and a place given back is a place."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.places import Places


async def test_a_place_is_taken_until_it_is_given_back() -> None:
    places = Places()

    assert await places.take("a", 1)
    assert not await places.take("a", 1)
    assert await places.take("b", 1)
    await places.give_back("a")
    assert await places.take("a", 1)


async def test_a_lower_limit_counts_at_once_and_loses_no_place() -> None:
    places = Places()
    for _ in range(3):
        await places.take("a", 3)

    assert not await places.take("a", 2)
    for _ in range(3):
        await places.give_back("a")
    assert places.taken["a"] == 0


async def rounds(number: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_free_place_is_taken_without_a_wait() -> None:
    places = Places()
    await places.wait("a", 1)

    assert places.taken["a"] == 1


async def test_places_come_in_the_order_in_which_they_were_waited_for() -> None:
    places, order = Places(), list[int]()
    await places.take("a", 1)

    async def wait(number: int) -> None:
        await places.wait("a", 1)
        order.append(number)
        await places.give_back("a")

    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(wait(number))
        await rounds(3)
        assert order == []
        await places.give_back("a")

    assert order == list(range(10))
    assert places.taken["a"] == 0


async def test_nobody_who_only_asks_overtakes_the_one_who_waits() -> None:
    places = Places()
    await places.take("a", 1)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(places.wait("a", 1))
        await rounds(2)
        await places.give_back("a")

        assert not await places.take("a", 1)
        await waiting
    assert places.taken["a"] == 1


async def test_tenants_do_not_wait_for_each_other() -> None:
    places = Places()
    await places.take("a", 1)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(places.wait("a", 1))
        await rounds(2)
        await places.wait("b", 1)
        await places.give_back("b")
        await rounds(2)
        assert not waiting.done()
        await places.give_back("a")


@pytest.mark.parametrize("given_before", [False, True], ids=["while it waits", "when its place has just come"])
async def test_whoever_gives_up_the_wait_leaves_no_trace(given_before: bool) -> None:
    places = Places()
    await places.take("a", 1)
    async with asyncio.TaskGroup() as tasks:
        gives_up, behind = tasks.create_task(places.wait("a", 1)), tasks.create_task(places.wait("a", 1))
        await rounds(2)
        if given_before:
            await places.give_back("a")
        gives_up.cancel()
        await asyncio.wait((gives_up,))
        if not given_before:
            await places.give_back("a")
        await behind

        assert gives_up.cancelled()
    await places.give_back("a")
    assert places.taken["a"] == 0


@given(st.lists(st.tuples(st.sampled_from(["ask", "cancel", "go on"]), st.integers(0, 9)), max_size=40))
def test_whatever_order_things_come_in_no_place_is_lost_or_given_twice(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        places, inside, most = Places(), 0, 0

        async def one() -> None:
            nonlocal inside, most
            await places.wait("a", 2)
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(0)
            finally:
                inside -= 1
                await places.give_back("a")

        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            for step, number in steps:
                match step:
                    case "ask":
                        tasks.append(group.create_task(one()))
                    case "cancel" if tasks:
                        tasks[number % len(tasks)].cancel()
                    case _:
                        await asyncio.sleep(0)
        assert places.taken["a"] == 0
        assert most <= 2

    asyncio.run(play())
