"""The writes of one tenant that were held, and in which order those to one resource may go on. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator

from gateway.state.ledger.values import LIVE, HeldWrite, Standing


class HeldWrites:
    """By task; those that later writes must wait for also by resource, in order of arrival."""

    def __init__(self) -> None:
        self.by_task: dict[str, HeldWrite] = {}
        self._queues: dict[str, OrderedDict[str, None]] = {}  # resource -> tasks, the first come first
        self.sequence = 0  # the last that was given

    def __len__(self) -> int:
        return len(self.by_task)

    def next_sequence(self) -> int:
        """A place behind all that came so far."""
        self.sequence += 1
        return self.sequence

    def put(self, write: HeldWrite) -> None:
        """Remember a write, or what became of it."""
        self.by_task[write.task] = write
        self.sequence = max(self.sequence, write.sequence)
        if write.standing in LIVE:
            self._queues.setdefault(write.resource, OrderedDict()).setdefault(write.task)
        else:
            self._leave_queue(write)

    def drop(self, task: str) -> None:
        """Forget a write."""
        self._leave_queue(self.by_task.pop(task))

    def _leave_queue(self, write: HeldWrite) -> None:
        queue = self._queues.get(write.resource, OrderedDict())
        queue.pop(write.task, None)
        if not queue:
            self._queues.pop(write.resource, None)

    def concern(self, resource: str) -> bool:
        """Whether a write to this resource may have to wait for another."""
        return resource in self._queues

    def blocker(self, resource: str, task: str, now: float) -> HeldWrite | None:
        """The first write that this one must wait for; its own place counts if it has one."""
        for earlier in self._queues.get(resource, ()):
            if earlier == task:
                return None
            if not self.by_task[earlier].is_abandoned(now):
                return self.by_task[earlier]
        return None

    def overtaken(self, resource: str, sequence: int) -> list[HeldWrite]:
        """The writes that must not be executed any more once a write of that sequence was."""
        queue = (self.by_task[task] for task in self._queues.get(resource, ()))
        return [write for write in queue if write.sequence < sequence]

    def of(self, hold_id: str, standings: Collection[Standing] = tuple(Standing)) -> Iterator[HeldWrite]:
        """The writes of a hold that stand so, in the order in which they were first held."""
        return (write for write in self.by_task.values() if write.hold == hold_id and write.standing in standings)
