"""The accept loop: connections and handshakes are bounded, and a failed handshake has a name.

aiohttp's sites hide failed handshakes, cap nothing and leave asyncio's 60 s for a handshake. Here each accepted
socket gets a task of its own that ends with its handshake; the connection then belongs to the server.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from gateway.server.adapter import plain_address
from gateway.server.http import HttpServer
from gateway.server.memory import map_next_buffers_apart
from gateway.settings.models import HostPort

log = logging.getLogger(__name__)

BACKLOG = 1024
SHUTDOWN_SECONDS = 2.0  # for the other side's close_notify
PATIENCE_SECONDS = 1.0  # with a handshake while others wait for its place; an honest one needs two round trips
PAUSE_SECONDS = 0.5  # when the kernel has no descriptor or memory left
# accept(2) on Linux passes on what befell the waiting connection; the socket itself is well.
_OF_ONE_CONNECTION = frozenset({
    errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOPROTOOPT,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENONET,
})  # fmt: skip
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# OpenSSL's reasons, in the words of operators; the rest is "other".
_NAMES = {
    "NO_SHARED_CIPHER": "no-shared-cipher",
    "NO_SUITABLE_GROUPS": "no-shared-group",
    "NO_SUITABLE_KEY_SHARE": "no-shared-group",
    "UNSUPPORTED_PROTOCOL": "protocol-version",
    "UNKNOWN_PROTOCOL": "protocol-version",
    "VERSION_TOO_LOW": "protocol-version",
    "NO_APPLICATION_PROTOCOL": "no-shared-alpn",
    "HTTP_REQUEST": "plain-http",
    "WRONG_VERSION_NUMBER": "not-tls",
    "HTTPS_PROXY_REQUEST": "plain-http",
    "UNEXPECTED_EOF_WHILE_READING": "reset",
    "TLSV1_ALERT_UNKNOWN_CA": "client-distrusts-certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "client-distrusts-certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "client-distrusts-certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "client-distrusts-certificate",
}


def handshake_failure_name(error: BaseException) -> str:
    """What went wrong, from a closed list: a metric's label and a word in the log."""
    if isinstance(error, ssl.SSLError):
        return _NAMES.get(getattr(error, "reason", None) or "", "other")
    if isinstance(error, TimeoutError) or "taking longer" in str(error):
        return "timeout"
    return "reset" if isinstance(error, ConnectionError) else "other"


def listening_socket(address: str) -> socket.socket:
    """A bound, listening, non-blocking TCP socket.

    Raises:
        OSError: the address is taken, not ours, or needs a privilege.
    """
    host, port = HostPort.parse(address).host, HostPort.parse(address).port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening


class Listener:
    """One listening socket in front of an HTTP server."""

    def __init__(self, listening: socket.socket, server: HttpServer, context: ssl.SSLContext) -> None:
        self._listening, self._server, self._context = listening, server, context
        self.handshakes: Counter[str] = Counter()  # "ok", or a failure's name
        self.rejected: Counter[str] = Counter()  # "connections"
        self._under_way: dict[asyncio.Task[None], tuple[float, str]] = {}  # when each began, from where; oldest first
        self.on_failure: Callable[[str, str], None] = lambda _address, _name: None  # never waits, never raises
        self.accepting = False
        self.port = int(listening.getsockname()[1])  # known also when it is closed

    async def run(self) -> None:
        """Accept until cancelled; handshakes under way are then cut off."""
        async with asyncio.TaskGroup() as handshakes:
            self.accepting = True
            try:
                while True:
                    accepted = await self._accept()
                    if accepted is not None:
                        task = handshakes.create_task(self._welcome(*accepted))
                        self._under_way[task] = asyncio.get_running_loop().time(), accepted[1]
                        task.add_done_callback(self._under_way.pop)
            finally:
                self.accepting = False

    def close(self) -> None:
        """Give the port back."""
        self._listening.close()

    @property
    def handshakes_in_flight(self) -> int:
        return len(self._under_way)

    async def _make_room(self) -> None:
        """Wait until one more handshake may begin; further connections wait with the kernel meanwhile.

        SECURITY: a handshake that dawdles while others wait is cut off. Turning the others away would let as many
        silent strangers as there are places close the door, and would lose a burst of clients.
        """
        while len(self._under_way) >= self._server.listen.max_handshakes:
            oldest, (began, address) = next(iter(self._under_way.items()))
            patience_seconds = began + PATIENCE_SECONDS - asyncio.get_running_loop().time()
            if patience_seconds > 0:
                await asyncio.wait(self._under_way, timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED)
                continue
            self.handshakes["crowded-out"] += 1
            self.on_failure(address, "crowded-out")
            oldest.cancel()
            await asyncio.wait((oldest,))

    async def _accept(self) -> tuple[socket.socket, str] | None:
        try:
            accepted, peer = await asyncio.get_running_loop().sock_accept(self._listening)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                log.error("no connection can be accepted for now: %s", error.strerror)  # noqa: TRY400
                await asyncio.sleep(PAUSE_SECONDS)
                return None
            if error.errno in _OF_ONE_CONNECTION:
                return None
            raise
        address = plain_address(peer)
        if self._server.open_connections + self.handshakes_in_flight >= self._server.listen.max_connections:
            self.rejected["connections"] += 1
            self.on_failure(address, "connections")
            accepted.close()
            return None
        try:
            await self._make_room()
        except asyncio.CancelledError:
            accepted.close()
            raise
        return accepted, address

    async def _welcome(self, accepted: socket.socket, address: str) -> None:
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            map_next_buffers_apart()
            await asyncio.get_running_loop().connect_accepted_socket(
                self._server,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=self._server.listen.handshake_seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
            self.handshakes["ok"] += 1
        except OSError as error:  # ssl.SSLError, timeouts and resets are all of this kind
            name = handshake_failure_name(error)
            self.handshakes[name] += 1
            self.on_failure(address, name)
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise
