"""Readers of the process's log."""

from __future__ import annotations

from threading import Event


class Stalling:
    """Takes nothing before it `goes_on`; `stalls` says that somebody waits for it."""

    def __init__(self, taken: list[bytes]) -> None:
        self.stalls, self.goes_on = Event(), Event()
        self._taken = taken

    def __call__(self, content: bytes) -> None:
        self.stalls.set()
        assert self.goes_on.wait(10)
        self._taken.append(content)
