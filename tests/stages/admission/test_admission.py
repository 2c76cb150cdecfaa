"""Admission: who has a place and whose turn it is, and that every place and every turn comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.exchange import Client, Operation
from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import read_address
from gateway.stages.admission import Admission, Ticket, turn_key
from gateway.state.places import Places
from gateway.state.rates import Rates
from gateway.state.turns import MAX_WAITING, Turns
from tests.worlds import FakeCaller, client


class Door:
    """An admission and the state behind it."""

    def __init__(self, **limits: Any) -> None:
        self.places, self.turns = Places(), Turns()
        self.admission = Admission(Rates(), self.places, self.turns, lambda: 1000.0)
        self.client = client(limits=limits)

    async def admit(self) -> Ticket:
        return await self.admission.admit(self.client)

    async def take_turn(self, ticket: Ticket, operation: Operation, caller: FakeCaller | None = None) -> None:
        await self.admission.take_turn(ticket, operation, self.client, caller or FakeCaller())

    async def leave(self, ticket: Ticket) -> None:
        await self.admission.leave(ticket)

    @property
    def is_empty(self) -> bool:
        return (self.places.taken["jira"], self.turns.held, self.turns.waiting) == (0, 0, 0)


def write(path: str = "/Users/1", method: str = "PATCH", name: str | None = None) -> Operation:
    return Operation("user.write", method, read_address(path, ()), None, b"{}", (), resource_name=name, writes=True)


READ = Operation("user.get", "GET", read_address("/Users/1", ()), None, b"", ())


async def settled() -> None:
    """Until every task that can go on without us has."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_rate_is_refused_with_whole_seconds_and_takes_no_place() -> None:
    door = Door(requests_per_second=0.5, burst=1)
    await door.leave(await door.admit())
    with pytest.raises(Refusal) as refused:
        await door.admit()

    assert refused.value.reason is Reason.RATE_EXCEEDED
    assert refused.value.retry_after_seconds == 2
    assert door.is_empty


async def test_only_so_many_are_under_way_at_once_and_the_refused_one_costs_no_rate() -> None:
    door = Door(concurrent=1, burst=2, requests_per_second=0.001)
    first = await door.admit()
    with pytest.raises(Refusal) as refused:
        await door.admit()
    await door.leave(first)
    await door.leave(await door.admit())

    assert refused.value.reason is Reason.NO_PLACE


async def test_a_ticket_gives_back_what_it_holds_once_and_no_more() -> None:
    door = Door(concurrent=2)
    first, second = await door.admit(), await door.admit()
    await door.take_turn(first, write())
    for _ in range(3):
        await door.leave(first)

    assert (door.places.taken["jira"], door.turns.held) == (1, 0)
    await door.leave(second)
    assert door.is_empty


@pytest.mark.parametrize("operation", [READ, write("/Users", "POST")], ids=["a read", "a create without a name"])
async def test_what_can_overtake_nothing_takes_no_turn(operation: Operation) -> None:
    door = Door()
    ticket = await door.admit()
    await door.take_turn(ticket, operation)

    assert (ticket.turn, ticket.has_place, door.turns.held) == (None, True, 0)


async def test_a_write_waits_for_the_earlier_one_and_others_do_not() -> None:
    door = Door()
    first, second, other = [await door.admit() for _ in range(3)]
    await door.take_turn(first, write())
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(door.take_turn(second, write()))
        await door.take_turn(other, write("/Users/2"))
        await settled()
        assert not waiting.done()
        await door.leave(first)
        await waiting

    assert second.turn is not None
    assert second.has_place
    await door.leave(second)
    await door.leave(other)
    assert door.is_empty


async def test_whoever_waits_for_its_turn_waits_outside_the_places() -> None:
    door = Door(concurrent=2)
    first, second = await door.admit(), await door.admit()
    await door.take_turn(first, write())
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(door.take_turn(second, write()))
        await settled()
        assert (door.places.taken["jira"], second.has_place) == (1, False)
        read = await door.admit()  # a resource that is slow to write keeps nobody from reading
        await door.leave(first)
        await waiting

        assert (door.places.taken["jira"], second.has_place) == (2, True)
        await door.leave(read)
    await door.leave(second)
    assert door.is_empty


async def test_a_turn_that_comes_without_a_place_waits_for_that_too_and_comes_before_newcomers() -> None:
    door = Door(concurrent=2)
    first, second = await door.admit(), await door.admit()
    await door.take_turn(first, write())
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(door.take_turn(second, write()))
        await settled()
        third = await door.admit()
        await door.leave(first)
        fourth = await door.admit()  # quicker than the one whose turn it is now
        await settled()
        assert (second.turn is not None, second.has_place) == (True, False)
        await door.leave(third)
        with pytest.raises(Refusal, match="no-place"):
            await door.admit()
        await waiting

    assert second.has_place
    await door.leave(second)
    await door.leave(fourth)
    assert door.is_empty


async def test_writes_to_one_resource_come_in_the_order_in_which_they_asked() -> None:
    door, order = Door(concurrent=3), list[int]()

    async def one(number: int) -> None:
        ticket = await door.admit()
        await door.take_turn(ticket, write())
        order.append(number)
        await asyncio.sleep(0)
        await door.leave(ticket)

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(one(number))
            await asyncio.sleep(0)

    assert order == list(range(20))
    assert door.is_empty


async def test_a_queue_that_is_too_long_is_refused_at_once() -> None:
    door = Door(concurrent=10)
    first = await door.admit()
    await door.take_turn(first, write())
    tickets = []
    async with asyncio.TaskGroup() as tasks:
        waiting = []
        for _ in range(MAX_WAITING):
            tickets.append(await door.admit())
            waiting.append(tasks.create_task(door.take_turn(tickets[-1], write())))
            await asyncio.sleep(0)
        one_more = await door.admit()
        with pytest.raises(Refusal) as refused:
            await door.take_turn(one_more, write())
        await door.leave(one_more)
        for task in waiting:
            task.cancel()
    for ticket in (first, *tickets):
        await door.leave(ticket)

    assert refused.value.reason is Reason.QUEUE_FULL
    assert door.is_empty


async def test_a_write_waits_no_longer_than_it_has_time_to_be_carried_out() -> None:
    door = Door(budget_seconds=10)  # of which a write needs 4
    first, second = await door.admit(), await door.admit()
    await door.take_turn(first, write())
    caller = FakeCaller(asyncio.get_running_loop().time() - 6)
    with pytest.raises(Refusal) as refused:
        await door.take_turn(second, write(), caller)
    for ticket in (second, first):
        await door.leave(ticket)

    assert refused.value.reason is Reason.QUEUE_TIMEOUT
    assert door.is_empty


@pytest.mark.parametrize("waits_for", ["its turn", "a place"])
async def test_a_caller_who_hangs_up_while_it_waits_leaves_no_trace(waits_for: str) -> None:
    door, caller = Door(concurrent=2), FakeCaller()
    first, second = await door.admit(), await door.admit()
    await door.take_turn(first, write())
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_refusal(door.take_turn(second, write(), caller)))
        await settled()
        others = [await door.admit()]
        if waits_for == "a place":
            await door.leave(first)
            others.append(await door.admit())
            await settled()
        caller.hang_up()
        assert await waiting is Reason.CLIENT_GONE
    for ticket in (second, first, *others):
        await door.leave(ticket)

    assert door.is_empty
    assert caller.on_gone is None


async def _refusal(work: Any) -> Reason:
    with pytest.raises(Refusal) as refused:
        await work
    return refused.value.reason


@pytest.mark.parametrize("rounds_before", range(6))
@pytest.mark.parametrize("rounds_after", range(6))
@pytest.mark.parametrize("crowded", [False, True])
async def test_a_write_that_is_cancelled_at_any_moment_leaves_no_trace(
    rounds_before: int, rounds_after: int, crowded: bool
) -> None:
    door = Door(concurrent=3)
    first, second, third = [await door.admit() for _ in range(3)]
    await door.take_turn(first, write())
    async with asyncio.TaskGroup() as tasks:
        cancelled = tasks.create_task(door.take_turn(second, write()))
        behind = tasks.create_task(door.take_turn(third, write()))
        for _ in range(rounds_before):
            await asyncio.sleep(0)
        others = [await door.admit() for _ in range(3 - door.places.taken["jira"])] if crowded else []
        await door.leave(first)
        for _ in range(rounds_after):
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait((cancelled,))
        for ticket in (second, *others):
            await door.leave(ticket)
        await behind
    await door.leave(third)

    assert door.is_empty


A = ("/Users/Abc", "PATCH", None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (A, ("/Users/Abc", "DELETE", None), True),
        (A, ("/Users/abc", "PUT", None), True),
        (A, ("/Users/%41bc", "PUT", None), True),
        (A, ("/Users/%61%62%63", "PUT", None), True),
        (A, ("/Users/Abcd", "PUT", None), False),
        (A, ("/Groups/Abc", "PUT", None), False),
        (A, ("/Users", "POST", "Abc"), False),
        (("/Users", "POST", "Ada@Example.com"), ("/Users", "POST", "ada@example.COM"), True),
        (("/Users", "POST", "stra\u00dfe"), ("/Users", "POST", "STRASSE"), True),
        (("/Users", "POST", "ada"), ("/Users", "POST", "bob"), False),
        (("/Users", "POST", "ada"), ("/Groups", "POST", "ada"), False),
        (("/Me", "PATCH", None), ("/Me", "PUT", None), True),
    ],
)
def test_two_spellings_of_a_resource_share_a_turn(
    one: tuple[str, str, str | None], other: tuple[str, str, str | None], same: bool
) -> None:
    assert (turn_key(write(*one), client()) == turn_key(write(*other), client())) is same


@pytest.mark.parametrize("path", ["/Users/1", "/Me"])
def test_tenants_share_no_turn(path: str) -> None:
    ours = client()
    theirs = Client("wiki", ours.tenant, ours.credential, ours.path, None)

    assert turn_key(write(path), ours) != turn_key(write(path), theirs)


def test_no_id_looks_like_a_name_or_another_endpoint() -> None:
    """The parts of a key are told apart whatever they hold."""
    keys = {
        turn_key(write(path, "POST" if name else "PATCH", name), client())
        for path, name in (("/Users", "id 1"), ("/Users/name%20x", None), ("/Users", "x"), ("/Users/id%20name", None))
    }

    assert len(keys) == 4
