"""Connections that cannot be made, end too early or too late, or bring what nobody asked for."""

from __future__ import annotations

import asyncio
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.scenes import SUCCESS, USER, Node, Play, Seen, Talk, not_reached, scene, serve, success
from tests.ports import unused_port
from tests.upstreams import Conversation, json_answer

MALLORY = json_answer({**USER, "id": "666", "userName": "mallory"})


@contextmanager
def void() -> Iterator[str]:
    """The URL of a node that answers no SYN: its host is there, and its queue of connections is full."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("nodes", [1, 2])
async def test_a_refused_connection_sends_everything_elsewhere(nodes: int, tmp_path: Path) -> None:
    plays: tuple[Play | str, ...] = (f"http://127.0.0.1:{unused_port()}", serve)
    async with scene(tmp_path, *plays[:nodes], limits={"budget_seconds": 5}) as it:
        seen = {method: it.seen(reply) for method, reply in (await it.ask_each()).items()}

    assert seen == {method: not_reached(method, nodes) for method in seen}


async def test_with_every_node_refusing_each_is_tried_once_and_nothing_is_sent(tmp_path: Path) -> None:
    urls = [f"http://127.0.0.1:{unused_port()}" for _ in range(2)]
    async with scene(tmp_path, *urls, limits={"budget_seconds": 5}) as it:
        seen = {method: it.seen(reply) for method, reply in (await it.ask_each()).items()}
        out_of_service = it.seen(await it.ask("POST"))

    tried = ((0, "not-sent", None), (1, "not-sent", None))
    assert seen == {method: Seen(429, "upstream-unreachable", "not-executed", tried, (0, 0)) for method in seen}
    assert out_of_service == Seen(429, "upstream-unreachable", "not-executed", (), (0, 0))


async def test_a_node_that_answers_no_syn_is_given_up_in_time_for_another(tmp_path: Path) -> None:
    with void() as url:
        async with (
            scene(tmp_path / "1", url, limits={"budget_seconds": 10}) as alone,
            scene(tmp_path / "2", url, serve, limits={"budget_seconds": 10}) as beside,
        ):
            replies = await asyncio.gather(alone.ask_each(), beside.ask_each())
            seen = [{m: it.seen(r) for m, r in each.items()} for it, each in zip((alone, beside), replies, strict=True)]

    for nodes in (1, 2):
        assert seen[nodes - 1] == {method: not_reached(method, nodes) for method in SUCCESS}


async def test_a_write_that_waits_for_a_connection_leaves_in_time_or_not_at_all(tmp_path: Path) -> None:
    with void() as url:
        async with scene(tmp_path, url, limits={"budget_seconds": 1}) as it:
            reply = await it.ask("POST")
            seen = it.seen(reply)

    assert seen == Seen(429, "queue-timeout", "not-executed", ((0, "not-sent", None),), (0,))


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("ending", [Conversation.reset, lambda _: None], ids=["reset", "closed"])
async def test_a_node_that_hangs_up_at_once_has_not_executed_anything(
    ending: Callable[[Conversation], None], nodes: int, tmp_path: Path
) -> None:
    async def play(talk: Talk) -> None:
        ending(talk.conversation)

    plays: tuple[Play, ...] = (play, serve)
    async with scene(tmp_path, *plays[:nodes], limits={"budget_seconds": 5}) as it:
        seen = {method: it.seen(reply) for method, reply in (await it.ask_each()).items()}

    for method, each in seen.items():
        # Whether the request or the hang-up was first is nobody's to say; what is said of it must fit together.
        stage = each.attempts[0][1]
        assert sum(each.executions) == (nodes == 2 and (stage == "not-sent" or method == "GET"))
        if stage == "not-sent":
            assert each == not_reached(method, nodes)
        elif sum(each.executions):
            assert each.outcome == "executed"
        else:
            assert each == Seen(429, "upstream-broken", "unknown", ((0, "sent", None),), (0,) * nodes)


# Idle connections -----------------------------------------------------------------------------------


def ends_when_idle(ending: Callable[[Conversation], None]) -> tuple[Play, asyncio.Event]:
    """A node whose first connection ends so once the event is set; it serves before and after."""
    ends = asyncio.Event()

    async def play(talk: Talk) -> None:
        request = await talk.execute()
        await talk.send(success(request.method))
        if not ends.is_set():
            await ends.wait()
            ending(talk.conversation)
            await talk.conversation.silence()
        await serve(talk)

    return play, ends


ENDINGS: dict[str, Callable[[Conversation], None]] = {
    "closed": lambda conversation: conversation.send_past_the_loop(b""),
    "reset": Conversation.reset,
    "a late answer": lambda conversation: conversation.send_past_the_loop(MALLORY),
    "half an answer": lambda conversation: conversation.send_past_the_loop(MALLORY[:40]),
    "a lone byte": lambda conversation: conversation.send_past_the_loop(b"\n"),
}


@pytest.mark.parametrize("method", SUCCESS)
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_an_idle_connection_that_ends_or_speaks_costs_the_next_client_nothing(
    ending: Callable[[Conversation], None], method: str, tmp_path: Path
) -> None:
    play, ends = ends_when_idle(ending)
    async with scene(tmp_path, play) as it:
        await it.ask("GET", "/Users/7")
        ends.set()
        reply = await it.ask(method)

        status = SUCCESS[method]
        assert it.seen(reply) == Seen(status, None, "executed", ((0, "answered", status),), (1,))
        assert b"mallory" not in reply.body


async def test_the_late_answer_to_one_client_reaches_no_other(tmp_path: Path) -> None:
    late = asyncio.Event()

    async def play(talk: Talk) -> None:
        request = await talk.execute()
        if request.target.endswith("/666"):
            await late.wait()
            await talk.send(MALLORY)
            await talk.conversation.silence()
        await talk.send(success(request.method))
        await serve(talk)

    async with scene(tmp_path, play, limits={"first_byte_seconds": 0.2}) as it:
        given_up = await it.ask("GET", "/Users/666")
        late.set()
        others = await asyncio.gather(*(it.ask("GET", f"/Users/{number}") for number in range(8)))

        assert it.seen(given_up) == Seen(429, "upstream-timeout", "unknown", ((0, "sent", None),), (1,))
        assert {reply.status for reply in others} == {200}
        assert not any(b"mallory" in reply.body for reply in others)


def closing_server(listening: socket.socket, node: Node, pause: Callable[[], float]) -> None:
    """A node in a thread of its own, which gives its connections up when they have been idle for a moment."""
    while True:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return
        with accepted, suppress(OSError):
            while serve_once(accepted, node) and select.select([accepted], [], [], pause())[0]:
                pass


def serve_once(accepted: socket.socket, node: Node) -> bool:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := accepted.recv(65_536)):
            return False
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    while len(body) < int(lines.get("Content-Length", 0)):
        body += accepted.recv(65_536)
    if "X-Request-Id" in lines:
        node.acts[lines["X-Request-Id"]] += 1
    accepted.sendall(success("POST"))
    return True


async def test_a_connection_that_is_closed_as_a_write_sets_out_never_doubles_it(tmp_path: Path) -> None:
    chance, node = random.Random(7), Node()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        node.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        for _ in range(3):  # one for the probe, two for what overlaps
            threading.Thread(
                target=closing_server, args=(listening, node, lambda: chance.uniform(0.001, 0.012)), daemon=True
            ).start()
        async with scene(tmp_path, node.url) as it:
            it.nodes[:] = [node]
            seen = [it.seen(await it.ask("POST")) for _ in range(100)]
        listening.shutdown(socket.SHUT_RDWR)

    executed = [each for each in seen if each.status == 201]
    assert len(executed) >= 75, "most find a connection that is whole, or make a new one"
    assert all(each.outcome == "executed" and each.executions == (1,) for each in executed)
    # Its bytes came between the node's last look and its close: RST, and nobody can tell whether they were read.
    others = {(each.status, each.outcome, each.executions) for each in seen if each.status != 201}
    assert others <= {(429, "unknown", (0,)), (429, "not-executed", (0,))}


# An answer before the whole request -----------------------------------------------------------------

LARGE = {"max_body_bytes": 32 << 20, "budget_seconds": 10}
PADDING = 12 << 20  # more than the sockets between hold


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("status", [200, 413])
async def test_an_answer_that_does_not_wait_for_the_request_is_passed_on(
    status: int, method: str, tmp_path: Path
) -> None:
    document = USER if status == 200 else {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": "Too much"}

    async def play(talk: Talk) -> None:
        await talk.head()
        await talk.send(json_answer(document, status))
        lost.append(talk.conversation.number)
        await asyncio.Event().wait()  # the connection stays, and nobody reads

    lost: list[int] = []
    async with scene(tmp_path, play, limits=LARGE) as it:
        replies = [await it.ask(method, padding=PADDING) for _ in range(2)]
        outcome = "executed" if status == 200 else "not-executed"
        for reply in replies:
            assert it.seen(reply) == Seen(status, None, outcome, ((0, "answered", status),), (0,))

    assert len(set(lost)) == 2, "the rest of the request is owed on the first connection"


@pytest.mark.parametrize("ending", [Conversation.reset, lambda _: None], ids=["reset", "closed"])
async def test_an_answer_with_a_hang_up_behind_it_is_passed_on_or_called_broken(
    ending: Callable[[Conversation], None], tmp_path: Path
) -> None:
    # The end of a connection with unread bytes is a RST, and that may overtake the answer before it.
    async def play(talk: Talk) -> None:
        await talk.head()
        await talk.send(json_answer({"schemas": [ERROR_SCHEMA], "status": "413", "detail": "Too much"}, 413))
        ending(talk.conversation)

    async with scene(tmp_path, play, limits=LARGE) as it:
        seen = it.seen(await it.ask("PUT", padding=PADDING))

    assert seen in (
        Seen(413, None, "not-executed", ((0, "answered", 413),), (0,)),
        Seen(429, "upstream-broken", "unknown", ((0, "sent", None),), (0,)),
    )


ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"
