"""What has happened and neither the log nor its reserve could take: kept in memory until one of them can. Pure.

A crash before that leaves an act with its intent alone, which the next start tells as interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

# SECURITY: acts have room of their own. Whoever goes on sending while the disk is full makes as many refused writes as
# he likes, and their lines must not take the place of what the application has done.
MAX_ACT_BYTES = 3 << 20
MAX_OTHER_BYTES = 1 << 20


@dataclass(slots=True)
class Late:
    """Lines that wait; those beyond `max_bytes` are not taken."""

    max_bytes: int
    _lines: dict[int, bytes] = field(default_factory=dict)  # in their order
    _size_bytes: int = 0
    _added: int = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: bytes) -> bool:
        """Keep a line, if there is room; whether it is kept."""
        if self._size_bytes + len(line) > self.max_bytes:
            return False
        self._lines[self._added] = line
        self._added += 1
        self._size_bytes += len(line)
        return True

    def first(self, most: int) -> tuple[tuple[int, bytes], ...]:
        """The oldest of them, each with its number here; they stay until they are removed."""
        return tuple(islice(self._lines.items(), most))

    def remove(self, numbers: Iterable[int]) -> None:
        """These are on record."""
        for number in numbers:
            self._size_bytes -= len(self._lines.pop(number, b""))
