"""The thread that writes the process's log: whoever reads standard output may stall, and the gateway goes on.

SECURITY: a write in the event loop would wait for that reader, and with it every request, health checks too.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread
from typing import TypeAlias

MAX_WAITING_CHARS = 4 << 20  # some ten thousand lines; as many again may be with the thread
GATHERING_SECONDS = 0.01
# A pipe takes this much whole (pipe(7), PIPE_BUF): lines of the audit log that go the same way stand between ours.
_PIECE_BYTES = 4096

Write: TypeAlias = Callable[[bytes], object]


class LineWriter:
    """Lines in order, as far as there is room; where some are missing, `gap` says how many, as a line."""

    def __init__(self, write: Write, gap: Callable[[int], str], *, max_waiting_chars: int = MAX_WAITING_CHARS) -> None:
        """`write` is called by the thread alone, and may take as long as it likes."""
        self._write, self._gap, self._max_waiting_chars = write, gap, max_waiting_chars
        self._changed = Condition()
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._dropped = 0  # lines since the last that has a place
        self._writing = self._draining = False
        # Nobody waits for it at the end but `drain`, and that not for long.
        Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: str) -> None:
        """One line with its newline; drops it when too much waits. Never waits itself."""
        with self._changed:
            # Once one is dropped so are all that follow, until the thread comes back: one gap, told in its place.
            if self._dropped or self._waiting_chars + len(line) > self._max_waiting_chars:
                self._dropped += 1
                return
            self._waiting.append(line)
            self._waiting_chars += len(line)
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until all is written, so long at most; whether it is."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()
            is_written = self._changed.wait_for(lambda: not self._waiting and not self._writing, seconds)
            self._draining = False
            return is_written

    def _run(self) -> None:
        while True:
            content = self._take()
            # Nobody takes them: the pipe's reader is gone, the disk full. To say so would be one more such line.
            with suppress(OSError):
                self._write(content)
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _take(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            # To wake this thread for each line would cost a request a tenth of its time.
            self._changed.wait_for(lambda: self._draining, GATHERING_SECONDS)
            lines, dropped = self._waiting, self._dropped
            self._waiting, self._waiting_chars, self._dropped = [], 0, 0
            self._writing = True
        if dropped:
            lines.append(self._gap(dropped))
        return "".join(lines).encode("utf-8", "backslashreplace")


def to_descriptor(descriptor: int) -> Write:
    """Writes to a descriptor, which may be told not to block: libuv does so where it waits for one."""

    def write(content: bytes) -> None:
        begin = 0
        while begin < len(content):
            try:
                begin += os.write(descriptor, _piece(content, begin))
            except BlockingIOError:
                _wait_until_it_takes_more(descriptor)

    return write


def _piece(content: bytes, begin: int) -> bytes:
    """Whole lines that fit, or a part of one that does not."""
    end = content.rfind(b"\n", begin, begin + _PIECE_BYTES) + 1
    return content[begin : end or begin + _PIECE_BYTES]


def _wait_until_it_takes_more(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
