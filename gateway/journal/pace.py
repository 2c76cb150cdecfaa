"""How fast lines come: whether the next batch should wait a moment, and so be larger. Pure.

A batch costs as much as half a request. Where many requests a second come, that is worth a millisecond; where few
come, even in bursts, the millisecond is worth more.
"""

from __future__ import annotations

from dataclasses import dataclass

FAST_LINES_PER_SECOND = 1100.0  # 500 writes a second are not fast yet
WINDOW_SECONDS = 0.1


@dataclass(slots=True)
class Pace:
    """Of the lines of one journal; moments are the loop's."""

    is_fast: bool = False  # in the last window that is over
    _began_at: float = 0.0
    _lines: int = 0

    def note(self, lines: int, now: float) -> None:
        """So many lines make up a batch now."""
        lasted = now - self._began_at
        if lasted >= WINDOW_SECONDS:
            self.is_fast = self._lines > FAST_LINES_PER_SECOND * lasted
            self._began_at, self._lines = now, 0
        self._lines += lines
