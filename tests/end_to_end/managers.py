"""A service manager as systemd is one: it holds the sockets, starts the gateway with them, and hears how it is."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.processes import PATIENCE_SECONDS, Served, start, write_settings
from tests.ports import unused_port

BACKLOG = 1024  # as in deploy/systemd/scim-gateway.socket

# Becomes the command after its first argument, with the descriptors named there as 3, 4, ...
_HANDS_OVER = """
import fcntl, os, sys
given = [fcntl.fcntl(int(one), fcntl.F_DUPFD_CLOEXEC, 100) for one in sys.argv[1].split(",")]
for place, descriptor in enumerate(given, 3):
    os.dup2(descriptor, place)
os.closerange(3 + len(given), 100)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Manager:
    """`heard` is what the gateway told it, datagram by datagram."""

    directory: Path
    listening: dict[str, socket.socket]
    hearing: socket.socket
    heard: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listening["public"].getsockname()[1])

    async def start(self, config: Path, environment: Mapping[str, str] | None = None) -> Served:
        """Start the gateway with the sockets; `environment` replaces what it would be told."""
        descriptors = [one.fileno() for one in self.listening.values()]
        told = {
            "LISTEN_FDS": str(len(descriptors)),
            "LISTEN_FDNAMES": ":".join(self.listening),
            "NOTIFY_SOCKET": str(self.directory / "notify"),
            "WATCHDOG_USEC": "400000",
        }
        process = await start(
            *("serve", "--config", str(config), "--log-level", "warning"),  # nobody reads what it logs meanwhile
            under=(sys.executable, "-c", _HANDS_OVER, ",".join(map(str, descriptors))),
            environment=told | dict(environment or {}),
            descriptors=tuple(descriptors),
        )
        admin = self.listening.get("admin")
        return Served(process, self.directory, self.port, int(admin.getsockname()[1]) if admin else 0)

    async def hears(self, text: str) -> str:
        """The next datagram that holds `text`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                said = (await asyncio.get_running_loop().sock_recv(self.hearing, 4096)).decode()
                self.heard.append(said)
                if text in said:
                    return said

    def settings(self, upstream: str, more: str = "") -> Path:
        """A settings file whose own addresses nobody shall take, for the sockets are there."""
        return write_settings(self.directory, upstream, self.port, unused_port(), more=more)


@contextmanager
def manager(directory: Path, *names: str) -> Iterator[Manager]:
    """Holds a socket of each name until the block ends."""
    listening = {name: socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) for name in names or ("public",)}
    hearing = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    hearing.bind(os.fspath(directory / "notify"))
    hearing.setblocking(False)
    try:
        yield Manager(directory, listening, hearing)
    finally:
        for one in (hearing, *listening.values()):
            one.close()
