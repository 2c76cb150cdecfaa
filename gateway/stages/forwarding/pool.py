"""The connections to one upstream: aiohttp's pool, which by itself would take stray bytes for an answer.

Each override below closes one hole; the tests beside it fail without it. The hooks `_get`, `_release`
and `_factory` are aiohttp's own and private, which is why pyproject.toml pins its minor version.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from functools import partial

from aiohttp import ClientError, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.tracing import Trace

IDLE_SECONDS = 15  # below the keep-alive time of every common application server (Tomcat: 20)
LIFE_SECONDS = 300  # so that a changed address in the DNS is noticed
_HEAD_BYTES = 256 << 10  # interim answers and heads, beside the body
_READ_BYTES = 64 << 10
_MAX_LINE_BYTES = 8190
_MAX_FIELDS = 64


class AnswerTooLarge(ClientError):
    """More bytes came on the wire than any acceptable answer has, however they are chunked."""


class StrictHandler(ResponseHandler):
    """One connection, which takes bytes only while a request waits for its answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_answer_bytes: int, life_seconds: float) -> None:
        super().__init__(loop)
        self._ends_at = loop.time() + life_seconds
        self._max_wire_bytes = 2 * max_answer_bytes + _HEAD_BYTES  # chunks of a few bytes are mostly framing
        self._wire_bytes = 0
        self._awaits_answer = False

    def expect_answer(self) -> None:
        """From now on bytes are the answer; call it right before the request is sent."""
        self._wire_bytes = 0
        self._awaits_answer = True
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            max_headers=_MAX_FIELDS,
        )

    def rest(self) -> None:
        """The answer is complete, or given up: whatever comes now belongs to nobody."""
        self._awaits_answer = False

    def is_fit(self) -> bool:
        """Whether another request may be sent here."""
        return (
            self.is_connected()
            and not self.should_close
            and self._loop.time() < self._ends_at
            and not self._holds_half_an_answer()
            and not self._has_unread_input()
        )

    def data_received(self, data: bytes) -> None:
        if not self._awaits_answer:
            # SECURITY: aiohttp would give them to the next request as its answer (aio-libs/aiohttp#13656).
            if data:
                self.abort()
            return
        self._wire_bytes += len(data)
        if self._wire_bytes > self._max_wire_bytes:
            self._fail(AnswerTooLarge())
            return
        super().data_received(data)

    def close(self) -> None:
        """Give the connection up at once: neither the rest of a request nor a TLS farewell is worth waiting for."""
        self.abort()

    def _fail(self, error: AnswerTooLarge) -> None:
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)
        if self.transport is not None:
            self.transport.abort()  # not self.abort(), which forgets the error

    def _holds_half_an_answer(self) -> bool:
        """Whether bytes came in one piece with the last answer that begin another one.

        SECURITY: the parser swallowed them before anybody could know that the first was complete.
        """
        if self._parser is None:
            return False
        try:
            return self._parser.feed_eof() is not None
        except HttpProcessingError:
            return True

    def _has_unread_input(self) -> bool:
        """Whether bytes, or the end of the connection, wait in the kernel where the loop has not seen them yet."""
        if self.transport is None:
            return True
        if not self._wire_bytes and self.transport.get_extra_info("sslcontext") is not None:
            return False  # a fresh TLS connection may hold session tickets; strangers cannot put anything there
        poller = select.poll()
        poller.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poller.poll(0))


class StrictConnector(TCPConnector):
    """A pool whose connections are looked at before each use. To be made inside the running loop."""

    def __init__(
        self,
        *,
        limit: int,
        tls: ssl.SSLContext | None,
        max_answer_bytes: int,
        idle_seconds: float = IDLE_SECONDS,
        life_seconds: float = LIFE_SECONDS,
    ) -> None:
        super().__init__(limit=limit, ssl=True if tls is None else tls, keepalive_timeout=idle_seconds)
        self._factory = partial(_strict_handler, self._loop, max_answer_bytes, life_seconds)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        for handler, _ in self._conns.get(key, ()):
            if isinstance(handler, StrictHandler) and handler.is_fit():
                break
            handler.abort()  # and the pool passes it over
        return await super()._get(key, traces)

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        if isinstance(protocol, StrictHandler):
            protocol.rest()
        super()._release(key, protocol, should_close=should_close)


def _strict_handler(loop: asyncio.AbstractEventLoop, max_answer_bytes: int, life_seconds: float) -> ResponseHandler:
    return StrictHandler(loop, max_answer_bytes, life_seconds)
