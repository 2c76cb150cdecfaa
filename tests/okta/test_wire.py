"""The nodes at the other end of an in-memory connection."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import NoReturn

import pytest

from tests.okta.application import Application
from tests.okta.clock import run_virtually
from tests.okta.outages import Outage, Schedule, State
from tests.okta.wire import virtual_nodes
from tests.worlds import NOW

BODY = json.dumps({"userName": "bo@example.com", "active": True}).encode()
HEAD = f"POST /Users HTTP/1.1\r\nHost: node-1\r\nX-Request-Id: t1.1.1\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
GET = b"GET /Users HTTP/1.1\r\nHost: node-1\r\n\r\n"


@dataclass(slots=True)
class Ear(asyncio.Protocol):
    """A client that keeps what it hears."""

    heard: bytes = b""
    lost: list[Exception | None] = field(default_factory=list)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


def application(*outages: Outage) -> Application:
    return Application(schedule=Schedule(outages))


def after(seconds: float, app: Application, *pieces: bytes, committed_share: float = 0.0) -> Ear:
    """What was heard so long after these pieces were written."""

    async def main() -> Ear:
        async with virtual_nodes(app, committed_share=committed_share) as nodes:
            transport, ear = await nodes.connect(Ear, "node-1")
            for piece in pieces:
                transport.write(piece)
            await asyncio.sleep(seconds)
        return ear

    return run_virtually(main())


def test_a_request_in_pieces_is_answered_when_it_is_whole() -> None:
    app = application()
    ear = after(1, app, HEAD[:20], HEAD[20:], BODY[:3], BODY[3:])

    head, _, body = ear.heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["userName"] == "bo@example.com"
    assert app.executions == {"t1.1.1": 1}


def test_half_a_request_is_never_executed() -> None:
    app = application()

    assert after(60, app, HEAD, BODY[:-1]).heard == b""
    assert not app.executions


def test_a_connection_serves_one_request_after_another() -> None:
    ear = after(1, application(), GET + GET, HEAD + BODY)

    assert ear.heard.count(b"HTTP/1.1 200 OK") == 2
    assert ear.heard.endswith(b"}")
    assert ear.lost == []


def test_requests_on_one_connection_never_overlap() -> None:
    app = application()
    delete = b"DELETE /Users/u0000001 HTTP/1.1\r\n\r\n"
    after(1, app, HEAD + BODY, delete, delete)

    assert [act.status for act in app.acts] == [201, 204, 404]
    assert app.overlaps.total() == 0


def connected(app: Application) -> NoReturn:
    async def main() -> None:
        async with virtual_nodes(app) as nodes, asyncio.timeout(5):
            await nodes.connect(Ear, "node-1")

    run_virtually(main())
    raise AssertionError("the node took the connection")


@pytest.mark.parametrize(("state", "error"), [(State.DOWN, ConnectionRefusedError), (State.DARK, TimeoutError)])
def test_an_unwell_node_takes_no_connection(state: State, error: type[Exception]) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        connected(application(Outage(NOW, NOW + 99, state)))
    assert raised.group_contains(error)


def test_a_node_that_starts_answers_with_a_page_for_people() -> None:
    ear = after(1, application(Outage(NOW, NOW + 99, State.RESTARTING)), GET)

    assert ear.heard.startswith(b"HTTP/1.1 503 ")
    assert b"text/html" in ear.heard


@pytest.mark.parametrize("state", [State.DOWN, State.RESTARTING])
@pytest.mark.parametrize("committed_share", [0.0, 1.0])
def test_a_killed_node_loses_its_connections_and_what_it_did(state: State, committed_share: float) -> None:
    app = application(Outage(NOW + 0.001, NOW + 99, state))
    ear = after(1, app, HEAD, BODY, committed_share=committed_share)

    assert ear.heard == b""
    assert isinstance(ear.lost[0], ConnectionResetError)
    assert len(ear.lost) == 1
    assert len(app.store.users) == app.executions["t1.1.1"] == committed_share


@pytest.mark.parametrize("committed_share", [0.0, 1.0])
def test_what_was_executed_before_the_kill_is_not_executed_again(committed_share: float) -> None:
    app = application(Outage(NOW + 1.4, NOW + 99, State.DOWN))
    app.latency_seconds = 2
    ear = after(5, app, HEAD, BODY, committed_share=committed_share)

    assert ear.heard == b""
    assert app.executions == {"t1.1.1": 1}


def test_a_connection_through_which_bytes_were_lost_stays_silent() -> None:
    app = application(Outage(NOW, NOW + 10, State.DARK))

    async def main() -> Ear:
        app.schedule = Schedule()
        async with virtual_nodes(app) as nodes:
            transport, ear = await nodes.connect(Ear, "node-1")
            app.schedule = Schedule((Outage(NOW, NOW + 10, State.DARK),))
            transport.write(GET)
            await asyncio.sleep(20)
            transport.write(GET)
            await asyncio.sleep(60)
        return ear

    ear = run_virtually(main())
    assert (ear.heard, ear.lost) == (b"", [])


def test_what_was_asked_is_executed_though_the_client_went_away() -> None:
    app = application()

    async def main() -> Ear:
        async with virtual_nodes(app) as nodes:
            transport, ear = await nodes.connect(Ear, "node-1")
            transport.write(HEAD + BODY)
            await asyncio.sleep(0)
            transport.abort()
            await asyncio.sleep(1)
        return ear

    ear = run_virtually(main())
    assert (ear.heard, ear.lost) == (b"", [None])
    assert app.executions == {"t1.1.1": 1}


def test_nothing_is_heard_while_reading_is_paused() -> None:
    async def main() -> tuple[bytes, bytes]:
        async with virtual_nodes(application()) as nodes:
            transport, ear = await nodes.connect(Ear, "node-1")
            transport.pause_reading()
            transport.writelines([GET[:9], GET[9:]])
            await asyncio.sleep(1)
            before = ear.heard
            transport.resume_reading()
            await asyncio.sleep(1)
            return before, ear.heard

    before, heard = run_virtually(main())
    assert before == b""
    assert heard.startswith(b"HTTP/1.1 200 OK")
