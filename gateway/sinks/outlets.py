"""What a sink writes to: something that is opened, takes bytes in order, and may end at any time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from gateway.audit.ocsf import ocsf_event

Form = Literal["json", "ocsf"]


class Channel(Protocol):
    """An open way out."""

    async def send(self, content: bytes) -> None:
        """Hand over all of it.

        Raises:
            OSError: it is not open any more, or takes too long (TimeoutError is one).
        """

    @property
    def has_ended(self) -> bool:
        """Whether the other side is known to be gone."""


class Outlet(Protocol):
    """A way out, whether it is open or not."""

    @property
    def name(self) -> str:
        """As metrics and the cursor's file call it."""

    @property
    def settle_seconds(self) -> float:
        """What was handed over longer ago than this, on a channel that lives on, has arrived."""

    def frame(self, line: bytes) -> bytes:
        """The bytes that stand for a line (without its newline)."""

    def open(self) -> AbstractAsyncContextManager[Channel]:
        """Open it; entering raises OSError when it cannot be."""


def form_of(name: Form) -> Callable[[bytes], bytes]:
    """What turns a line into the text that is sent."""
    return ocsf_event if name == "ocsf" else _as_it_stands


def _as_it_stands(line: bytes) -> bytes:
    return line
