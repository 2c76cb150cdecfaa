"""Standard output, for those who collect what a container prints. A reader that stalls holds up this sink alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.settings.models import StdoutSection
from gateway.sinks.outlets import form_of

# A pipe that may be written to takes this much at once (pipe(7), PIPE_BUF), and never mixes it with the gateway's log.
_PIECE_BYTES = 4096


class StdoutOutlet:
    """The process's standard output; another descriptor for tests."""

    name = "stdout"
    settle_seconds = 0.0  # the kernel has it, and nobody will ever say more

    def __init__(self, section: StdoutSection, *, descriptor: int = 1) -> None:
        self._form = form_of(section.format)
        self._descriptor = descriptor

    def frame(self, line: bytes) -> bytes:
        """One line."""
        return self._form(line) + b"\n"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[StdoutChannel]:
        """It is open, and does not block meanwhile: the gateway's own log may take the room that we waited for."""
        blocked = os.get_blocking(self._descriptor)
        os.set_blocking(self._descriptor, False)
        try:
            yield StdoutChannel(self._descriptor)
        finally:
            os.set_blocking(self._descriptor, blocked)


class StdoutChannel:
    """A descriptor that others write to as well."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def send(self, content: bytes) -> None:
        """Whole lines at once, as far as they are short enough; waits for a slow reader as long as that takes."""
        while content:
            piece = _piece(content)
            await self._wait_until_it_takes_more()
            with suppress(BlockingIOError):
                content = content[os.write(self._descriptor, piece) :]

    @property
    def has_ended(self) -> bool:
        """A reader that is gone shows when something is written."""
        return False

    async def _wait_until_it_takes_more(self) -> None:
        loop, takes_more = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_writer(self._descriptor, takes_more.set)
        except PermissionError:  # a file: it always does
            return
        try:
            await takes_more.wait()
        finally:
            loop.remove_writer(self._descriptor)


def _piece(content: bytes) -> bytes:
    """Whole lines that fit, or a part of one that does not."""
    end = content.rfind(b"\n", 0, _PIECE_BYTES) + 1
    return content[: end or _PIECE_BYTES]
