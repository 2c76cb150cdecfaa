"""Connections are used again, and nothing that one of them ever carried reaches the wrong request. On real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.exchange import Stage
from gateway.refusal import Reason
from gateway.stages.forwarding.connection import UpstreamConnection
from gateway.stages.forwarding.pool import IDLE_SECONDS, LIFE_SECONDS, Origin, Pool
from tests.stages.forwarding.building import (
    BODY,
    OK,
    MiB,
    assert_failed,
    make_operation,
    path_to_script,
)
from tests.upstreams import (
    Conversation,
    ScriptedUpstream,
    answers,
    answers_then_closes,
    http_answer,
    json_answer,
    scripted_upstream,
)
from tests.waiting import until


async def test_one_connection_carries_request_after_request() -> None:
    async with path_to_script(answers(OK)) as (path, upstream):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE") * 3:
            assert (
                await path.forward(make_operation(method, body=b"" if method in ("GET", "DELETE") else BODY))
            ).answer

        assert len(upstream.received) == 1
        assert len(upstream.requests) == 15


async def test_the_measure_of_bytes_is_taken_for_each_answer_anew() -> None:
    large = http_answer(200, {}, b'{"id":"' + b"x" * 60_000 + b'"}')
    async with path_to_script(answers(large), max_answer_bytes=65536) as (path, upstream):
        for _ in range(10):
            assert (await path.forward()).reason is None

        assert len(upstream.received) == 1


async def test_a_connection_given_up_sends_nothing_more() -> None:
    """A close would first flush the rest of a request that nobody waits for, or wait for a TLS farewell."""
    transport = FakeTransport()
    connection = UpstreamConnection(asyncio.get_running_loop(), ends_at=0)
    connection.connection_made(transport)
    connection.abort()

    assert transport.aborted


class FakeTransport(asyncio.Transport):
    aborted = False

    def abort(self) -> None:
        self.aborted = True


ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
STRAY = json_answer({"id": "somebody-else"})


@pytest.mark.parametrize(
    "stray",
    [STRAY, STRAY[:9], STRAY[:40], b"x", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", b"\0"],
    ids=["an answer", "half a status line", "half a head", "a letter", "a 408", "NUL"],
)
@pytest.mark.parametrize("apart", [False, True], ids=["in one piece", "later"])
@pytest.mark.parametrize("split", [False, True], ids=["whole", "body split"])
async def test_bytes_after_an_answer_never_become_the_next_one(stray: bytes, apart: bool, split: bool) -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        if conversation.number > 0:
            await conversation.send(OK)
            await conversation.silence()
            return
        first = OK[-10:] if split else OK
        if split:
            await conversation.send_apart(OK[:-10])
        await (conversation.send_apart(first, stray) if apart else conversation.send(first + stray))
        await conversation.silence()

    async with path_to_script(play) as (path, upstream):
        first = await path.forward()
        if apart:
            await upstream.has_lost(1)
        second = await path.forward(make_operation("DELETE"))

        for delivery in (first, second):
            assert delivery.answer is None or b"somebody-else" not in delivery.answer.body
        assert second.reason is None
        assert [seen.connection for seen in upstream.requests] == [0, 1]


@pytest.mark.parametrize("last", [STRAY, b""], ids=["an answer", "the end"])
async def test_what_waits_in_the_kernel_is_seen_before_a_connection_is_used_again(last: bytes) -> None:
    """Between the two requests the loop has no turn in which it could read."""
    conversations: list[Conversation] = []

    async def play(conversation: Conversation) -> None:
        conversations.append(conversation)
        await answers(OK)(conversation)

    async with path_to_script(play) as (path, upstream):
        await path.forward()
        conversations[0].send_past_the_loop(last)
        second = await path.forward(make_operation("DELETE"))

        assert second.answer is not None
        assert b"somebody-else" not in second.answer.body
        assert [seen.connection for seen in upstream.requests] == [0, 1]


async def test_an_answer_before_the_question_is_not_taken() -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.send(STRAY)
        await conversation.silence()

    async with path_to_script(play, budget=0.2) as (path, _):
        delivery = await path.forward(make_operation("POST"))

    assert_failed(delivery, Reason.UPSTREAM_BROKEN, Stage.NOT_SENT)


async def drops_the_second(conversation: Conversation) -> None:
    """Answers one request, and drops the connection when it has read another."""
    await conversation.request()
    await conversation.send(OK)
    await conversation.request()


async def test_a_read_on_a_reused_connection_that_drops_is_sent_again_over_a_fresh_one() -> None:
    async with path_to_script(drops_the_second) as (path, upstream):
        await path.forward()
        delivery = await path.forward()

        assert delivery.reason is None
        assert [attempt.stage for attempt in delivery.attempts] == [Stage.SENT, Stage.ANSWERED]
        assert [seen.connection for seen in upstream.requests] == [0, 0, 1]


async def test_a_read_is_sent_twice_at_most_however_many_idle_connections_drop() -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.upstream.has_seen(4)
        await conversation.send(OK)
        await conversation.request()

    async with path_to_script(play) as (path, upstream):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(path.forward())
        assert len(path.node.pool) == 4
        await path.forward()

        assert len(upstream.requests) <= 4 + 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
async def test_a_write_on_a_reused_connection_that_drops_is_not_sent_again(method: str) -> None:
    async with path_to_script(drops_the_second) as (path, upstream):
        await path.forward()
        delivery = await path.forward(make_operation(method))

        assert_failed(delivery, Reason.UPSTREAM_BROKEN, Stage.SENT)
        assert [seen.method for seen in upstream.requests] == ["GET", method]


async def test_a_connection_that_the_upstream_closed_is_not_used_again() -> None:
    async with path_to_script(answers_then_closes(OK)) as (path, upstream):
        for _ in range(3):
            assert (await path.forward(make_operation("POST", body=BODY))).reason is None
            await upstream.has_lost(len(upstream.received))

        assert len(upstream.received) == 3


async def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        if conversation.number == 0:
            await conversation.send(OK[:-5])
            await conversation.silence()
        else:
            await conversation.send(OK)
            await conversation.silence()

    async with path_to_script(play) as (path, upstream), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(path.forward())
        await upstream.has_seen(1)
        first.cancel()
        await upstream.has_lost(1)

        assert (await path.forward()).reason is None
        assert [seen.connection for seen in upstream.requests] == [0, 1]


async def test_an_early_answer_ends_the_upload_and_the_connection() -> None:
    """The upstream refuses a large body at its head: the answer counts, the half-sent request is given up."""

    async def play(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(json_answer({"schemas": [ERROR], "status": "413"}, 413))
        await conversation.silence()

    async with path_to_script(play) as (path, upstream):
        delivery = await path.forward(make_operation("POST", body=b'{"a":"' + b"x" * (8 * MiB) + b'"}'))
        await upstream.has_lost(1)

    assert delivery.answer is not None
    assert delivery.answer.status == 413


@asynccontextmanager
async def pool_at(
    upstream: ScriptedUpstream, idle_seconds: float = IDLE_SECONDS, life_seconds: float = LIFE_SECONDS
) -> AsyncIterator[Pool]:
    origin = Origin("127.0.0.1", upstream.port, None)
    pool = Pool(origin, idle_seconds=idle_seconds, life_seconds=life_seconds)
    try:
        yield pool
    finally:
        pool.close()


async def use(pool: Pool) -> UpstreamConnection:
    """Have one request answered, over an idle connection or a new one."""
    connection = pool.take() or await pool.connect(1)
    until = asyncio.get_running_loop().time() + 1
    await connection.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", MiB, until, until)
    return connection


def test_a_connection_is_idle_for_less_time_than_any_common_server_keeps_it() -> None:
    assert IDLE_SECONDS < 20 < LIFE_SECONDS


@pytest.mark.parametrize("limit", ["idle_seconds", "life_seconds"])
async def test_an_aged_connection_is_not_used_again(limit: str) -> None:
    async with scripted_upstream(answers(OK)) as upstream, pool_at(upstream, **{limit: 0.0}) as pool:
        for _ in range(2):
            pool.give_back(await use(pool))
            await asyncio.sleep(0.001)

        assert len(upstream.received) == 2


async def test_what_has_been_idle_too_long_is_closed_without_being_asked_for() -> None:
    async with scripted_upstream(answers(OK)) as upstream, pool_at(upstream, idle_seconds=0.0) as pool:
        pool.give_back(await use(pool))
        await asyncio.sleep(0.001)
        pool.close_stale()
        await upstream.has_lost(1)

        assert len(pool) == 0


async def test_the_connection_used_last_is_used_first() -> None:
    async with scripted_upstream(answers(OK)) as upstream, pool_at(upstream) as pool:
        connections = [await use(pool) for _ in range(3)]
        for connection in connections:
            pool.give_back(connection)

        assert [pool.take() for _ in range(4)] == [*reversed(connections), None]


@pytest.mark.parametrize("last", [STRAY, STRAY[:9], b""], ids=["an answer", "half a status line", "the end"])
async def test_an_idle_connection_that_says_anything_is_forgotten(last: bytes) -> None:
    conversations: list[Conversation] = []

    async def play(conversation: Conversation) -> None:
        conversations.append(conversation)
        await answers(OK)(conversation)

    async with scripted_upstream(play) as upstream, pool_at(upstream) as pool:
        pool.give_back(await use(pool))
        conversations[0].send_past_the_loop(last)
        await until(lambda: not len(pool))

        assert pool.take() is None
        await upstream.has_lost(1)


async def test_a_closed_pool_keeps_nothing_that_is_given_back() -> None:
    async with scripted_upstream(answers(OK)) as upstream, pool_at(upstream) as pool:
        idle, under_way = await use(pool), await use(pool)
        pool.give_back(idle)
        pool.close()
        pool.give_back(under_way)
        await upstream.has_lost(2)

        assert len(pool) == 0


async def test_a_connection_is_never_kept_before_it_was_used() -> None:
    async with scripted_upstream(answers(OK)) as upstream, pool_at(upstream) as pool:
        pool.give_back(await pool.connect(1))
        await upstream.has_lost(1)

        assert len(pool) == 0


async def test_a_connection_attempt_that_is_cancelled_leaves_nothing_behind() -> None:
    async with scripted_upstream(answers(OK)) as upstream, pool_at(upstream) as pool:
        for rounds in range(6):
            async with asyncio.TaskGroup() as tasks:
                connecting = tasks.create_task(pool.connect(1))
                for _ in range(rounds):
                    await asyncio.sleep(0)
                connecting.cancel()
            if not connecting.cancelled():
                connecting.result().abort()
        await until(lambda: upstream.closed == len(upstream.received))

        assert len(pool) == 0
