"""Forwarding: the one stage that talks to what lies inside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from gateway.exchange import Client, Delivery, Operation, Request
from gateway.refusal import Reason
from gateway.stages.forwarding.health import Health, ProbeResult, after_delivery, after_probe
from gateway.stages.forwarding.requests import upstream_request
from gateway.stages.forwarding.upstream import Upstream, open_upstreams

log = logging.getLogger(__name__)

__all__ = ["Forwarding", "Health", "ProbeResult", "Upstream", "open_upstreams"]


class Forwarding:
    """Takes operations to their tenant's upstream. Whoever opened the upstreams closes them."""

    def __init__(self, upstreams: Mapping[str, Upstream], now: Callable[[], float] = time.time) -> None:
        self.upstreams = upstreams  # by tenant name
        self._now = now  # Unix seconds

    async def forward(self, operation: Operation, client: Client, request: Request) -> Delivery:
        """Send the operation once, within what is left of the tenant's budget; never raises for the upstream's faults.

        Raises:
            Refusal: STOPPING; TARGET_MALFORMED or FIELD_MALFORMED for what cannot be sent as it was judged.
        """
        upstream = self.upstreams[client.tenant_name]
        budget = client.tenant.limits.budget_seconds
        left = min(budget, budget - (self._now() - request.received_at))  # a clock set back grants nothing
        if left <= 0:
            return Delivery((), None, Reason.UPSTREAM_TIMEOUT, "no time was left to ask the upstream")
        delivery = await upstream.deliver(upstream_request(operation, upstream.tenant, request.id), left)
        _take(client.tenant_name, upstream, after_delivery(upstream.health, delivery, self._now()))
        return delivery

    def reserve(self, client: Client) -> AbstractAsyncContextManager[None]:
        """Keep the client's upstream open until the block ends, for a reload may come while a body is read.

        Raises:
            Refusal: STOPPING.
        """
        return self.upstreams[client.tenant_name].in_use()

    async def probe(self, tenant_name: str) -> ProbeResult:
        """Ask a tenant's upstream, without a credential, whether it is there; its health takes note."""
        upstream = self.upstreams[tenant_name]
        result = await upstream.probe()
        _take(tenant_name, upstream, after_probe(upstream.health, result, self._now()))
        return result

    async def probe_all(self) -> None:
        """Probe every upstream once, all at a time."""
        async with asyncio.TaskGroup() as probes:
            for name in self.upstreams:
                probes.create_task(self.probe(name))

    async def aclose(self) -> None:
        """Close every upstream, each after the requests under way there."""
        async with asyncio.TaskGroup() as closing:
            for upstream in self.upstreams.values():
                closing.create_task(upstream.aclose())


def _take(tenant_name: str, upstream: Upstream, health: Health) -> None:
    """Note an upstream's health, and say in the log when it has changed."""
    before, upstream.health = upstream.health.healthy, health
    if health.healthy is False and before is not False:
        log.warning(
            "the upstream does not serve: %s", health.note, extra={"tenant": tenant_name, "node": upstream.node}
        )
    elif health.healthy and before is False:
        log.warning("the upstream serves again", extra={"tenant": tenant_name, "node": upstream.node})
