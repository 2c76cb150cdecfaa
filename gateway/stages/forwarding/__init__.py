"""Forwarding: the one stage that talks to what lies inside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.caller import Caller
from gateway.exchange import Client, Delivery, Operation, RequestId
from gateway.stages.forwarding.breaker import State
from gateway.stages.forwarding.health import Health, ProbeResult
from gateway.stages.forwarding.node import Node
from gateway.stages.forwarding.requests import question, upstream_request
from gateway.stages.forwarding.upstream import Transition, Upstream, open_upstreams

__all__ = ["Forwarding", "Health", "Node", "ProbeResult", "State", "Transition", "Upstream", "open_upstreams"]


class Forwarding:
    """Takes operations to their tenant's upstream. Whoever opened the upstreams closes them."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self.upstreams = upstreams  # by tenant name

    async def forward(self, operation: Operation, client: Client, request_id: RequestId, caller: Caller) -> Delivery:
        """Take an operation to its upstream within what is left of the tenant's budget.

        What has been sent runs to its end though its caller hangs up; nothing is begun for a caller who has gone.
        Never raises for the upstream's faults, so that every attempt gets on record.

        Raises:
            Refusal: TARGET_MALFORMED or FIELD_MALFORMED for what cannot be sent as it was judged.
        """
        upstream = self.upstreams[client.tenant_name]
        limits = client.tenant.limits
        until = caller.began_at + limits.budget_seconds
        latest_start = until - limits.write_needs_seconds if operation.writes else until
        request = upstream_request(operation, upstream.tenant, request_id, upstream.authorization)
        return await upstream.deliver(request, caller, latest_start, until)

    async def ask(self, tenant_name: str, target: str, request_id: RequestId | None, caller: Caller) -> Delivery:
        """Read something for our own use, such as "/Groups/1"; on behalf of a write, which needs time left to leave.

        Never raises for the upstream's faults.

        Raises:
            Refusal: TARGET_MALFORMED.
        """
        upstream = self.upstreams[tenant_name]
        limits = upstream.tenant.limits
        until = caller.began_at + limits.budget_seconds - limits.write_needs_seconds
        request = question(target, upstream.tenant, request_id, upstream.authorization)
        return await upstream.deliver(request, caller, until, until)

    def reserve(self, client: Client) -> Upstream:
        """Keep the client's upstream open until its `release`.

        Raises:
            Refusal: STOPPING.
        """
        upstream = self.upstreams[client.tenant_name]
        upstream.reserve()
        return upstream

    async def aclose(self) -> None:
        """Close every upstream, each after the requests under way there."""
        async with asyncio.TaskGroup() as closing:
            for upstream in self.upstreams.values():
                closing.create_task(upstream.aclose())
