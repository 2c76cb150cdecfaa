"""Admission: has this client a place now? A rate and a number of requests under way, per tenant, never per address:
an identity provider's addresses are many and shared."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.exchange import Client
from gateway.refusal import Reason, Refusal
from gateway.state.places import Places
from gateway.state.rates import Rates

__all__ = ["Admission"]


class Admission:
    """The door that lets only so many in."""

    def __init__(self, rates: Rates, places: Places, clock: Callable[[], float]) -> None:
        self._rates, self._places = rates, places
        self._clock = clock  # monotonic seconds

    @asynccontextmanager
    async def admit(self, client: Client) -> AsyncIterator[None]:
        """Hold a place until the block ends, however it ends.

        Raises:
            Refusal: RATE_EXCEEDED, NO_PLACE.
        """
        limits = client.tenant.limits
        if not await self._places.take(client.tenant_name, limits.concurrent):
            raise Refusal(Reason.NO_PLACE, note=f"{limits.concurrent} requests under way")
        try:
            wait = await self._rates.take(client.tenant_name, self._clock(), limits.requests_per_second, limits.burst)
            if wait is not None:
                raise Refusal(Reason.RATE_EXCEEDED, retry_after_seconds=math.ceil(wait))
            yield
        finally:
            await self._places.give_back(client.tenant_name)
