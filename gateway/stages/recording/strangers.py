"""Strangers on record: refusals before identity get so many lines per address and minute, then a count.

A flood of a hundred thousand requests must fill neither the disk nor the memory. Pure but for its own table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LINES_PER_WINDOW = 20
WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 4096  # whoever comes beyond them in one window counts as OTHERS
OTHERS = "other"


@dataclass(slots=True)
class Strangers:
    """The present window's refusals, by address."""

    began_at: float = 0.0  # monotonic seconds
    _seen: dict[str, int] = field(default_factory=dict)

    def may_have_a_line(self, address: str) -> bool:
        """Count one refusal; whether it gets a line of its own."""
        key = address if address in self._seen or len(self._seen) < MAX_ADDRESSES else OTHERS
        self._seen[key] = self._seen.get(key, 0) + 1
        return key != OTHERS and self._seen[key] <= LINES_PER_WINDOW

    def window_is_over(self, now: float) -> bool:
        """Whether `take_suppressed` is due."""
        return now - self.began_at >= WINDOW_SECONDS

    def take_suppressed(self, now: float) -> dict[str, int]:
        """Begin a new window; how many refusals of the old one have no line, by address."""
        suppressed = {
            key: count - (0 if key == OTHERS else LINES_PER_WINDOW)
            for key, count in self._seen.items()
            if key == OTHERS or count > LINES_PER_WINDOW
        }
        self.began_at, self._seen = now, {}
        return suppressed
