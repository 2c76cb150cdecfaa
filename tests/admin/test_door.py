"""Whoever reaches an operators' listener cannot hold the gateway's descriptors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme
import uvloop
from aiohttp import web

from gateway.admin.door import Bounds
from gateway.admin.listener import OperatorsListener, text_answer
from gateway.settings.models import HostPort
from tests.server.building import write_pair

ASK = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def _answer(_request: web.Request) -> web.Response:
    return text_answer(200, "ok\n")


@asynccontextmanager
async def listening(bounds: Bounds, tls: ssl.SSLContext | None = None) -> AsyncIterator[OperatorsListener]:
    listener = OperatorsListener("admin.address", HostPort("127.0.0.1", 0), {"/": _answer}, tls=tls, bounds=bounds)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


class Caller:
    """One connection, as a stranger has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, text: bytes) -> None:
        self._writer.write(text)

    async def hears(self) -> bytes:
        """What comes next; nothing when the other side has closed."""
        async with asyncio.timeout(5):
            try:
                return await self._reader.read(65536)
            except ConnectionError:
                return b""


async def call(listener: OperatorsListener, stack: AsyncExitStack) -> Caller:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    stack.callback(writer.close)
    return Caller(reader, writer)


@pytest.fixture
def server_tls(tmp_path: Path) -> ssl.SSLContext:
    write_pair(trustme.CA(), tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "fullchain.pem", tmp_path / "key.pem")
    return context


async def test_connections_beyond_the_cap_are_closed_at_once_and_counted() -> None:
    async with listening(Bounds(max_connections=2)) as listener, AsyncExitStack() as stack:
        held = [await call(listener, stack) for _ in range(2)]

        assert await (await call(listener, stack)).hears() == b""
        assert listener.turned_away == 1
        for one in held:
            one.say(ASK)
            assert (await one.hears()).startswith(b"HTTP/1.1 200")


async def test_a_silent_handshake_has_a_place_too(server_tls: ssl.SSLContext) -> None:
    async with listening(Bounds(max_connections=2), server_tls) as listener, AsyncExitStack() as stack:
        for _ in range(2):
            await call(listener, stack)

        assert await (await call(listener, stack)).hears() == b""


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHo"], ids=["nothing", "half a head"])
@pytest.mark.parametrize("over_tls", [False, True])
async def test_a_place_that_nobody_asks_from_is_free_again_soon(
    said: bytes, over_tls: bool, server_tls: ssl.SSLContext
) -> None:
    bounds = Bounds(max_connections=1, head_seconds=0.02)
    async with listening(bounds, server_tls if over_tls else None) as listener, AsyncExitStack() as stack:
        for _ in range(2):
            caller = await call(listener, stack)
            caller.say(said)
            assert await caller.hears() == b""

        assert listener.turned_away == 0


async def test_whoever_has_asked_in_time_may_ask_again_later() -> None:
    async with listening(Bounds(head_seconds=0.05)) as listener, AsyncExitStack() as stack:
        patient = await call(listener, stack)
        patient.say(ASK)
        assert await patient.hears()
        assert await (await call(listener, stack)).hears() == b""  # the time is over

        patient.say(ASK)
        assert (await patient.hears()).startswith(b"HTTP/1.1 200")


def test_the_loop_of_the_service_closes_the_silent_too() -> None:
    async def play() -> bytes:
        async with listening(Bounds(head_seconds=0.02)) as listener, AsyncExitStack() as stack:
            return await (await call(listener, stack)).hears()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(play()) == b""
