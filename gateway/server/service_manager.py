"""The service manager that keeps us alive, if there is one: what it hands over, and what it wants to hear.

The protocol is systemd's sd_notify(3): datagrams of NAME=value lines to a socket. Nobody answers, and a manager that
does not listen is no reason to stop serving.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.server.handover import sockets_handed_over

log = logging.getLogger(__name__)

HUNG_SECONDS = 15.0  # three times what a line of the journal may take


@dataclass(slots=True)
class ServiceManager:
    """Without an address it hears nothing, and nobody minds."""

    address: str = ""  # NOTIFY_SOCKET: a path, or "@name" for an abstract one
    watchdog_seconds: float | None = None  # within which it wants to hear that we are alive
    sockets: Mapping[str, socket.socket] = field(default_factory=dict)  # "public", "admin": handed over, listening

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int) -> ServiceManager:
        """Raises: HandoverInvalid: a socket that was handed over cannot be used."""
        return cls(
            environment.get("NOTIFY_SOCKET", ""),
            _watchdog_seconds(environment, pid),
            sockets_handed_over(environment, pid),
        )

    def say_ready(self, status: str) -> None:
        self._say("READY=1", f"STATUS={status}")

    def say_reloading(self, monotonic_seconds: float) -> None:
        """`say_ready` says that it is over, however it went."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={monotonic_seconds * 1e6:.0f}", "STATUS=reading the settings again")

    def say_stopping(self, status: str) -> None:
        self._say("STOPPING=1", f"STATUS={status}")

    async def reassure(self, busy_seconds: Callable[[], float]) -> None:
        """Say at half of its time that we are alive: the loop, which runs this, and the journal, busy for so long.

        A disk that is full or broken says so at once and is no reason for a restart; one that says nothing may be.
        """
        hangs = False
        while self.watchdog_seconds is not None:
            hung, hangs = hangs, busy_seconds() > HUNG_SECONDS
            if not hangs:
                self._say("WATCHDOG=1")
            elif not hung:
                log.error("the journal hangs: the service manager is told no more that all is well")
            await asyncio.sleep(self.watchdog_seconds / 2)

    def _say(self, *lines: str) -> None:
        if not self.address:
            return
        place = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as speaking:
                speaking.sendto("\n".join(lines).encode(), place)
        except OSError as error:
            log.warning("the service manager cannot be told %s: %s", lines[0], error.strerror or error)


def _watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    with suppress(ValueError):
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        return microseconds / 1e6 if microseconds > 0 else None
    return None
