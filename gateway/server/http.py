"""The HTTP server over all connections: who is connected, which pipeline serves, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import aiohttp.http_parser
from aiohttp.web import BaseRequest, Server, StreamResponse

from gateway.server.connection import Connection
from gateway.settings.models import ListenSection
from gateway.wire.forwarded import Proxies

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
        self.use(listen)
        self.pipeline = pipeline  # the present one
        self.draining = False
        self.linger_seconds = 0.0  # while draining, how long a silent connection may go on

    def use(self, listen: ListenSection) -> None:
        """Go by these settings; each connection keeps its limits, and takes new deadlines."""
        self.listen, self.proxies = listen, Proxies.of(listen.trusted_proxies)

    def __call__(self, announced: str | None = None) -> Connection:
        """A connection, to be made; `announced` is the client's address if a balancer has said it."""
        return Connection(self, asyncio.get_running_loop(), announced)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def begin_to_drain(self, linger_seconds: float) -> None:
        """Each connection ends with its next answer, which says so, or when it was silent for so long.

        A client that has just sent a request, or was just told that it may, must not meet a closed door.
        """
        self.draining, self.linger_seconds = True, linger_seconds
        for connection in self._present_connections():
            connection.hang_up_when_idle()

    async def drain(self, within_seconds: float) -> None:
        """Wait until all connections have ended, of which no more may come now; then cut off the rest.

        Returns when the last request is on record: what was cut off has a few seconds for that, and no more.
        """
        if not self.draining:
            self.begin_to_drain(0)
        connections = self._present_connections()
        await _end_of(connections, within_seconds)
        for connection in connections:
            connection.cut_off()
        await _end_of(connections, _CONCLUDE_SECONDS)

    def _present_connections(self) -> list[Connection]:
        return [connection for connection in self.connections if isinstance(connection, Connection)]


async def _end_of(connections: list[Connection], within_seconds: float) -> None:
    ends = [end for one in connections for end in (one.work, one.gone) if end is not None]
    if ends:
        await asyncio.wait(ends, timeout=within_seconds)


async def _answer(request: BaseRequest) -> StreamResponse:
    connection = request.protocol
    assert isinstance(connection, Connection)  # noqa: S101 - HttpServer makes no others
    return await connection.answer(request)
