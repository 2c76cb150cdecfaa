"""Whether the time may be believed. Blocking.

A clock that is years ahead for a minute, as a machine's may be before it is set at a start, must end no log.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.lines import MAX_LINE_BYTES
from gateway.audit.records import written_at
from gateway.journal.recovery import segment_paths

BELIEVED_SECONDS = 2 * 86_400.0
_SET_SECONDS = 3600.0  # a clock that goes so much faster or slower than time itself was set


@dataclass(slots=True)
class SteadyClock:
    """Since when the time of day has gone on as time itself does; both in seconds."""

    began_at: float  # Unix seconds
    began_clock: float  # monotonic

    def is_believed(self, now: float, clock: float) -> bool:
        """Whether it was not set for two days."""
        if abs((now - self.began_at) - (clock - self.began_clock)) > _SET_SECONDS:
            self.began_at, self.began_clock = now, clock
        return clock - self.began_clock >= BELIEVED_SECONDS


def leads_up_to(directory: Path, now: float) -> bool:
    """Whether the log goes on without a gap of two days for the last two, or from its beginning, up to `now`.

    Segments that begin later, which a clock that was ahead leaves behind, say nothing.

    Raises:
        OSError: a segment cannot be read.
    """
    later = now
    for path in reversed(segment_paths(directory)):
        with path.open("rb") as segment:
            began_at = written_at(segment.readline())
            segment.seek(max(0, os.fstat(segment.fileno()).st_size - 2 * MAX_LINE_BYTES))
            ended_at = written_at(segment.read().rpartition(b"\n")[0].rpartition(b"\n")[2])
        if began_at is None or began_at > now:
            continue
        if later - (ended_at or began_at) > BELIEVED_SECONDS:
            return False
        if now - began_at >= BELIEVED_SECONDS:
            return True
        later = began_at
    return True
