"""Syslog over TLS (RFC 5425): the server is verified, we show a certificate of our own, nothing goes in the clear.

Syslog has no acknowledgements. What the kernel took may be lost with the server, so a line counts as arrived only
when the connection has outlived it by SETTLE_SECONDS; TCP ends one whose octets nobody acknowledges sooner.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.audit.syslog import FACILITIES, syslog_frame
from gateway.settings.models import SyslogSection
from gateway.sinks.outlets import form_of
from gateway.tls import client_context

OPEN_SECONDS = 20.0
SEND_SECONDS = 30.0  # for a piece
CLOSE_SECONDS = 1.0
UNACKNOWLEDGED_SECONDS = 20.0  # a server that is slow, and now and then reads nothing, is not gone
SETTLE_SECONDS = 30.0  # longer than that, or what nobody acknowledged would count as arrived
_PIECE_BYTES = 32 << 10


class SyslogOutlet:
    """A syslog server."""

    name = "syslog"

    def __init__(self, section: SyslogSection, *, settle_seconds: float = SETTLE_SECONDS) -> None:
        self.settle_seconds = settle_seconds
        self._section = section
        self._form = form_of(section.format)
        self._facility = FACILITIES[section.facility]

    def frame(self, line: bytes) -> bytes:
        """One syslog message."""
        return syslog_frame(line, self._form(line), self._facility)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SyslogChannel]:
        """Connect. The files are read anew each time, so a renewed certificate needs no restart.

        Raises:
            OSError: a file cannot be used; the server is not there, too slow, or not the one it should be.
        """
        endpoint = self._section.endpoint
        async with asyncio.timeout(OPEN_SECONDS):
            context = await asyncio.to_thread(_context, self._section)
            reader, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=context, ssl_handshake_timeout=OPEN_SECONDS
            )
        _watch_over(writer.get_extra_info("socket"))
        # Nothing stays with us: what was handed over is with the kernel. (With 0, asyncio's TLS may pause for good.)
        writer.transport.set_write_buffer_limits(high=1)
        try:
            yield SyslogChannel(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await writer.wait_closed()


class SyslogChannel:
    """A connection to a syslog server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, content: bytes) -> None:
        """Until the kernel has all of it."""
        for start in range(0, len(content), _PIECE_BYTES):
            self._writer.write(content[start : start + _PIECE_BYTES])
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.drain()

    @property
    def has_ended(self) -> bool:
        """A syslog server says nothing, ever, but that it goes."""
        return self._reader.at_eof() or self._writer.is_closing()


def _context(section: SyslogSection) -> ssl.SSLContext:
    return client_context(section.ca_file, section.certificate_file, section.key_file)


def _watch_over(connection: socket.socket) -> None:
    """A server that is gone without a word is noticed, with octets under way and without."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * UNACKNOWLEDGED_SECONDS))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
