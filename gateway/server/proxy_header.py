"""Reads a PROXY header off a socket that TLS has not seen yet, and not one byte behind it."""

from __future__ import annotations

import asyncio
import socket

from gateway.wire.proxy_protocol import Announced, HeaderRefused, bytes_wanted, read_header

HEALTH_CHECK = "health-check"  # nobody calls: the balancer only looks whether somebody listens


async def receive_header(accepted: socket.socket, within_seconds: float) -> Announced:
    """Whom the balancer at the other end announces.

    Raises:
        HeaderRefused: nobody is announced so that it can be believed; HEALTH_CHECK when not one byte came.
    """
    header = b""
    try:
        async with asyncio.timeout(within_seconds):
            while wanted := bytes_wanted(header):
                piece = await asyncio.get_running_loop().sock_recv(accepted, wanted)
                if not piece:
                    raise ConnectionResetError
                header += piece
    except TimeoutError as error:
        raise HeaderRefused("proxy-header-timeout") from error
    except OSError as error:
        raise HeaderRefused("proxy-header-cut" if header else HEALTH_CHECK) from error
    return read_header(header)
