"""What has happened and neither the log nor its reserve could take: kept in memory until one of them can. Pure.

A crash before that leaves an act with its intent alone, which the next start tells as interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_BYTES = 4 << 20


@dataclass(slots=True)
class Late:
    """Lines that wait; those beyond MAX_BYTES are not taken."""

    _lines: list[bytes] = field(default_factory=list)
    _size_bytes: int = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: bytes) -> bool:
        """Keep a line, if there is room; whether it is kept."""
        if self._size_bytes + len(line) > MAX_BYTES:
            return False
        self._lines.append(line)
        self._size_bytes += len(line)
        return True

    def take(self) -> tuple[bytes, ...]:
        """All of them; those that cannot be recorded now are to be added again."""
        taken = tuple(self._lines)
        self._lines.clear()
        self._size_bytes = 0
        return taken
