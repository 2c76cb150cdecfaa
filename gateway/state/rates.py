"""Rates by GCRA, the generic cell rate algorithm: one number per tenant, no timer, no window edges."""

from __future__ import annotations


def gcra(theoretical_arrival: float, now: float, rate: float, burst: int) -> tuple[float, float | None]:
    """Judge one request: (state, None) admits it, (state, seconds to wait) does not. Pure.

    `theoretical_arrival` is when the next request would come if all came evenly, `rate` is per second, `burst` is how
    many may come at once. A refused request costs nothing. A state from a slower rate is cut to what these limits could
    have come to, else a raised limit would be felt minutes later.
    """
    interval = 1 / rate
    earliest = min(max(theoretical_arrival, now), now + burst * interval)
    wait = earliest - now - (burst - 1) * interval
    if wait > 1e-9:  # rounding shall not refuse the last of a burst
        return earliest, wait
    return earliest + interval, None


class Rates:
    """The rate of each tenant, in memory."""

    def __init__(self) -> None:
        self._arrivals: dict[str, float] = {}  # tenant name -> theoretical arrival, on the monotonic clock

    async def take(self, tenant_name: str, now: float, rate: float, burst: int) -> float | None:
        """None when the request is within the rate, else how many seconds to wait."""
        arrival, wait = gcra(self._arrivals.get(tenant_name, 0.0), now, rate, burst)
        self._arrivals[tenant_name] = arrival
        return wait
