"""Repeats: what a client was told to try again, so that its next attempt is known for one. In memory.

Okta says how it spaces its attempts in a page that can be read in two ways; the gaps seen here tell which one holds.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_TASKS = 20_000  # some 4 MB; the oldest is forgotten first
KEPT_SECONDS = 48 * 3600.0  # ten attempts, a minute doubled each time, are over in 17 hours


@dataclass(slots=True)
class _PutOff:
    attempts: int
    at: float  # Unix seconds


class Repeats:
    """Tasks that were put off, by a digest of what they ask for."""

    def __init__(self, max_tasks: int = MAX_TASKS) -> None:
        self._tasks: OrderedDict[bytes, _PutOff] = OrderedDict()
        self._max_tasks = max_tasks

    def __len__(self) -> int:
        return len(self._tasks)

    async def note(self, task: bytes, now: float, *, put_off: bool) -> tuple[int, float] | None:
        """A task was tried at `now` (Unix seconds), and is to be tried again or not.

        Which attempt it is (2 or more), and how many seconds after the last one it came; None for a first attempt.
        """
        before = self._tasks.pop(task, None)
        if before is not None and now - before.at > KEPT_SECONDS:
            before = None
        if put_off:
            self._tasks[task] = _PutOff(before.attempts + 1 if before else 1, now)
            if len(self._tasks) > self._max_tasks:
                self._tasks.popitem(last=False)
        return (before.attempts + 1, max(0.0, now - before.at)) if before else None
