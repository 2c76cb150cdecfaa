"""One connection to a node of the upstream: one request, one answer, and then the next, or the end of it.

It always knows how far a request came. That decides whether it may be sent again, so in doubt it was sent.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from math import inf

from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding.answers import WireAnswer
from gateway.stages.forwarding.reader import AnswerReader

# Linux' struct tcp_info: tcpi_state, and at 120 tcpi_bytes_acked, since 4.1.
_STATE_AND_BYTES_ACKED = struct.Struct("=B119xQ")
_CLOSED = 7  # TCP_CLOSE: ours was open, and the peer's RST came
_PROOF_SECONDS = (0.0, 0.001, 0.004, 0.015, 0.03, 0.05)  # a RST takes a round trip; a delayed ACK 40 ms


class Lost(Exception):
    """The connection ended without an answer; `unsent` only if provably nobody read a byte of the request."""

    def __init__(self, note: str, *, unsent: bool = False) -> None:
        super().__init__(note)
        self.note = note
        self.unsent = unsent


class UpstreamConnection(asyncio.Protocol):
    """A connection that takes bytes only while a request waits for its answer."""

    __slots__ = (
        "_acked", "_answer", "_deadline", "_loop", "_on_lost", "_poller", "_reader", "_socket",
        "_timer", "_transport", "_used", "_whole_at", "_witness", "ends_at",
        "idle_since",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, ends_at: float) -> None:
        self.ends_at = ends_at  # loop seconds
        self.idle_since = 0.0  # loop seconds
        self._loop = loop
        self._transport: asyncio.Transport | None = None  # None: not yet, or no longer, connected
        self._socket: socket.socket | None = None
        self._poller: select.poll | None = None
        self._reader: AnswerReader | None = None
        self._answer: asyncio.Future[WireAnswer] | None = None
        self._acked: int | None = None  # bytes, before the request
        self._witness: socket.socket | None = None
        self._used = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = self._whole_at = inf  # loop seconds
        self._on_lost: Callable[[UpstreamConnection], None] | None = None

    # For whoever sends ------------------------------------------------------------------------------

    @property
    def was_used(self) -> bool:
        """Whether an earlier request was answered here: only then is its peer's hanging up no fault."""
        return self._used

    @property
    def is_connected(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def is_fit(self) -> bool:
        """Whether another request may be sent: nothing has come, nor the end, while it was idle."""
        return self.is_connected and self._loop.time() < self.ends_at and not self._has_unread_input()

    def when_lost(self, callback: Callable[[UpstreamConnection], None]) -> None:
        """Have a callback told when the connection ends while it is idle."""
        self._on_lost = callback

    async def ask(
        self, request: bytes, max_answer_bytes: int, first_byte_at: float, whole_at: float, *, proof: bool = True
    ) -> WireAnswer:
        """Send a request and wait for its whole answer; the moments are loop seconds.

        Without `proof` it is not looked into whether the peer read anything, which costs a system call or two.

        Raises:
            Lost: the connection ended without an answer.
            TimeoutError: it did not come in time.
            Refusal: UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise Lost("closed before anything was sent", unsent=True)
        self._reader = AnswerReader(max_answer_bytes)
        self._answer = self._loop.create_future()
        known = _state_and_bytes_acked(self._socket) if proof else None
        self._acked = known[1] if known is not None else None
        self._whole_at = whole_at
        self._end_at(min(first_byte_at, whole_at))
        try:
            transport.write(request)
            return await self._answer
        except Lost as lost:
            if self._witness is not None and await self._nothing_was_read(self._witness):
                raise Lost(lost.note, unsent=True) from lost
            raise
        except BaseException:
            self.abort()
            raise
        finally:
            self._reader = self._answer = None
            if self._witness is not None:
                self._witness.close()
                self._witness = None

    @property
    def may_be_kept(self) -> bool:
        """Whether the answer that just came leaves the connection fit for another request."""
        return self._used and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Give the connection up at once: neither the rest of a request nor a TLS farewell is worth waiting for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses of asyncio.Transport
        self._socket = transport.get_extra_info("socket")
        if self._socket is not None and self._socket.fileno() >= 0:
            self._poller = select.poll()
            self._poller.register(self._socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        reader, answer = self._reader, self._answer
        if reader is None or answer is None or answer.done():
            # SECURITY: it answers nothing. The next request's sender would get what another one asked for.
            self.abort()
            return
        if not reader.begun:
            self._end_at(self._whole_at)
        try:
            whole = reader.feed(data)
        except Refusal as refusal:
            self._fail(refusal)
            return
        if whole:
            self._finish(reader, answer)

    def eof_received(self) -> None:
        reader, answer = self._reader, self._answer
        if reader is None or answer is None or answer.done():
            return
        if reader.end():
            self._finish(reader, answer)
        elif reader.begun:
            self._fail(Refusal(Reason.UPSTREAM_BROKEN, note="the answer was cut short"))
        else:
            self._keep_a_witness()
            self._fail(Lost("closed without an answer"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._socket = self._poller = None
        begun = self._reader is not None and self._reader.begun
        told = type(exc).__name__ if exc is not None else "closed"
        error: Exception = Lost(f"the connection broke: {told}")
        if begun:
            error = Refusal(Reason.UPSTREAM_BROKEN, note=f"the answer was cut short: {told}")
        error.__cause__ = exc
        self._fail(error)
        if self._on_lost is not None:
            self._on_lost(self)

    # ------------------------------------------------------------------------------------------------

    def _finish(self, reader: AnswerReader, answer: asyncio.Future[WireAnswer]) -> None:
        assert reader.answer is not None  # noqa: S101 - it is whole
        self._deadline = inf
        answer.set_result(reader.answer)
        transport = self._transport
        if reader.keeps_connection and transport is not None and not transport.get_write_buffer_size():
            self._used = True
        else:  # it will close, or it has not read the whole request
            self.abort()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()

    def _end_at(self, deadline: float) -> None:
        """One timer a connection; it is set anew only when it fires too early, so most requests cost none."""
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._answer is None or self._deadline == inf:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._tick)
            return
        begun = self._reader is not None and self._reader.begun
        self._fail(TimeoutError("no complete answer in time" if begun else "no answer in time"))

    def _has_unread_input(self) -> bool:
        """Whether bytes, or the end of the connection, wait in the kernel where the loop has not seen them yet."""
        return self._poller is not None and bool(self._poller.poll(0))

    def _keep_a_witness(self) -> None:
        """Hold on to the socket, for what its kernel knows of it is asked when the transport has long closed it."""
        if self._acked is not None and self._socket is not None:
            with suppress(OSError):
                self._witness = socket.socket(fileno=os.dup(self._socket.fileno()))

    async def _nothing_was_read(self, witness: socket.socket) -> bool:
        """Whether the peer hung up for good before its kernel had taken a single byte of the request.

        Only where it said so with FIN, and then answered our bytes with RST: it had closed, so nobody was left to read
        them, and none was acknowledged. A FIN alone may be the end of its sending half, with a reader behind it, whose
        kernel may delay its acknowledgement. After a RST without FIN nobody knows, for it acknowledges nothing.
        """
        for seconds in _PROOF_SECONDS:
            await asyncio.sleep(seconds)  # no event tells
            known = _state_and_bytes_acked(witness)
            if known is None or known[1] != self._acked:
                return False
            if known[0] == _CLOSED:
                return True
        return False


def _state_and_bytes_acked(sock: socket.socket | None) -> tuple[int, int] | None:
    """A connection's state, and how many bytes of ours the peer's kernel has acknowledged (RFC 4898).

    None where nobody can say.
    """
    if sock is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        state, acked = _STATE_AND_BYTES_ACKED.unpack_from(info)
    except (OSError, struct.error, AttributeError):
        return None
    return state, acked
