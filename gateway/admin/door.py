"""The accept loop of an operators' listener: few connections at once, and none that stays without asking.

aiohttp's sites cap nothing and leave asyncio's 60 s for a handshake; whoever reaches such a port could hold every
descriptor of the gateway.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.settings.models import HostPort

log = logging.getLogger(__name__)

_BACKLOG = 128
_PAUSE_SECONDS = 0.5  # when the kernel has no descriptor or memory left
_SHUTDOWN_SECONDS = 2.0  # for the other side's close_notify
_QUIET_SECONDS = 60.0  # between two lines in the log that say the same
_OF_ONE_CONNECTION = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one listener. `head_seconds` is from the accept to the whole of the first head, handshake included."""

    max_connections: int = 64
    head_seconds: float = 5.0


async def listening_sockets(endpoint: HostPort) -> list[socket.socket]:
    """One for each address of the host.

    Raises:
        OSError: an address is taken, not ours, or needs a privilege; none stays open.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            opened.append(socket.create_server(address, family=family, backlog=_BACKLOG))
    except OSError:
        for listening in opened:
            listening.close()
        raise
    return opened


class Door:
    """Lets connections in to an HTTP server, up to the bounds; the others are closed at once."""

    def __init__(self, key: str, server: web.Server, tls: ssl.SSLContext | None, bounds: Bounds) -> None:
        """`key` is the setting that the address comes from."""
        self._key, self._server, self._tls, self._bounds = key, server, tls, bounds
        self._arriving = 0  # accepted, and not yet known to the server
        self._unheard: set[RequestHandler] = set()  # who has still to ask something, in time
        self._said_at: float | None = None
        self.turned_away = 0

    def hear(self, protocol: RequestHandler) -> None:
        """Note that a connection has asked something; from then on the server's own limits hold."""
        self._unheard.discard(protocol)

    async def run(self, listening: list[socket.socket]) -> None:
        """Accept until cancelled; the sockets stay the caller's."""
        async with asyncio.TaskGroup() as group:
            for one in listening:
                one.setblocking(False)
                group.create_task(self._accept_from(one, group))

    async def _accept_from(self, listening: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno not in _OF_ONE_CONNECTION:
                    log.error("%s: no connection can be accepted for now: %s", self._key, error.strerror)  # noqa: TRY400
                    await asyncio.sleep(_PAUSE_SECONDS)
                continue
            # SECURITY: a descriptor that is held here is missing to the clients.
            if len(self._server.connections) + self._arriving >= self._bounds.max_connections:
                accepted.close()
                self._note_turned_away()
                await asyncio.sleep(0)  # the clients shall not wait until a crowd is turned away
                continue
            self._arriving += 1
            group.create_task(self._welcome(accepted))

    async def _welcome(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._bounds.head_seconds
        protocol = self._server()
        self._unheard.add(protocol)
        try:
            accepted.setblocking(False)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._bounds.head_seconds if self._tls else None,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS if self._tls else None,
            )
            loop.call_at(ends_at, self._close_unless_heard, transport, protocol)
        except OSError:  # ssl.SSLError, timeouts and resets are all of this kind
            self._unheard.discard(protocol)
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise
        finally:
            self._arriving -= 1

    def _close_unless_heard(self, transport: asyncio.Transport, protocol: RequestHandler) -> None:
        # SECURITY: a half head counts as silence; one byte a second would hold a place for ever.
        if protocol in self._unheard:
            self._unheard.discard(protocol)
            transport.abort()

    def _note_turned_away(self) -> None:
        self.turned_away += 1
        now = asyncio.get_running_loop().time()
        if self._said_at is None or now - self._said_at >= _QUIET_SECONDS:
            self._said_at = now
            log.warning(
                "%s: %d connections are open, and more are closed at once (%d so far)",
                self._key,
                self._bounds.max_connections,
                self.turned_away,
            )
