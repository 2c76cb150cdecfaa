"""The one who waits for an answer: what the pipeline may ask of whoever is connected, and how long it may wait.

A part of its own, between the server that has the connection and the stages that wait on the caller's behalf.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gateway.refusal import Reason, Refusal


class Caller(Protocol):
    """One request's sender, until it has its answer."""

    began_at: float  # loop seconds: when the request's head was whole
    on_gone: Callable[[], None] | None  # called once when it hangs up; for `patience` alone

    @property
    def is_gone(self) -> bool:
        """Whether it has hung up."""
        ...

    async def read_body(self, max_bytes: int, max_seconds: float) -> bytes:
        """Read the body; asks for it (100-continue) only when called.

        Raises:
            Refusal: BODY_TOO_LARGE, BODY_TIMEOUT, FRAMING_AMBIGUOUS (a malformed chunk), CLIENT_GONE.
        """
        ...


@dataclass(slots=True)
class Ourselves:
    """The gateway itself asks: it has no body and never hangs up."""

    began_at: float
    on_gone: Callable[[], None] | None = None
    is_gone: bool = False

    async def read_body(self, max_bytes: int, max_seconds: float) -> bytes:
        """Nothing."""
        return b""


@asynccontextmanager
async def patience(caller: Caller, until: float, what: str) -> AsyncIterator[None]:
    """Let the block wait until a moment (loop seconds), and no longer than its caller does.

    For waits before anything is sent: what has been sent must run to its end, whoever hangs up.

    Raises:
        Refusal: CLIENT_GONE; QUEUE_TIMEOUT, which says for `what` it waited.
    """
    if caller.is_gone:
        raise Refusal(Reason.CLIENT_GONE, note=f"before it waited for {what}")
    limit = asyncio.timeout_at(until)
    try:
        async with limit:
            caller.on_gone = partial(_end, limit)
            try:
                yield
            finally:
                caller.on_gone = None
    except TimeoutError as error:
        if not limit.expired():
            raise  # the block's own
        if caller.is_gone:
            raise Refusal(Reason.CLIENT_GONE, note=f"while it waited for {what}") from error
        raise Refusal(Reason.QUEUE_TIMEOUT, note=f"waited too long for {what}") from error


def _end(limit: asyncio.Timeout) -> None:
    with suppress(RuntimeError):  # it has just ended by itself
        limit.reschedule(0)
