"""Strangers on record: what they get before identity, and connections that come to nothing, have so many lines a minute
and beyond them a count.

A flood of a hundred thousand requests must fill neither the disk nor the memory. How long a line of theirs may get is
bounded where it is made. No clock of its own: times come in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from socket import AF_INET6, inet_ntop, inet_pton

LINES_PER_ADDRESS = 20
LINES_PER_WINDOW = 1200  # of all addresses together: with the counts, under 2 GB a day at the very worst
WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 1000  # whoever comes beyond them in one window counts as OTHERS
OTHERS = "other"


@dataclass(slots=True)
class Strangers:
    """The present window: lines given to each address, and refusals that got none."""

    began_at: float = 0.0  # monotonic seconds
    _lines: Counter[str] = field(default_factory=Counter)
    _lines_of_all: int = 0
    _suppressed: Counter[str] = field(default_factory=Counter)

    def may_have_a_line(self, address: str) -> bool:
        """Count one refusal; whether it gets a line of its own."""
        origin = _origin(address)
        known = origin in self._lines or len(self._lines) < MAX_ADDRESSES
        if known and self._lines[origin] < LINES_PER_ADDRESS and self._lines_of_all < LINES_PER_WINDOW:
            self._lines[origin] += 1
            self._lines_of_all += 1
            return True
        self._count(origin)
        return False

    def add_suppressed(self, address: str, count: int = 1) -> None:
        """Count refusals without a line; also to give back, by origin, what could not be put on record."""
        self._count(_origin(address), count)

    def _count(self, origin: str, count: int = 1) -> None:
        known = origin in self._suppressed or len(self._suppressed) < MAX_ADDRESSES
        self._suppressed[origin if known else OTHERS] += count

    def window_is_over(self, now: float) -> bool:
        """Whether `take_suppressed` is due."""
        return now - self.began_at >= WINDOW_SECONDS

    def take_suppressed(self, now: float) -> dict[str, int]:
        """Begin a new window; how many refusals of the old one have no line, by where they came from."""
        suppressed = dict(self._suppressed)
        self.began_at, self._lines_of_all = now, 0
        self._lines.clear()
        self._suppressed.clear()
        return suppressed


def _origin(address: str) -> str:
    """An IPv6 caller has 2^64 addresses of one network for the asking, so the network stands for them."""
    if ":" not in address or "/" in address:  # a network is an origin already
        return address
    # A flood asks for it each time, and `ipaddress` would take 15 us.
    packed = inet_pton(AF_INET6, address.partition("%")[0])
    return f"{inet_ntop(AF_INET6, packed[:8] + bytes(8))}/64"
