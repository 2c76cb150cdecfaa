"""The HTTP server over all connections: who is connected, which pipeline serves, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import aiohttp.http_parser
from aiohttp.web import BaseRequest, Server, StreamResponse

from gateway.server.connection import Connection
from gateway.settings.models import ListenSection

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline

_C_PARSER = "aiohttp._http_parser"
_CONCLUDE_SECONDS = 5.0  # for the records of requests that a stop cuts off


def assert_c_parser() -> None:
    """Refuse to serve with aiohttp's pure-Python parser, which has had most of its request-smuggling faults.

    Raises:
        RuntimeError: the text says what to do.
    """
    module = aiohttp.http_parser.HttpRequestParser.__module__
    if module != _C_PARSER:
        msg = (
            "aiohttp runs on its pure-Python HTTP parser, which must not face the internet: "
            "install aiohttp with its C extensions and unset AIOHTTP_NO_EXTENSIONS"
        )
        raise RuntimeError(msg)


class HttpServer(Server):
    """aiohttp's low-level server with connections of our own. To be made inside the running loop."""

    def __init__(self, listen: ListenSection, pipeline: Callable[[], Pipeline]) -> None:
        super().__init__(_answer, handler_cancellation=False)
        assert_c_parser()
        self.listen = listen  # swapped by a reload; each connection keeps its limits, and takes new deadlines
        self.pipeline = pipeline  # the present one
        self.draining = False

    def __call__(self) -> Connection:
        return Connection(self, asyncio.get_running_loop())

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    async def drain(self, within_seconds: float) -> None:
        """Let requests under way end, each with the last answer of its connection; then cut off the rest.

        Returns when the last one is on record: what was cut off has a few seconds for that, and no more.
        """
        self.draining = True
        connections = [connection for connection in self.connections if isinstance(connection, Connection)]
        for connection in connections:
            connection.hang_up_when_idle()
        await _end_of(connections, within_seconds)
        for connection in connections:
            connection.cut_off()
        await _end_of(connections, _CONCLUDE_SECONDS)


async def _end_of(connections: list[Connection], within_seconds: float) -> None:
    ends = [end for one in connections for end in (one.work, one.gone) if end is not None]
    if ends:
        await asyncio.wait(ends, timeout=within_seconds)


async def _answer(request: BaseRequest) -> StreamResponse:
    connection = request.protocol
    assert isinstance(connection, Connection)  # noqa: S101 - HttpServer makes no others
    return await connection.answer(request)
