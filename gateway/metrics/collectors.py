"""Counters and histograms that cost a dictionary entry a request: prometheus_client formats them when it is asked.

The library's own take a lock and a float object a step, a dozen times a request. These belong to the event loop's
thread, which also answers the scrape, so they need neither.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter. Add with `tally.counts[labels] += 1`."""

    def __init__(self, name: str, documentation: str, labels: Labels, registry: CollectorRegistry) -> None:
        self.counts: defaultdict[Labels, int] = defaultdict(int)
        self._name, self._documentation, self._labels = name, documentation, labels
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield _counters(self._name, self._documentation, self._labels, self.counts.items())


class FollowedTally(Collector):
    """A counter with one label that somebody else keeps; read when the metrics are."""

    def __init__(self, name: str, documentation: str, label: str, counts: Mapping[str, int]) -> None:
        self._name, self._documentation, self._label, self._counts = name, documentation, label, counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        items = (((value,), count) for value, count in tuple(self._counts.items()))
        yield _counters(self._name, self._documentation, (self._label,), items)


def _counters(
    name: str, documentation: str, labels: Labels, items: Iterable[tuple[Labels, int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in tuple(items):
        family.add_metric(values, count)
    return family


class Buckets:
    """One histogram's numbers."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value in the first bucket that it is not above."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Spread(Collector):
    """A histogram. Add with `spread.of[labels].observe(value)`."""

    def __init__(
        self, name: str, documentation: str, labels: Labels, bounds: tuple[float, ...], registry: CollectorRegistry
    ) -> None:
        self.of: defaultdict[Labels, Buckets] = defaultdict(lambda: Buckets(bounds))
        self._name, self._documentation, self._labels = name, documentation, labels
        if not labels:
            self.of[()] = Buckets(bounds)
        registry.register(self)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, buckets in tuple(self.of.items()):
            total, cumulated = 0, []
            for bound, count in zip((*buckets.bounds, float("inf")), buckets.counts, strict=True):
                total += count
                cumulated.append((floatToGoString(bound), total))  # type: ignore[no-untyped-call]  # the library's omission
            family.add_metric(values, cumulated, sum_value=buckets.sum)
        yield family
