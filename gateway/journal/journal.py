"""The journal's door for the event loop: lines are written and synced in one thread, in the order they came."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.journal.disk import Disk
from gateway.journal.locks import exclusive
from gateway.journal.recovery import TornTail
from gateway.journal.segments import MakeLine, Segments


class JournalUnavailable(Exception):
    """A line could not be put on record in time; the text says why, for operators."""


class Journal:
    """The audit log of one instance; `async with` holds its directory against every other instance."""

    def __init__(
        self,
        directory: Path,
        *,
        max_segment_bytes: int = 64 << 20,
        time_limit_seconds: float = 5.0,
        disk: Disk | None = None,
    ) -> None:
        self.directory = directory
        self.problem: str | None = None  # why the last append failed; None while all is well
        self.torn: tuple[TornTail, ...] = ()  # what was set aside when the journal was opened
        self._max_segment_bytes = max_segment_bytes
        self._time_limit_seconds = time_limit_seconds
        self._disk = disk or Disk()
        self._stack = ExitStack()
        self._segments: Segments | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    async def __aenter__(self) -> Self:
        """Go on where the last line ended.

        Raises:
            DirectoryInUse: another instance has it.
            OSError: the directory cannot be read or written to.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the line being written, within the time limit, and let the directory go."""
        self._segments = None
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._stack.close)
        self._thread.shutdown(wait=False)
        await asyncio.wait((closing,), timeout=self._time_limit_seconds)

    async def append(self, make_line: MakeLine) -> None:
        """Put one line on record: it would survive a power cut once this returns.

        `make_line` runs in the journal's thread. After a failure the line is not there, but for one case: a disk too
        slow for the time limit may still take it later. The next append tries afresh.

        Raises:
            JournalUnavailable: the disk fails, is full, or is too slow.
        """
        segments = self._segments
        if segments is None:
            raise JournalUnavailable("the journal is not open")
        writing = asyncio.get_running_loop().run_in_executor(self._thread, segments.append, make_line)
        try:
            async with asyncio.timeout(self._time_limit_seconds):
                await writing
        except TimeoutError as error:
            self.problem = f"the disk took longer than {self._time_limit_seconds:g} s"
            raise JournalUnavailable(self.problem) from error
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
            raise JournalUnavailable(self.problem) from error
        self.problem = None

    def _open(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(exclusive(self.directory))
            segments = Segments(self.directory, max_segment_bytes=self._max_segment_bytes, disk=self._disk)
            stack.callback(segments.close)
            self._segments, self.torn, self._stack = segments, segments.torn, stack.pop_all()
