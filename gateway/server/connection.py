"""One connection: which bytes may reach the parser, one request at a time, each step within its time.

aiohttp's `RequestHandler` parses and calls back; this subclass stands before it. A head is judged as bytes
(`wire.heads`) and only then fed to the parser, with exactly the body that it announced. What follows waits
until the answer is written. A chunked request is the last of its connection, so that nothing behind it is ever
read as another one, whatever a parser makes of the chunks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web import BaseRequest, RequestHandler, RequestPayloadError, StreamResponse
from aiohttp.web_protocol import _ErrInfo

from gateway.exchange import Unparsed
from gateway.refusal import Reason, Refusal
from gateway.server.adapter import (
    WaitingCaller,
    WireAnswer,
    answer_bytes,
    new_request_id,
    peer_address,
    read_request,
)
from gateway.wire.forwarded import nearest_stranger
from gateway.wire.heads import Head, HeadLimits, read_head

if TYPE_CHECKING:
    from gateway.server.http import HttpServer

log = logging.getLogger(__name__)

_MAX_PENDING_BYTES = 64 * 1024  # of further requests while one is under way; no client of ours sends any
_WRITE_BYTES = 64 * 1024  # of an answer at once
_LINGER_SECONDS = 1.0  # a refused body is read and dropped for so long, so that the answer is not lost in a reset
_NEVER_SECONDS = 86_400.0  # aiohttp's own timer; the deadlines here are stricter

_Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]


class Connection(RequestHandler):
    """The bytes of one client's connection."""

    __slots__ = (
        "_address", "_announced", "_body_left", "_busy", "_caller", "_chunks", "_deadline", "_ended", "_head",
        "_head_at", "_judged", "_limits", "_on_deadline", "_pending", "_server", "_timer", "gone", "work",
    )  # fmt: skip

    def __init__(self, server: HttpServer, loop: asyncio.AbstractEventLoop, announced: str | None = None) -> None:
        listen = server.listen
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=_NEVER_SECONDS,
            access_log=cast("logging.Logger", None),  # the one way to switch it off
            max_line_size=listen.max_line_bytes,
            max_field_size=listen.max_line_bytes,
            max_headers=listen.max_fields + 1,
            lingering_time=_LINGER_SECONDS,
            read_bufsize=65_536,
            auto_decompress=False,
        )
        self._server = server
        self._limits = HeadLimits(listen.max_line_bytes, listen.max_fields)
        self._pending = bytearray()
        self._judged = 0  # of the pending bytes, how many are known to be no whole head
        self._head: Head | None = None
        self._head_at = 0.0  # loop seconds: when the head was whole
        self._caller: WaitingCaller | None = None  # whose request is under way
        self._body_left = 0
        self._chunks: StreamReader | None = None  # the chunked body under way, the last thing on its connection
        self._busy = self._ended = False
        self._announced = announced
        self._address = "unknown"
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._on_deadline: Callable[[], None] | None = None
        self.work: asyncio.Task[None] | None = None  # aiohttp forgets it when the client goes, although it goes on
        self.gone: asyncio.Future[None] = loop.create_future()

    # What comes in ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=_WRITE_BYTES)
        self.work = self._task_handler
        self._address = self._announced or peer_address(transport)
        self._within(self._server.listen.head_seconds, self.force_close)
        if self._server.draining:
            self.hang_up_when_idle()  # its handshake ended after the last one was let in

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._on_deadline = None
        super().connection_lost(exc)
        if not self.gone.done():
            self.gone.set_result(None)
        if self._caller is not None:
            self._caller.hang_up()

    def data_received(self, data: bytes) -> None:
        if self._ended and data:
            return
        if self._chunks is not None:
            self._take_chunks(data, self._chunks)
            return
        if not data:
            super().data_received(data)  # aiohttp's way to have the parser go on with what it held back while paused
            return
        if self._body_left:
            body, data = data[: self._body_left], data[self._body_left :]
            self._body_left -= len(body)
            super().data_received(body)
        if data:
            self._pending += data
            self._take_head()

    def _take_chunks(self, data: bytes, body: StreamReader) -> None:
        if body.is_eof():
            return  # nothing behind a chunked body is ever read
        super().data_received(data)
        if not body.is_eof() and self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            body.set_exception(RequestPayloadError())  # aiohttp's C parser leaves the reader waiting

    def _take_head(self) -> None:
        if self._busy:
            if len(self._pending) > _MAX_PENDING_BYTES:
                self._end()
            return
        try:
            last = self._head.section if self._head is not None else None
            head = read_head(self._pending, self._limits, self._judged, last)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if head is not None:
            self._feed(head)
            return
        self._judged = len(self._pending)
        if self._on_deadline != self._head_is_late:
            self._within(self._server.listen.head_seconds, self._head_is_late)

    def _feed(self, head: Head) -> None:
        self._on_deadline = None  # from here on, the pipeline keeps the time
        self._busy, self._head, self._judged, self._head_at = True, head, 0, self._loop.time()
        body_bytes = head.section.body_bytes
        size = len(self._pending) if body_bytes is None else head.size + body_bytes
        piece = bytes(self._pending[:size])
        del self._pending[:size]
        self._body_left = 0 if body_bytes is None else size - len(piece)
        super().data_received(piece)
        if body_bytes is None:
            # Its request was parsed just now, and waits for the connection's task; or nothing was parsed but an error.
            self._chunks = self._messages[0][1]

    def _end(self) -> None:
        """Read nothing more; the connection ends after the answer under way."""
        self._ended = True
        self._pending.clear()
        self.close()

    # What is refused before it is a request -----------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        self._ended = self._busy = True
        self._on_deadline = None
        self._pending.clear()
        # The way aiohttp takes with its own parser's errors: the connection's one task gives the answer.
        self._messages.append((_ErrInfo(status=400, exc=refusal, message=""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _head_is_late(self) -> None:
        self._refuse(Refusal(Reason.HEAD_TIMEOUT))

    def _make_error_handler(self, err_info: _ErrInfo) -> _Handler:
        async def refuse(request: BaseRequest) -> StreamResponse:
            refusal = _as_refusal(err_info.exc)
            unparsed = Unparsed(new_request_id(), time.time(), self._address, refusal.reason, refusal.note)
            answer = await self._server.pipeline().refuse_unparsed(unparsed)
            self._ended = True
            return _response(WireAnswer(self, answer_bytes(answer, close=True), keep_alive=False))

        return refuse

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """What escaped the pipeline, which answers everything itself: say nothing, hang up."""
        log.error("a fault behind the pipeline ends the connection", exc_info=exc)
        raise ConnectionError

    # What goes out ------------------------------------------------------------------------------

    async def answer(self, request: BaseRequest) -> StreamResponse:
        """Carry one request through the pipeline."""
        head = self._head
        assert head is not None  # noqa: S101 - fed before it was parsed
        ours = read_request(head, self._caller_address(head))
        self._caller = caller = WaitingCaller(request, head, self.transport, self._head_at)
        caller.is_gone = self.gone.done()
        answer = await self._server.pipeline().serve(ours, caller)
        self._caller = None
        content = request.content
        body_is_read = self._body_left == 0 and self._chunks is None and content.at_eof()
        if self._chunks is not None:
            self._chunks = EMPTY_PAYLOAD  # what still comes is dropped unparsed: nobody waits for it
        if content.exception() is not None:
            self._lingering_time = 0.0  # aiohttp would read on, and log the malformed body with a traceback
        may_go_on = not answer.ends_connection and not self._server.draining and not self._ended
        keep_alive = request.keep_alive and body_is_read and may_go_on
        data = answer_bytes(answer, close=not keep_alive, for_head=head.method == "HEAD")
        return _response(WireAnswer(self, data, keep_alive))

    def _caller_address(self, head: Head) -> str:
        """Who sends the request, where proxies that hold the connection name its sender."""
        header = self._server.listen.forwarded_header
        if header == "none":
            return self._address
        return nearest_stranger(self._address, head.section.fields, header, self._server.proxies)

    async def write_answer(self, data: bytes) -> None:
        """Hand bytes to the socket and wait until the client has taken most of them.

        Raises:
            ConnectionError: the client has gone, or was too slow and was hung up on.
        """
        if self.transport is None:
            raise ConnectionResetError
        self._within(self._server.listen.write_seconds, self._reader_is_slow)
        # SECURITY: asyncio's TLS hands one large write down whole, and then counts none of it as unwritten: nobody
        # would wait for a slow reader, and its connection's end would cut the answer off after SHUTDOWN_SECONDS.
        for start in range(0, len(data), _WRITE_BYTES):
            if self.transport is None:
                raise ConnectionResetError
            self.transport.write(data[start : start + _WRITE_BYTES])
            await self._drain_helper()

    async def finish_response(
        self, request: BaseRequest, resp: StreamResponse, start_time: float | None
    ) -> tuple[StreamResponse, bool]:
        resp, reset = await super().finish_response(request, resp, start_time)
        if resp.keep_alive and not reset:
            self._busy = False
            self._await_next()
            if self._server.draining:
                self.hang_up_when_idle()  # the drain began while the answer was being written
        return resp, reset

    def _await_next(self) -> None:
        if not self._unwritten_bytes():
            self._within(self._server.listen.idle_seconds, self.force_close)
        if self._pending:
            self._take_head()

    def _unwritten_bytes(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def _reader_is_slow(self) -> None:
        if self._unwritten_bytes() and self.transport is not None:
            self.transport.abort()
        elif not self._busy:
            self._within(self._server.listen.idle_seconds, self.force_close)

    def hang_up_when_idle(self) -> None:
        """End the connection after the answer under way or the next one, or once it was silent for the linger time."""
        if not self._busy and not self._pending:
            self._within(self._server.linger_seconds, self.force_close)

    def cut_off(self) -> None:
        """End the connection and the request under way, which puts on record that it was cut short."""
        if self.transport is not None:
            self.transport.abort()
        if self.work is not None:
            self.work.cancel()

    # One timer ----------------------------------------------------------------------------------

    def _within(self, seconds: float, otherwise: Callable[[], None]) -> None:
        """One deadline at a time; the timer is set anew only when it fires, so a request costs none."""
        self._deadline = self._loop.time() + seconds
        self._on_deadline = otherwise
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        action = self._on_deadline
        if action is None or self.transport is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._tick)
            return
        self._on_deadline = None
        action()


def _response(answer: WireAnswer) -> StreamResponse:
    resp: Any = answer  # see WireAnswer: all that aiohttp uses of a response, pinned by tests
    return resp  # type: ignore[no-any-return]  # the same


def _as_refusal(error: BaseException) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, LineTooLong):
        return Refusal(Reason.HEAD_TOO_LARGE, note="the parser's limit")
    if isinstance(error, HttpProcessingError):
        return Refusal(Reason.HEAD_MALFORMED, note=f"the parser: {type(error).__name__}")
    return Refusal(Reason.GATEWAY_FAULT, note=type(error).__name__)
