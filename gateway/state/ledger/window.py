"""The people who lost access lately, and those who may be losing it right now. Pure; every step costs O(1) a person."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable


class Window:
    """Distinct people, each counted once, by the last time they lost access."""

    def __init__(self) -> None:
        self.lost: OrderedDict[str, float] = OrderedDict()  # guard seconds; the longest ago first
        self._reserved: dict[str, int] = {}  # by how many writes in flight
        self._only_reserved = 0  # those of them who are not in `lost`: so that no union is ever built

    @property
    def count(self) -> int:
        """Distinct people, those in flight included."""
        return len(self.lost) + self._only_reserved

    def added_by(self, people: Iterable[str]) -> int:
        """How many of these are not counted yet."""
        added = 0
        for person in people:
            if person not in self.lost and person not in self._reserved:
                added += 1
        return added

    def reserve(self, people: Iterable[str]) -> None:
        """Count people whom a write in flight may take access from; to be released once for each time."""
        for person in people:
            writes = self._reserved.get(person, 0)
            self._reserved[person] = writes + 1
            if not writes and person not in self.lost:
                self._only_reserved += 1

    def release(self, people: Iterable[str]) -> None:
        """A write in flight has ended, however it did."""
        for person in people:
            writes = self._reserved[person] - 1
            if writes:
                self._reserved[person] = writes
                continue
            del self._reserved[person]
            if person not in self.lost:
                self._only_reserved -= 1

    def lose(self, people: Iterable[str], at: float) -> None:
        """They lost access; `at` is never earlier than the last time anybody did."""
        for person in people:
            if person not in self.lost and person in self._reserved:
                self._only_reserved -= 1
            self.lost[person] = at
            self.lost.move_to_end(person)

    def lift(self, seconds: float) -> None:
        """For so long nobody could lose access: it does not count as time."""
        self.lost = OrderedDict((person, at + seconds) for person, at in self.lost.items())

    def forget(self, before: float) -> list[str]:
        """Forget those who lost access before a time; who they were."""
        gone = []
        while self.lost and next(iter(self.lost.values())) < before:
            person, _ = self.lost.popitem(last=False)
            if person in self._reserved:
                self._only_reserved += 1
            gone.append(person)
        return gone
