"""A queue: in order of arrival, and whoever gives up leaves no trace and loses nothing."""

from __future__ import annotations

import asyncio

import pytest

from gateway.state.queues import Queue


async def rounds(number: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_an_empty_queue_admits_nobody() -> None:
    assert not Queue().admit_next()


async def test_those_who_wait_are_admitted_in_order_of_arrival() -> None:
    queue, order = Queue(), list[int]()

    async def wait(number: int) -> None:
        await queue.wait(lambda: pytest.fail("nobody gave up"))
        order.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(wait(number))
        await rounds(1)
        assert len(queue) == 5
        for left in (4, 3, 2, 1, 0):
            assert queue.admit_next()
            assert len(queue) == left
        assert not queue.admit_next()

    assert order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("chosen_before", [False, True], ids=["while it waits", "when it has just been chosen"])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_whoever_gives_up_leaves_no_trace(place: int, chosen_before: bool) -> None:
    queue, passed_on = Queue(), list[int]()

    def pass_on() -> None:
        passed_on.append(place)
        queue.admit_next()

    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(queue.wait(pass_on)) for _ in range(3)]
        await rounds(1)
        if chosen_before:
            for _ in range(place + 1):
                queue.admit_next()
        waiting[place].cancel()
        await asyncio.wait((waiting[place],))

        assert waiting[place].cancelled()
        assert passed_on == ([place] if chosen_before else [])
        while queue.admit_next():
            pass
        await asyncio.wait(waiting)
        assert [task.cancelled() for task in waiting] == [number == place for number in range(3)]
    assert len(queue) == 0


async def test_one_who_has_given_up_is_passed_over_before_it_could_say_so() -> None:
    queue = Queue()
    async with asyncio.TaskGroup() as tasks:
        gives_up, behind = (tasks.create_task(queue.wait(lambda: None)) for _ in range(2))
        await rounds(1)
        gives_up.cancel()  # and has had no turn of the loop yet

        assert queue.admit_next()
        await behind
        await asyncio.wait((gives_up,))
        assert gives_up.cancelled()
    assert len(queue) == 0
