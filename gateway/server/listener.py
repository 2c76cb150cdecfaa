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
from functools import partial

from gateway.server.adapter import plain_address
from gateway.server.http import HttpServer
from gateway.server.memory import map_next_buffers_apart
from gateway.server.proxy_header import HEALTH_CHECK, receive_header
from gateway.settings.models import HostPort
from gateway.wire.proxy_protocol import Announced, HeaderRefused

log = logging.getLogger(__name__)

BACKLOG = 1024
SHUTDOWN_SECONDS = 2.0  # for the other side's close_notify
PATIENCE_SECONDS = 1.0  # with a handshake while others wait for its place; an honest one needs two round trips
_AN_INSTANT = 0.001  # left of its time to a handshake whose header took nearly all of it
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
        self.rejected = Counter(connections=0)
        self._under_way: dict[asyncio.Task[None], tuple[float, str]] = {}  # when each began, from where; oldest first
        self.proxy_headers: Counter[str] = Counter()  # "proxied", "local", "health-check", or why one was refused
        self.on_failure: Callable[[str, str], None] = lambda _address, _name: None  # never waits, never raises
        self._ending = False
        self._waiter: asyncio.Future[None] | None = None
        self.accepting = False
        self.port = int(listening.getsockname()[1])  # known also when it is closed

    async def run(self) -> None:
        """Accept until `end` is called, and see the handshakes under way to their end; cancelled, it cuts them off."""
        async with asyncio.TaskGroup() as handshakes:
            self.accepting = True
            try:
                while not self._ending:
                    accepted = await self._accept()
                    if accepted is not None:
                        task = handshakes.create_task(self._welcome(*accepted))
                        self._under_way[task] = asyncio.get_running_loop().time(), accepted[1]
                        task.add_done_callback(self._under_way.pop)
            finally:
                self.accepting = False
                self.close()

    def end(self) -> None:
        """Accept no more. Who waits with the kernel is left to whoever else has the socket."""
        self._ending = True
        self._wake()

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
            accepted, peer = self._listening.accept()
        except BlockingIOError:
            await self._somebody_comes()
            return None
        except OSError as error:
            if error.errno in _EXHAUSTED:
                log.error("no connection can be accepted for now: %s", error.strerror)  # noqa: TRY400
                await asyncio.sleep(PAUSE_SECONDS)
                return None
            if error.errno in _OF_ONE_CONNECTION:
                return None
            raise
        accepted.setblocking(False)
        if (address := self._let_in(accepted, peer)) is None:
            accepted.close()
            await asyncio.sleep(0)  # those who are in shall not wait until a crowd of others is turned away
            return None
        try:
            await self._make_room()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            accepted.close()
            raise
        return accepted, address

    async def _somebody_comes(self) -> None:
        """Wait for a connection, or for `end`.

        `loop.sock_accept` will not do: cancelled at the wrong moment, it drops a connection that it has accepted.
        """
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        loop.add_reader(self._listening, self._wake)
        try:
            await self._waiter
        finally:
            loop.remove_reader(self._listening)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _let_in(self, accepted: socket.socket, peer: object) -> str | None:
        """The address at the other end; None when it may not come in."""
        address = plain_address(peer)
        if self._server.open_connections + self.handshakes_in_flight >= self._server.listen.max_connections:
            self.rejected["connections"] += 1
            self.on_failure(address, "connections")
            return None
        if self._server.listen.proxy_protocol == "required" and address not in self._server.proxies:
            # SECURITY: whoever could announce an address could be anybody, and would get past `sources`.
            self.proxy_headers["proxy-untrusted"] += 1
            self.on_failure(address, "proxy-untrusted")
            return None
        return address

    async def _welcome(self, accepted: socket.socket, address: str) -> None:
        loop, listen = asyncio.get_running_loop(), self._server.listen
        ends_at = loop.time() + listen.handshake_seconds
        announced: Announced | None = None
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if listen.proxy_protocol == "required":
                announced = await self._hear_whom(accepted, address)
                self._note_announced(announced)
            map_next_buffers_apart()
            await loop.connect_accepted_socket(
                partial(self._server, announced.address if announced else None),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=max(_AN_INSTANT, ends_at - loop.time()),
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
            self.handshakes["ok"] += 1
        except HeaderRefused as refused:
            self.proxy_headers[refused.name] += 1
            if refused.name != HEALTH_CHECK:
                self.on_failure(address, refused.name)
            accepted.close()
        except OSError as error:  # ssl.SSLError, timeouts and resets are all of this kind
            self._note_failure(error, address, announced)
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise

    async def _hear_whom(self, accepted: socket.socket, address: str) -> Announced:
        """Whom the proxy at an address announces.

        Raises:
            HeaderRefused: nobody that can be believed; a reload may have come since the address was let in.
            OSError: the connection is over.
        """
        if address not in self._server.proxies:
            raise HeaderRefused("proxy-untrusted")
        announced = await receive_header(accepted, self._server.listen.handshake_seconds)
        return Announced(None) if announced.address == address else announced  # HAProxy of itself, in version 1

    def _note_announced(self, announced: Announced) -> None:
        self.proxy_headers["proxied" if announced.address else "local"] += 1
        task = asyncio.current_task()
        if announced.address and task is not None:
            self._under_way[task] = self._under_way[task][0], announced.address

    def _note_failure(self, error: OSError, address: str, announced: Announced | None) -> None:
        name = handshake_failure_name(error)
        if announced is not None and announced.address is None and name == "reset":
            return  # the balancer's own look whether we are there, every other second
        self.handshakes[name] += 1
        self.on_failure(announced.address or address if announced else address, name)
