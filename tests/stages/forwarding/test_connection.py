"""One connection to a node: what is proved of a request that got no answer, and how long anything may take.

The peer is a plain socket: what it does is in the kernel at once, before either event loop has its turn.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding.answers import WireAnswer
from gateway.stages.forwarding.connection import Lost, UpstreamConnection
from gateway.stages.forwarding.pool import Origin, Pool
from tests.stages.forwarding.building import OK, MiB
from tests.upstreams import Conversation, scripted_upstream
from tests.waiting import until

REQUEST = b"GET /Users/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Peer:
    """The other end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    async def hears(self, size: int = 1) -> bytes:
        """What has come, once there is so much."""
        heard = bytearray()
        await until(lambda: len(heard) >= size or self._read(heard))
        return bytes(heard)

    def _read(self, heard: bytearray) -> bool:
        try:
            heard += self.sock.recv(1 << 16)
        except BlockingIOError:
            return False
        return True

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def sees_the_end(self) -> bool:
        """Whether the other side gave the connection up."""

        def ended() -> bool:
            try:
                return not self.sock.recv(1 << 16)
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        await until(ended)
        return True


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[UpstreamConnection, Peer, Pool]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = Pool(Origin("127.0.0.1", server.getsockname()[1], None))
        connection = await pool.connect(1)
        accepted, _ = server.accept()
        with accepted:
            yield connection, Peer(accepted), pool
            connection.abort()
            pool.close()
            await asyncio.sleep(0)


async def ask(
    connection: UpstreamConnection, request: bytes = REQUEST, *, first_byte: float = 1, whole: float = 1
) -> WireAnswer:
    now = asyncio.get_running_loop().time()
    return await connection.ask(request, MiB, now + first_byte, now + whole)


async def lost(connection: UpstreamConnection) -> Lost:
    with pytest.raises(Lost) as found:
        await ask(connection)
    return found.value


async def test_an_answer_leaves_the_connection_fit_for_another_request() -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        assert not connection.was_used
        for _ in range(3):
            asking = tasks.create_task(ask(connection))
            assert await peer.hears() == REQUEST
            peer.sock.send(OK)
            assert (await asking).status == 200
            assert (connection.was_used, connection.may_be_kept, connection.is_fit()) == (True, True, True)


# What is proved of a request without an answer -------------------------------------------------------


async def test_a_peer_that_hung_up_before_it_was_asked_has_read_nothing() -> None:
    async with connected() as (connection, peer, _):
        peer.sock.close()

        assert (await lost(connection)).unsent


async def test_a_peer_that_hung_up_between_two_requests_has_not_read_the_second() -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(connection))
        await peer.hears()
        peer.sock.send(OK)
        await asking
        peer.sock.close()

        assert not connection.is_fit()
        assert (await lost(connection)).unsent
        assert connection.was_used


@pytest.mark.parametrize("turns", [0, 1, 5])
async def test_a_peer_that_says_it_sends_no_more_may_still_read(turns: int) -> None:
    """After a few turns a kernel delays its acknowledgements, so that their absence proves nothing."""
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        for _ in range(turns):
            asking = tasks.create_task(ask(connection))
            await peer.hears()
            peer.sock.send(OK)
            await asking
        peer.sock.shutdown(socket.SHUT_WR)
        error = await lost(connection)

        assert await peer.hears() == REQUEST
        assert not error.unsent


async def test_a_peer_that_has_read_the_request_proves_nothing_by_hanging_up() -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        losing = tasks.create_task(lost(connection))
        assert await peer.hears() == REQUEST
        peer.sock.close()

        assert not (await losing).unsent


async def test_a_peer_whose_kernel_has_the_request_proves_nothing_though_it_was_not_read() -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        losing = tasks.create_task(lost(connection))
        await until(lambda: peer.sock.recv(1, socket.MSG_PEEK) if _is_readable(peer.sock) else b"")
        peer.sock.close()

        assert not (await losing).unsent


def _is_readable(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


async def test_a_reset_proves_nothing() -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        losing = tasks.create_task(lost(connection))
        await peer.hears()
        peer.reset()

        assert not (await losing).unsent


async def test_a_reset_that_came_before_the_loop_saw_it_proves_nothing() -> None:
    async with connected() as (connection, peer, _):
        peer.reset()

        assert not (await lost(connection)).unsent


async def test_a_connection_that_was_given_up_takes_nothing() -> None:
    async with connected() as (connection, peer, _):
        connection.abort()

        assert (await lost(connection)).unsent
        assert await peer.sees_the_end()


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_half_an_answer_is_a_broken_one(ending: str) -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_refusal(connection))
        await peer.hears()
        peer.sock.send(OK[:-3])
        await until(lambda: connection._reader is not None and connection._reader.begun)
        peer.sock.close() if ending == "close" else peer.reset()

        assert await asking is Reason.UPSTREAM_BROKEN


async def _refusal(connection: UpstreamConnection) -> Reason:
    with pytest.raises(Refusal) as refused:
        await ask(connection)
    return refused.value.reason


# How long ---------------------------------------------------------------------------------------------


async def test_a_peer_that_keeps_silent_is_given_up_at_the_first_bytes_deadline() -> None:
    async with connected() as (connection, peer, _):
        with pytest.raises(TimeoutError, match="no answer in time"):
            await ask(connection, first_byte=0.01, whole=9)

        assert not connection.may_be_kept
        assert await peer.sees_the_end()


@pytest.mark.parametrize("piece", [OK[:1], OK[:-1]])
async def test_a_peer_that_has_begun_has_until_the_end_and_no_longer(piece: bytes) -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        began_at = asyncio.get_running_loop().time()
        asking = tasks.create_task(_late(connection, first_byte=0.25, whole=0.3))
        await peer.hears()
        peer.sock.send(piece)

        assert await asking == "no complete answer in time"
        assert asyncio.get_running_loop().time() - began_at >= 0.299
        assert await peer.sees_the_end()


async def test_no_deadline_is_later_than_that_of_the_whole() -> None:
    async with connected() as (connection, _, _):
        assert await _late(connection, first_byte=9, whole=0.01) == "no answer in time"


async def test_the_deadline_of_one_request_is_not_the_next_ones() -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        for whole in (0.25, 5):
            asking = tasks.create_task(ask(connection, whole=whole))
            await peer.hears()
            if whole == 5:
                await asyncio.sleep(0.3)  # until the first one's deadline is over
            peer.sock.send(OK)
            assert (await asking).status == 200


async def _late(connection: UpstreamConnection, *, first_byte: float = 1, whole: float = 1) -> str:
    with pytest.raises(TimeoutError) as late:
        await ask(connection, first_byte=first_byte, whole=whole)
    return str(late.value)


# What belongs to no request ---------------------------------------------------------------------------


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    async with connected() as (connection, peer, _):
        peer.sock.send(OK)
        assert not connection.is_fit()
        await until(lambda: not connection.is_connected)

        assert (await lost(connection)).unsent


async def test_an_answer_that_comes_too_late_is_nobodys() -> None:
    async with connected() as (connection, peer, _):
        await _late(connection, first_byte=0.01)
        await peer.hears()
        assert (await lost(connection)).unsent
        assert await peer.sees_the_end()


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_request_that_is_cancelled_takes_the_connection_with_it(turns: int) -> None:
    async with connected() as (connection, peer, pool), asyncio.TaskGroup() as tasks:
        for _ in range(turns):
            answered = tasks.create_task(ask(connection))
            await peer.hears()
            peer.sock.send(OK)
            await answered
        asking = tasks.create_task(ask(connection))
        await peer.hears()
        asking.cancel()
        await asyncio.wait((asking,))

        assert await peer.sees_the_end()
        pool.give_back(connection)
        assert (connection.may_be_kept, len(pool)) == (False, 0)


@pytest.mark.parametrize("moment", ["begun", "answered"])
async def test_a_request_cancelled_as_its_answer_comes_leaves_no_connection_for_another(moment: str) -> None:
    async with connected() as (connection, peer, pool), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(connection))
        await peer.hears()
        if moment == "begun":
            peer.sock.send(OK[:-1])
            await until(lambda: connection._reader is not None and connection._reader.begun)
        else:
            peer.sock.send(OK)
            await until(lambda: connection._answer is None or connection._answer.done())
        asking.cancel()
        await asyncio.wait((asking,))
        if asking.cancelled():
            pool.give_back(connection)

            assert len(pool) == 0


async def test_an_early_answer_ends_a_request_that_is_still_being_sent() -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        large = b"POST /Users HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n" + b"x" * (32 * MiB)
        asking = tasks.create_task(ask(connection, large))
        await peer.hears()
        peer.sock.send(OK)

        assert (await asking).status == 200
        assert not connection.may_be_kept


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["close", "HTTP/1.0"],
)
async def test_a_connection_that_its_peer_will_close_is_not_kept(answer: bytes) -> None:
    async with connected() as (connection, peer, _), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(connection))
        await peer.hears()
        peer.sock.send(answer)

        assert (await asking).status == 200
        assert not connection.may_be_kept
        assert await peer.sees_the_end()


async def test_an_answer_that_ends_with_its_connection_is_whole_then() -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b'HTTP/1.1 200 OK\r\n\r\n{"a":')
        await conversation.send(b" 1}")

    async with scripted_upstream(play) as upstream:
        pool = Pool(Origin("127.0.0.1", upstream.port, None))
        connection = await pool.connect(1)

        assert (await ask(connection)).body == b'{"a": 1}'
        assert not connection.may_be_kept
