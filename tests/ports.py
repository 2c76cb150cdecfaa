"""Ports of this machine where nobody listens."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path

_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORTS = range(10_000, 65_536)  # five digits each, which some tests count on


def unused_port() -> int:
    """A port on 127.0.0.1 where nobody listens, never the same twice in a process.

    The kernel hands out ports of its own range to whoever asks for any (a connection that leaves, a
    server on port 0), and may do so before the caller listens on this one or between two of its
    listeners: so it comes from outside that range, where only those who name a port can be.
    """
    return next(_unused)


def _search() -> Iterator[int]:
    low, high = map(int, _RANGE_FILE.read_text().split())
    apart = [port for port in _PORTS if not low <= port <= high] or _PORTS
    for port in random.SystemRandom().sample(apart, len(apart)):
        if _is_unused(port):
            yield port


def _is_unused(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_unused = _search()
