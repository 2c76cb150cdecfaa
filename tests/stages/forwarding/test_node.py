"""One node: its places, who waits for them, and what one attempt at asking it comes to. On real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.exchange import Stage
from gateway.refusal import Reason
from gateway.stages.forwarding.connection import UpstreamConnection
from gateway.stages.forwarding.node import Asked, Limits, Node
from gateway.stages.forwarding.pool import Connect, Origin, connect_tcp
from tests.ports import unused_port
from tests.stages.forwarding.building import OK, MiB
from tests.upstreams import Conversation, Script, ScriptedUpstream, answers, scripted_upstream
from tests.waiting import until
from tests.worlds import FakeCaller

REQUEST = b"GET /Users/%d HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Gate:
    """An upstream that answers when it is told to, and remembers in which order it was asked."""

    def __init__(self) -> None:
        self.opens = asyncio.Semaphore(0)

    async def play(self, conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await self.opens.acquire()
            await conversation.send(OK)


async def silent_at_first(conversation: Conversation) -> None:
    """Its first connection gets no answer, the others do."""
    await conversation.request()
    if conversation.number == 0:
        await conversation.silence()
    await conversation.send(OK)


@asynccontextmanager
async def node_of(
    script: Script, connections: int = 1, first_byte_seconds: float = 1, connect: Connect = connect_tcp
) -> AsyncIterator[tuple[Node, ScriptedUpstream]]:
    async with scripted_upstream(script) as upstream:
        origin = Origin("127.0.0.1", upstream.port, None)
        node = Node(origin, Limits(connections, MiB, first_byte_seconds), fingerprint=None, connect=connect)
        yield node, upstream
        node.pool.close()


async def ask(node: Node, number: int = 0, caller: FakeCaller | None = None, latest_start: float = 1) -> Asked:
    now = asyncio.get_running_loop().time()
    return await node.ask(REQUEST % number, caller or FakeCaller(), latest_start=now + latest_start, until=now + 2)


async def rounds(number: int = 5) -> None:
    """Let the loop go round so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def has_all_places(node: Node, script_opens: asyncio.Semaphore | None = None) -> bool:
    """Whether as many requests as the node has places can be under way, and no more."""
    if script_opens is not None:
        for _ in range(2 * node.limits.connections):
            script_opens.release()
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask(node)) for _ in range(node.limits.connections)]
    return all(task.result().answer is not None for task in asking)


async def test_an_answer_comes_as_it_is_with_how_long_it_took() -> None:
    async with node_of(answers(OK)) as (node, upstream):
        asked = await ask(node)

    assert asked.answer is not None
    assert asked.answer.status == asked.attempt.status == 200
    assert (asked.attempt.node, asked.attempt.stage) == (f"127.0.0.1:{upstream.port}", Stage.ANSWERED)
    assert 0 < asked.attempt.seconds < 1
    assert (asked.reason, asked.stale) == (None, False)


@pytest.mark.parametrize("places", [1, 3])
async def test_only_so_many_requests_are_with_a_node_and_the_next_ones_wait_in_their_order(places: int) -> None:
    gate = Gate()
    async with node_of(gate.play, places) as (node, upstream):
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(ask(node, number))
                await rounds(1)
            for done in range(10):
                await upstream.has_seen(min(10, places + done))
                await rounds()
                assert len(upstream.requests) - done <= places
                gate.opens.release()

        assert len(upstream.received) <= places
        if places == 1:
            assert [seen.target for seen in upstream.requests] == [f"/Users/{number}" for number in range(10)]
        assert await has_all_places(node, gate.opens)


async def test_nobody_overtakes_the_one_whose_place_has_just_come() -> None:
    gate = Gate()
    async with node_of(gate.play) as (node, upstream), asyncio.TaskGroup() as tasks:
        tasks.create_task(ask(node, 0))
        await upstream.has_seen(1)
        tasks.create_task(ask(node, 1))
        await rounds()
        for _ in range(3):
            gate.opens.release()
        await until(lambda: len(upstream.requests) >= 1)
        tasks.create_task(ask(node, 2))

    assert [seen.target for seen in upstream.requests] == ["/Users/0", "/Users/1", "/Users/2"]


@pytest.mark.parametrize("why", ["late", "gone", "cancelled"])
async def test_a_waiter_that_gives_up_leaves_no_trace(why: str) -> None:
    gate, caller = Gate(), FakeCaller()
    async with node_of(gate.play) as (node, upstream), asyncio.TaskGroup() as tasks:
        tasks.create_task(ask(node, 0))
        await upstream.has_seen(1)
        waiting = tasks.create_task(ask(node, 1, caller, latest_start=0.01 if why == "late" else 1))
        behind = tasks.create_task(ask(node, 2))
        await rounds()
        if why == "gone":
            caller.hang_up()
        elif why == "cancelled":
            waiting.cancel()
        await asyncio.wait((waiting,))
        for _ in range(2):
            gate.opens.release()
        assert (await behind).answer is not None

        if why != "cancelled":
            asked = waiting.result()
            assert asked.reason is (Reason.QUEUE_TIMEOUT if why == "late" else Reason.CLIENT_GONE)
            assert (asked.attempt.stage, asked.answer) == (Stage.NOT_SENT, None)
            assert asked.attempt.note
        assert [seen.target for seen in upstream.requests] == ["/Users/0", "/Users/2"]
        assert caller.on_gone is None
        assert await has_all_places(node, gate.opens)


@pytest.mark.parametrize("ends", ["gone", "cancelled"])
@pytest.mark.parametrize("after", range(8))
async def test_a_waiter_that_gives_up_as_its_place_comes_gives_it_on(ends: str, after: int) -> None:
    gate, caller = Gate(), FakeCaller()
    async with node_of(gate.play) as (node, upstream):
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(ask(node, 0))
            await upstream.has_seen(1)
            waiting = tasks.create_task(ask(node, 1, caller))
            behind = tasks.create_task(ask(node, 2))
            await rounds()
            for _ in range(5):
                gate.opens.release()
            await first
            await rounds(after)
            caller.hang_up() if ends == "gone" else waiting.cancel()
            await asyncio.wait((waiting, behind))

            assert behind.result().answer is not None
        assert await has_all_places(node, gate.opens)
        await until(lambda: len(node.pool) == 1)


async def test_a_request_that_was_sent_runs_to_its_end_though_its_caller_hangs_up() -> None:
    gate, caller = Gate(), FakeCaller()
    async with node_of(gate.play) as (node, upstream), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(node, 0, caller))
        await upstream.has_seen(1)
        caller.hang_up()
        gate.opens.release()

        assert (await asking).answer is not None
        assert len(node.pool) == 1


async def test_a_caller_who_hangs_up_while_a_connection_is_made_is_not_asked_for() -> None:
    caller, connecting = FakeCaller(), asyncio.Event()

    async def connect(_origin: Origin, _make: Callable[[], UpstreamConnection], _seconds: float) -> UpstreamConnection:
        connecting.set()
        return await asyncio.Future[UpstreamConnection]()

    async with node_of(answers(OK), connect=connect) as (node, upstream), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(node, 0, caller))
        await connecting.wait()
        caller.hang_up()
        asked = await asking

        assert (asked.reason, asked.attempt.stage) == (Reason.CLIENT_GONE, Stage.NOT_SENT)
        assert upstream.received == []


async def test_a_caller_who_has_gone_when_the_connection_is_there_is_not_asked_for() -> None:
    caller = FakeCaller()

    async def connect(origin: Origin, make: Callable[[], UpstreamConnection], seconds: float) -> UpstreamConnection:
        connection = await connect_tcp(origin, make, seconds)
        caller.is_gone = True
        return connection

    async with node_of(answers(OK), connect=connect) as (node, upstream):
        asked = await ask(node, 0, caller)
        await upstream.has_lost(1)

        assert (asked.reason, asked.attempt.stage) == (Reason.CLIENT_GONE, Stage.NOT_SENT)
        assert upstream.requests == []
        assert len(node.pool) == 0


async def test_a_node_that_takes_no_connection_was_sent_nothing() -> None:
    async with node_of(answers(OK)) as (node, _):
        nobody = Node(Origin("127.0.0.1", unused_port(), None), node.limits, fingerprint=None)
        asked = await ask(nobody)

    assert (asked.reason, asked.attempt.stage, asked.stale) == (Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT, False)


@pytest.mark.parametrize(
    ("error", "note"),
    [(TimeoutError(), "no connection in time"), (ConnectionRefusedError(111, "x"), "Connection refused")],
)
async def test_whatever_keeps_a_connection_from_being_made_is_unreachable(error: OSError, note: str) -> None:
    async def connect(_origin: Origin, _make: Callable[[], UpstreamConnection], _seconds: float) -> UpstreamConnection:
        raise error

    async with node_of(answers(OK), connect=connect) as (node, _):
        for _ in range(3):  # each gives its place back
            asked = await ask(node)
            assert (asked.reason, asked.attempt.stage) == (Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)
            assert note in asked.attempt.note


async def test_a_name_that_takes_too_long_is_unreachable_and_a_budget_that_is_over_is_not() -> None:
    async def connect(_origin: Origin, _make: Callable[[], UpstreamConnection], _seconds: float) -> UpstreamConnection:
        return await asyncio.Future[UpstreamConnection]()

    async with node_of(answers(OK), connect=connect) as (node, _):
        asked = await ask(node, latest_start=0.01)

    assert (asked.reason, asked.attempt.stage) == (Reason.QUEUE_TIMEOUT, Stage.NOT_SENT)


async def test_a_silent_node_is_given_up_at_its_first_byte_deadline_and_its_place_comes_back() -> None:
    async with node_of(silent_at_first, first_byte_seconds=0.01) as (node, upstream):
        asked = await ask(node)
        await upstream.has_lost(1)

        assert (asked.reason, asked.attempt.stage) == (Reason.UPSTREAM_TIMEOUT, Stage.SENT)
        assert len(node.pool) == 0
        assert await has_all_places(node)


async def test_a_request_that_is_cancelled_gives_its_place_back_and_keeps_no_connection() -> None:
    async with node_of(silent_at_first) as (node, upstream):
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(ask(node))
            await upstream.has_seen(1)
            asking.cancel()
        await upstream.has_lost(1)

        assert len(node.pool) == 0
        assert await has_all_places(node)


async def test_a_connection_that_the_peer_gave_up_unread_is_stale_and_no_fault() -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(OK)

    async with node_of(play) as (node, upstream):
        await ask(node)
        await upstream.has_lost(1)
        again = await ask(node)

    assert again.stale or again.answer is not None
    assert again.reason in (None, Reason.UPSTREAM_UNREACHABLE)


async def test_a_probe_waits_for_no_place_and_keeps_no_connection() -> None:
    gate = Gate()
    async with node_of(gate.play) as (node, upstream), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(node))
        await upstream.has_seen(1)
        probing = tasks.create_task(node.ask_without_a_place(REQUEST % 9, 1))
        await upstream.has_seen(2)
        gate.opens.release()
        gate.opens.release()

        assert (await probing).answer is not None
        assert (await asking).answer is not None
        assert len(node.pool) == 1
        await upstream.has_lost(1)


async def test_a_probe_is_over_in_time() -> None:
    async with node_of(silent_at_first) as (node, upstream):
        asked = await node.ask_without_a_place(REQUEST % 9, 0.01)
        await upstream.has_lost(1)

    assert (asked.answer, asked.reason) == (None, Reason.UPSTREAM_TIMEOUT)
