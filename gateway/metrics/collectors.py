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
from prometheus_client.samples import Exemplar
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
    """A counter with one label that somebody else keeps in `counts`; read when the metrics are."""

    def __init__(self, name: str, documentation: str, label: str, registry: CollectorRegistry) -> None:
        self.counts: Mapping[str, int] = {}
        self._name, self._documentation, self._label = name, documentation, label
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        items = (((value,), count) for value, count in tuple(self.counts.items()))
        yield _counters(self._name, self._documentation, (self._label,), items)


def _counters(
    name: str, documentation: str, labels: Labels, items: Iterable[tuple[Labels, int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in tuple(items):
        family.add_metric(values, count)
    return family


class Buckets:
    """One histogram's numbers, and for each bucket the last request that fell into it, if it is told of them."""

    __slots__ = ("bounds", "counts", "examples", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.examples: dict[int, tuple[str, float, float]] = {}  # by bucket: request id, value, Unix seconds

    def observe(self, value: float) -> None:
        """Count a value in the first bucket that it is not above."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_request(self, value: float, request_id: str, at: float) -> None:
        """Count a value, and keep whose it was; `at` in Unix seconds."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.sum += value
        self.examples[bucket] = (request_id, value, at)

    def cumulated(self) -> Iterator[tuple[str, float, Exemplar | None]]:
        """Each bucket's bound, how many values lie below it, and the example of the bucket."""
        total = 0
        for bucket, (bound, count) in enumerate(zip((*self.bounds, float("inf")), self.counts, strict=True)):
            total += count
            example = self.examples.get(bucket)
            exemplar = Exemplar({"trace_id": example[0]}, example[1], example[2]) if example else None
            yield floatToGoString(bound), total, exemplar  # type: ignore[no-untyped-call]  # the library's omission


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
            shown = [(le, total, example) if example else (le, total) for le, total, example in buckets.cumulated()]
            family.add_metric(values, shown, sum_value=buckets.sum)
        yield family
