"""The guard's clock: seconds that never go back and never jump, whatever is done to the wall clock. Pure.

A clock set forward by an hour would empty every window, one set back would fill them for good. So time goes on by the
monotonic clock alone while the process lives; only what passed between two processes is taken from the wall.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by both clocks, kept with the ledger so that the next process can go on from it."""

    guard: float
    wall: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class GuardClock:
    """Guard seconds of one process. They begin as Unix seconds, and stay so while nobody sets the wall clock."""

    guard_at_start: float
    monotonic_at_start: float

    @classmethod
    def started(cls, last: Moment | None, wall: float, monotonic: float) -> GuardClock:
        """Go on from the last moment that was kept; a wall clock that was set back since counts as no time."""
        guard = wall if last is None else last.guard + max(0.0, wall - last.wall)
        return cls(guard, monotonic)

    def now(self, monotonic: float) -> float:
        """Guard seconds."""
        return self.guard_at_start + max(0.0, monotonic - self.monotonic_at_start)

    def moment(self, wall: float, monotonic: float) -> Moment:
        """What to keep."""
        return Moment(self.now(monotonic), wall)
