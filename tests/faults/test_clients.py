"""Clients that hang up, dawdle or come all at once: what becomes of their requests, and of everybody else's."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.server.connection import Connection
from tests.faults.scenes import USER, Play, Scene, Seen, Talk, body_of, scene, serve, success
from tests.upstreams import json_answer
from tests.waiting import until
from tests.worlds import PATH, TOKEN

LARGE_ANSWER = json_answer({**USER, "nickName": "x" * (1 << 20)})


@dataclass(frozen=True, slots=True)
class Wire:
    """A client's connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    port: int

    def send(self, method: str, target: str, *, most: int | None = None) -> None:
        """Write a request, or only so many bytes of its body; -1 is of its head."""
        body = body_of(method) or b""
        lines = [f"{method} {PATH}{target} HTTP/1.1", f"Host: localhost:{self.port}", f"Authorization: Bearer {TOKEN}"]
        if body:
            lines += ["Content-Type: application/scim+json", f"Content-Length: {len(body)}"]
        head = "\r\n".join([*lines, "", ""]).encode()
        self.writer.write(head[:40] if most == -1 else head + body[:most])

    def say_goodbye(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def wire_to(it: Scene) -> AsyncIterator[Wire]:
    plain = socket.socket()  # its transport closes it
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", it.house.port))
    reader, writer = await asyncio.open_connection(sock=plain, ssl=it.house.trusting(), server_hostname="localhost")
    try:
        yield Wire(reader, writer, it.house.port)
    finally:
        writer.transport.abort()


def under_way(it: Scene) -> int:
    return it.house.instance.places.taken["jira"]


def nobody_is_there(it: Scene) -> bool:
    """Whether the gateway knows that every client has hung up."""
    connections = it.house.instance.server.connections
    return all(isinstance(one, Connection) and one.gone.done() for one in connections)


def held_until(goes_on: asyncio.Event) -> Play:
    """A node that carries a request out at once and answers it later."""

    async def play(talk: Talk) -> None:
        while True:
            request = await talk.execute()
            await goes_on.wait()
            await talk.send(success(request.method))

    return play


HangUp = Callable[[Wire], None]
both_ways_to_hang_up = pytest.mark.parametrize("hang_up", [Wire.say_goodbye, Wire.reset], ids=["goodbye", "reset"])


@both_ways_to_hang_up
async def test_who_hangs_up_before_the_body_has_come_is_on_record_and_nothing_is_sent(
    hang_up: HangUp, tmp_path: Path
) -> None:
    async with scene(tmp_path, serve) as it:
        async with wire_to(it) as wire:
            wire.send("POST", "/Users", most=7)
            await until(lambda: under_way(it) == 1)
            hang_up(wire)
            await until(it.ends)
        [line] = it.ends()

        assert it.told(line) == Seen(499, "client-gone", "not-executed", (), (0,))
        await until(lambda: under_way(it) == 0)


@both_ways_to_hang_up
async def test_who_hangs_up_while_it_waits_for_its_turn_is_dropped_and_the_turn_goes_on(
    hang_up: HangUp, tmp_path: Path
) -> None:
    goes_on = asyncio.Event()
    async with scene(tmp_path, held_until(goes_on)) as it, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(it.ask("PATCH", "/Users/1"))
        await until(lambda: it.nodes[0].order)
        async with wire_to(it) as wire:
            wire.send("PATCH", "/Users/1")
            await until(lambda: it.house.instance.turns.waiting == 1)
            third = tasks.create_task(it.ask("PUT", "/Users/1"))
            await until(lambda: it.house.instance.turns.waiting == 2)
            hang_up(wire)
            await until(it.ends)
        [dropped] = it.ends()
        goes_on.set()
        replies = [it.seen(await task) for task in (first, third)]

        assert it.told(dropped) == Seen(499, "client-gone", "not-executed", (), (0,))
        assert replies == [Seen(200, None, "executed", ((0, "answered", 200),), (1,))] * 2
        assert it.nodes[0].order == ["PATCH /Users/1", "PUT /Users/1"]


@both_ways_to_hang_up
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_hangs_up_while_it_waits_for_a_connection_is_dropped_and_on_record(
    method: str, hang_up: HangUp, tmp_path: Path
) -> None:
    goes_on = asyncio.Event()
    async with (
        scene(tmp_path, held_until(goes_on), limits={"connections": 1}) as it,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(it.ask("GET", "/Users/1"))
        await until(lambda: it.nodes[0].order)
        async with wire_to(it) as wire:
            wire.send(method, "/Users")
            await until(lambda: under_way(it) == 2)
            hang_up(wire)
            await until(it.ends)
        [dropped] = it.ends()
        goes_on.set()

        assert it.told(dropped) == Seen(499, "client-gone", "not-executed", ((0, "not-sent", None),), (0,))
        assert (await first).status == 200
        assert (await it.ask("GET", "/Users/2")).status == 200


@both_ways_to_hang_up
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 201), ("DELETE", 204)])
async def test_what_was_sent_runs_to_its_end_and_its_outcome_is_on_record_though_the_client_hangs_up(
    method: str, status: int, hang_up: HangUp, tmp_path: Path
) -> None:
    goes_on = asyncio.Event()
    async with scene(tmp_path, held_until(goes_on)) as it:
        async with wire_to(it) as wire:
            wire.send(method, "/Users" if method == "POST" else "/Users/1")
            await until(lambda: it.nodes[0].order)
            hang_up(wire)
            await until(lambda: nobody_is_there(it))
            assert not it.ends()
            goes_on.set()
            await until(it.ends)
        [line] = it.ends()

        assert it.told(line) == Seen(status, None, "executed", ((0, "answered", status),), (1,))
        await until(lambda: under_way(it) == 0)


async def test_who_hangs_up_within_the_answer_leaves_the_record_of_what_was_executed(tmp_path: Path) -> None:
    async def play(talk: Talk) -> None:
        await talk.execute()
        await talk.send(LARGE_ANSWER)
        await serve(talk)

    async with scene(tmp_path, play) as it:
        async with wire_to(it) as wire:
            wire.send("PATCH", "/Users/1")
            await wire.reader.readexactly(1000)
            wire.reset()
            await until(lambda: nobody_is_there(it))
        [line] = it.ends()

        assert it.told(line) == Seen(200, None, "executed", ((0, "answered", 200),), (1,))
        assert (await it.ask("PATCH", "/Users/1")).status == 200


# The only connection is taken -------------------------------------------------------------------------


async def test_requests_wait_for_the_only_connection_in_their_order(tmp_path: Path) -> None:
    goes_on = asyncio.Event()
    targets = [f"/Users/{number}" for number in range(6)]
    async with (
        scene(tmp_path, held_until(goes_on), limits={"connections": 1}) as it,
        asyncio.TaskGroup() as tasks,
    ):
        asked = []
        for number, target in enumerate(targets):
            asked.append(tasks.create_task(it.ask("GET", target)))
            await until(lambda number=number: under_way(it) == number + 1)  # type: ignore[misc]  # bound at once
        await until(lambda: it.nodes[0].order)
        assert it.nodes[0].order == ["GET /Users/0"]
        goes_on.set()
        seen = [it.seen(await each) for each in asked]

    assert it.nodes[0].order == [f"GET {target}" for target in targets]
    assert seen == [Seen(200, None, "executed", ((0, "answered", 200),), (1,))] * 6


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_who_waits_too_long_for_the_only_connection_is_told_to_come_back(method: str, tmp_path: Path) -> None:
    goes_on = asyncio.Event()
    limits = {"connections": 1, "budget_seconds": 1}
    async with scene(tmp_path, held_until(goes_on), limits=limits) as it, asyncio.TaskGroup() as tasks:
        tasks.create_task(it.ask("GET", "/Users/1"))
        await until(lambda: it.nodes[0].order)
        late = it.seen(await it.ask(method))
        goes_on.set()

    if method == "GET":  # it may be sent until its very end, which is a moment after the first one's
        assert late.reason in ("queue-timeout", "upstream-timeout")
        assert late.status == 429
    else:
        assert late == Seen(429, "queue-timeout", "not-executed", ((0, "not-sent", None),), (0,))


async def test_who_waits_too_long_for_its_turn_is_told_to_come_back_and_nothing_is_sent(tmp_path: Path) -> None:
    goes_on = asyncio.Event()
    async with (
        scene(tmp_path, held_until(goes_on), limits={"budget_seconds": 1}) as it,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(it.ask("PATCH", "/Users/1"))
        await until(lambda: it.nodes[0].order)
        late = it.seen(await it.ask("DELETE", "/Users/1"))
        goes_on.set()

    assert late == Seen(429, "queue-timeout", "not-executed", (), (0,))


# A crowd ------------------------------------------------------------------------------------------------


async def crowd(it: Scene, stack: AsyncExitStack) -> None:
    """Clients that dawdle in every way there is, a hundred of them and more."""

    async def dawdle(method: str, target: str, most: int | None) -> None:
        wire = await stack.enter_async_context(wire_to(it))
        wire.send(method, target, most=most)

    for _ in range(50):
        silent = stack.enter_context(socket.socket())
        silent.setblocking(False)
        await asyncio.get_running_loop().sock_connect(silent, ("127.0.0.1", it.house.port))
    for method, target, most, count in (
        ("GET", "/Users/1", -1, 100),  # half a head
        ("POST", "/Users", 7, 100),  # half a body; each takes a place
        ("GET", "/Users/large", None, 100),  # reads nothing of its answer
    ):
        await asyncio.gather(*(dawdle(method, target, most) for _ in range(count)))


async def test_a_crowd_that_dawdles_costs_a_good_client_nothing(tmp_path: Path) -> None:
    async def play(talk: Talk) -> None:
        while True:
            request = await talk.execute()
            await talk.send(LARGE_ANSWER if request.target.endswith("/large") else success(request.method))

    async with scene(tmp_path, play, limits={"burst": 1000, "concurrent": 250}) as it, AsyncExitStack() as stack:
        await crowd(it, stack)
        await until(lambda: it.nodes[0].order.count("GET /Users/large") == 100)
        replies, longest = [], 0.0
        for method in ("GET", "POST", "PATCH", "DELETE") * 5:
            began = time.monotonic()
            replies.append(await it.ask(method))
            longest = max(longest, time.monotonic() - began)

        assert {reply.status // 100 for reply in replies} == {2}
        assert longest < 1
        assert all(sum(it.seen(reply).executions) == 1 for reply in replies)
