"""Memory: what connections kept alive hold, and what handshakes that fail leave behind."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from tests.bench.load import LoadFailed
from tests.bench.processes import rss_mib
from tests.bench.systems import PATH, TOKEN, System

CONNECTIONS = 1000
HANDSHAKES = 8000
WARM_UP_REQUESTS = 200
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset

# A ClientHello that offers TLS 1.1 at most, as old scanners send it; every system here takes 1.2 and up.
_HELLO = b"\x03\x02" + bytes(32) + b"\x00" + b"\x00\x04\xc0\x13\x00\x2f" + b"\x01\x00" + b"\x00\x00"
_HANDSHAKE = b"\x01" + len(_HELLO).to_bytes(3, "big") + _HELLO
OLD_HELLO = b"\x16\x03\x01" + len(_HANDSHAKE).to_bytes(2, "big") + _HANDSHAKE
PLAIN = b"GET / HTTP/1.1\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Held:
    """Memory before and with CONNECTIONS connections, each of which was used once."""

    before_mib: float
    with_mib: float

    @property
    def kib_per_connection(self) -> float:
        return (self.with_mib - self.before_mib) * 1024 / CONNECTIONS


def hold_connections(system: System) -> Held:
    """Open connections, call once over each, and look while all are open."""
    trusting = ssl.create_default_context(cafile=system.ca_file)
    with ExitStack() as stack:
        first = stack.enter_context(_connected(system, trusting))
        for _ in range(WARM_UP_REQUESTS):  # what is built at the first use is no connection's
            _get(first)
        before = rss_mib(system.pid)
        connections = [stack.enter_context(_connected(system, trusting)) for _ in range(CONNECTIONS)]
        for connection in connections:
            _get(connection)
        held = Held(before, rss_mib(system.pid))
        for connection in connections:  # and still open, or nothing was held
            _get(connection)
        return held


def fail_handshakes(system: System) -> float:
    """Memory in MiB that HANDSHAKES failed handshakes leave: half in plain HTTP, half too old, half of them reset."""
    before = rss_mib(system.pid)
    for number in range(HANDSHAKES):
        _fail_handshake(system.port, PLAIN if number % 2 else OLD_HELLO, reset=number % 4 < 2)
    return rss_mib(system.pid) - before


def _fail_handshake(port: int, sent: bytes, *, reset: bool) -> None:
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(sent)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        while sock.recv(4096):  # an alert, perhaps, and then the end
            pass


def _connected(system: System, trusting: ssl.SSLContext) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", system.port), timeout=20)
    return trusting.wrap_socket(sock, server_hostname="127.0.0.1")


def _get(connection: ssl.SSLSocket) -> None:
    """One GET, its answer read to the end.

    Raises:
        LoadFailed: when it is not a 200 with a Content-Length.
    """
    host = f"127.0.0.1:{connection.getpeername()[1]}"
    head = f"GET {PATH}/Users/000001 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    connection.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = connection.recv(16_384)
        if not more:
            raise LoadFailed(f"a connection was closed instead of answered: {answer[:300]!r}")
        answer += more
    fields, _, body = answer.partition(b"\r\n\r\n")
    _, found, length = fields.lower().partition(b"content-length:")
    if not fields.startswith(b"HTTP/1.1 200") or not found:
        raise LoadFailed(f"not a 200 with its length: {answer[:300]!r}")
    missing = int(length.split(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(16_384)) or missing
