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

from gateway.server.http import HttpServer
from gateway.settings.models import HostPort, ListenSection

log = logging.getLogger(__name__)

BACKLOG = 1024
SHUTDOWN_SECONDS = 2.0  # for the other side's close_notify
PAUSE_SECONDS = 0.5  # when the kernel has no descriptor or memory left
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
        self.rejected: Counter[str] = Counter()  # "connections", "handshakes"
        self.handshakes_in_flight = 0
        self.on_handshake_failure: Callable[[str, str], None] = lambda _address, _name: None
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
                        handshakes.create_task(self._welcome(*accepted))
            finally:
                self.accepting = False

    def close(self) -> None:
        """Give the port back."""
        self._listening.close()

    async def _accept(self) -> tuple[socket.socket, str] | None:
        try:
            accepted, peer = await asyncio.get_running_loop().sock_accept(self._listening)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                log.error("no connection can be accepted for now: %s", error.strerror)  # noqa: TRY400
                await asyncio.sleep(PAUSE_SECONDS)
                return None
            if error.errno in (errno.ECONNABORTED, errno.EPROTO, errno.EPERM):
                return None
            raise
        full = self._full_of(self._server.listen)
        if full:
            self.rejected[full] += 1
            accepted.close()
            return None
        self.handshakes_in_flight += 1
        return accepted, str(peer[0])

    def _full_of(self, listen: ListenSection) -> str:
        if self._server.open_connections + self.handshakes_in_flight >= listen.max_connections:
            return "connections"
        return "handshakes" if self.handshakes_in_flight >= listen.max_handshakes else ""

    async def _welcome(self, accepted: socket.socket, address: str) -> None:
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
            self.on_handshake_failure(address, name)
            accepted.close()
        finally:
            self.handshakes_in_flight -= 1
