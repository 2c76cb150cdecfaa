"""Makes the families of metrics in one registry, and remembers what each is, for docs/metrics.md and the tests."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge

from gateway.metrics.collectors import FollowedTally, Labels, Spread, Tally

PREFIX = "scim_gateway"


@dataclass(frozen=True, slots=True)
class Family:
    """What an operator must know of one family."""

    name: str  # as it is asked for, with the prefix; a counter's with "_total"
    kind: str  # "counter", "gauge", "histogram"
    labels: Labels
    documentation: str


class Families:
    """A factory. Names are given without the prefix, a counter's without "_total" too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.made: list[Family] = []
        self._registry = registry

    def tally(self, name: str, documentation: str, labels: Labels = ()) -> defaultdict[Labels, int]:
        """A counter; add to what is returned."""
        return Tally(self._note(name, "counter", labels, documentation), documentation, labels, self._registry).counts

    def followed(self, name: str, documentation: str, label: str) -> FollowedTally:
        """A counter that somebody else keeps."""
        return FollowedTally(self._note(name, "counter", (label,), documentation), documentation, label, self._registry)

    def spread(self, name: str, documentation: str, bounds: tuple[float, ...], labels: Labels = ()) -> Spread:
        """A histogram."""
        full = self._note(name, "histogram", labels, documentation)
        return Spread(full, documentation, labels, bounds, self._registry)

    def gauge(self, name: str, documentation: str, labels: Labels = ()) -> Gauge:
        """A value that goes up and down; the library's, for nothing sets one on a request's way."""
        return Gauge(self._note(name, "gauge", labels, documentation), documentation, labels, registry=self._registry)

    def _note(self, name: str, kind: str, labels: Labels, documentation: str) -> str:
        full = f"{PREFIX}_{name}"
        self.made.append(Family(f"{full}_total" if kind == "counter" else full, kind, labels, documentation))
        return full
