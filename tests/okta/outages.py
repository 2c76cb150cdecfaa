"""When the application's nodes are well, and how they are otherwise. Pure.

schedule = Schedule((Outage(NOW + 60, NOW + 4 * 3600, State.DOWN), Outage(NOW + 10, NOW + 20, State.DARK, "node-1")))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How a node is."""

    UP = "up"
    DOWN = "down"  # its connections are lost, new ones refused
    DARK = "dark"  # every packet is lost: silence
    RESTARTING = "restarting"  # its connections are lost; new ones are answered 503 with a page for people
    SLOW = "slow"  # it does everything, but late


LOSES_CONNECTIONS = frozenset({State.DOWN, State.RESTARTING})


@dataclass(frozen=True, slots=True)
class Outage:
    """A node is in `state` from `begins_at` on (Unix seconds), until before `ends_at`; no node named: all are."""

    begins_at: float
    ends_at: float
    state: State
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """All outages; where two overlap, the later in the tuple holds."""

    outages: tuple[Outage, ...] = ()

    def state(self, node: str, now: float) -> State:
        for outage in reversed(self.outages):
            if outage.node in (None, node) and outage.begins_at <= now < outage.ends_at:
                return outage.state
        return State.UP

    def next_change(self, now: float) -> float | None:
        """The next time after `now` when any node's state may change."""
        return min((at for at in self._borders() if at > now), default=None)

    def _borders(self) -> Sequence[float]:
        return [at for outage in self.outages for at in (outage.begins_at, outage.ends_at)]


def rolling_restart(
    nodes: Sequence[str], *, begins_at: float, down_seconds: float, starting_seconds: float
) -> Schedule:
    """One node after the other goes down, answers 503 while it starts, and is back before the next goes."""
    outages: list[Outage] = []
    for node in nodes:
        starts_at = begins_at + down_seconds
        ready_at = starts_at + starting_seconds
        outages.append(Outage(begins_at, starts_at, State.DOWN, node))
        outages.append(Outage(starts_at, ready_at, State.RESTARTING, node))
        begins_at = ready_at
    return Schedule(tuple(outages))
