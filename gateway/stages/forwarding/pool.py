"""The connections to one node that wait for a next request, and how a new one is made."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.stages.forwarding.connection import UpstreamConnection
from gateway.stages.forwarding.names import resolve

IDLE_SECONDS = 15.0  # below the keep-alive time of every common application server (Tomcat: 20)
LIFE_SECONDS = 300.0  # so that a changed address in the DNS is noticed
MAX_ADDRESSES = 4  # of one name; each gets an even share of the time to connect


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node is reached: a name or an address, a port, and TLS or not."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    @property
    def node(self) -> str:
        """host:port, for records and metrics."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Connect = Callable[[Origin, Callable[[], UpstreamConnection], float], Awaitable[UpstreamConnection]]
"""Makes one connection: `await connect(origin, make_protocol, max_seconds)`.

Raises OSError (TimeoutError and ssl.SSLError are such).
"""


async def connect_tcp(
    origin: Origin, make_protocol: Callable[[], UpstreamConnection], max_seconds: float
) -> UpstreamConnection:
    """Resolve the name anew and try its addresses in order, TLS included; see `Connect`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + max_seconds
    async with asyncio.timeout_at(until):
        addresses = (await resolve(origin.host, origin.port))[:MAX_ADDRESSES]
    error = OSError()
    for position, address in enumerate(addresses):
        now = loop.time()
        share = (until - now) / (len(addresses) - position)
        try:
            async with asyncio.timeout_at(now + share):
                _, protocol = await loop.create_connection(
                    make_protocol,
                    address,
                    origin.port,
                    ssl=origin.tls,
                    server_hostname=origin.host if origin.tls is not None else None,
                )
        except OSError as refused:
            error = refused
        else:
            return protocol
    raise error


class Pool:
    """Idle connections to one node. To be made inside the running loop."""

    def __init__(
        self,
        origin: Origin,
        *,
        connect: Connect = connect_tcp,
        idle_seconds: float = IDLE_SECONDS,
        life_seconds: float = LIFE_SECONDS,
    ) -> None:
        self.closed = False
        self._origin, self._connect = origin, connect
        self._idle_seconds, self._life_seconds = idle_seconds, life_seconds
        self._loop = asyncio.get_running_loop()
        self._idle: deque[UpstreamConnection] = deque()  # the one used last at the right

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """The connection used last that is still fit; None when there is none."""
        self.close_stale()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fit():
                return connection
            connection.abort()
        return None

    async def connect(self, max_seconds: float) -> UpstreamConnection:
        """A new connection.

        Raises:
            OSError: there is none; TimeoutError and ssl.SSLError are such.
        """
        return await self._connect(self._origin, self._make_protocol, max_seconds)

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request, if it is fit for one."""
        if self.closed or not connection.may_be_kept:
            connection.abort()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    def close_stale(self) -> None:
        """Close what has been idle for too long; to be called now and then."""
        latest = self._loop.time() - self._idle_seconds
        while self._idle and self._idle[0].idle_since < latest:
            self._idle.popleft().abort()

    def close_idle(self) -> None:
        """Close every idle connection: the node has failed, or moved."""
        while self._idle:
            self._idle.pop().abort()

    def close(self) -> None:
        """Close what is idle, and whatever is given back from now on."""
        self.closed = True
        self.close_idle()

    def _make_protocol(self) -> UpstreamConnection:
        connection = UpstreamConnection(self._loop, self._loop.time() + self._life_seconds)
        connection.when_lost(self._forget)
        return connection

    def _forget(self, connection: UpstreamConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
