"""A queue of those who wait for one thing, in order of arrival: for turns, places and connections."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Queue:
    """Who waits, the first at the left. Whoever gives up the wait, at whatever moment, leaves no trace."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, pass_on: Callable[[], None]) -> None:
        """Wait until `admit_next` chooses us; `pass_on` is called if it did so just as the wait was given up."""
        chosen = asyncio.get_running_loop().create_future()
        self._waiting.append(chosen)
        try:
            await chosen
        except asyncio.CancelledError:
            if not chosen.cancelled():
                pass_on()
            elif chosen in self._waiting:  # unless `admit_next` has passed it over in the meantime
                self._waiting.remove(chosen)
            raise

    def admit_next(self) -> bool:
        """Choose the first one that still waits; False when there is none."""
        while self._waiting:
            chosen = self._waiting.popleft()
            if not chosen.done():
                chosen.set_result(None)
                return True
        return False
