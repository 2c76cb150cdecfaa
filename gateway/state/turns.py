"""Turns: writes to one resource go one at a time, in the order in which they came. In memory.

Two writes that overtake each other leave the older state behind; and an application that reads, changes and writes
a group without a lock loses members when two changes meet.
"""

from __future__ import annotations

from gateway.state.queues import Queue

MAX_WAITING = 64  # for one resource


class Turns:
    """Who has the right to write to a resource, by its key, and who waits for it."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}  # a key is here while somebody has its turn

    @property
    def held(self) -> int:
        """How many turns are taken."""
        return len(self._queues)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return sum(map(len, self._queues.values()))

    async def take_at_once(self, key: str) -> bool:
        """Whether the turn was free; if so it is taken until `give_back`."""
        if key in self._queues:
            return False
        self._queues[key] = Queue()
        return True

    async def queue_is_full(self, key: str) -> bool:
        """Whether `wait` would be one too many."""
        return len(self._queues.get(key, ())) >= MAX_WAITING

    async def wait(self, key: str) -> None:
        """Wait until the turn is ours, in order of arrival. Whoever gives up the wait leaves no trace."""
        if await self.take_at_once(key):
            return
        await self._queues[key].wait(lambda: self._pass_on(key))

    async def give_back(self, key: str) -> None:
        """The next one's turn; to be called once for each turn taken, whatever became of the write."""
        self._pass_on(key)

    def _pass_on(self, key: str) -> None:
        if not self._queues[key].admit_next():
            del self._queues[key]
