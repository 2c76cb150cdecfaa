"""How many requests the last minutes brought: the counters of now less those of then. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

SPAN_SECONDS = 300.0
EVERY_SECONDS = 10.0

Counts = Mapping[str, Mapping[str, int]]  # by tenant and kind of answer, since the start


def kind_of(code: str) -> str:
    """What a status means to whoever watches."""
    if code.startswith(("2", "3")):
        return "ok"
    if code == "429":
        return "later"
    return "failed" if code.startswith("5") else "refused"


def counts_of(requests: Mapping[tuple[str, ...], int]) -> dict[str, Counter[str]]:
    """From what the metrics count, by tenant, resource, operation and code."""
    counts: dict[str, Counter[str]] = {}
    for (tenant, _, _, code), count in requests.items():
        counts.setdefault(tenant, Counter())[kind_of(code)] += count
    return counts


class Recent:
    """The counters as they were, for the last minutes."""

    def __init__(self, began_at: float) -> None:
        self._kept: deque[tuple[float, Counts]] = deque([(began_at, {})])

    def note(self, now: float, counts: Counts) -> None:
        """To be called every EVERY_SECONDS; `now` in seconds of any clock that does not jump."""
        self._kept.append((now, counts))
        while len(self._kept) > 1 and self._kept[1][0] <= now - SPAN_SECONDS:
            self._kept.popleft()

    def since(self, now: float, counts: Counts) -> tuple[float, dict[str, dict[str, int]]]:
        """For how many seconds, and what came within them."""
        at, then = self._kept[0]
        come = {
            tenant: {kind: count - then.get(tenant, {}).get(kind, 0) for kind, count in kinds.items()}
            for tenant, kinds in counts.items()
        }
        return now - at, come
