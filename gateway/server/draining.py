"""How an instance stops taking connections: nobody new, the handshakes under way, then each one to its recorded end."""

from __future__ import annotations

import asyncio

from gateway.server.http import HttpServer
from gateway.server.listener import Listener

LINGER_SECONDS = 3.0  # of a silent connection: its client may be sending a request just now


async def drain(listener: Listener, accepting: asyncio.Task[None], server: HttpServer, within_seconds: float) -> None:
    """`accepting` runs the listener; what has not ended within the time is cut off, and on record."""
    listener.end()
    server.begin_to_drain(LINGER_SECONDS)
    await asyncio.wait((accepting,), timeout=LINGER_SECONDS)  # an honest handshake takes two round trips
    accepting.cancel()
    await asyncio.wait((accepting,))
    await server.drain(within_seconds)
