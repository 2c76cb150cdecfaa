"""How many people a tenant's directory has: asked of the upstream now and then, for a wave is a share of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gateway.exchange import Delivery
from gateway.settings.models import Tenant
from gateway.stages.guarding.groups import document_of, total_of

FRESH_SECONDS = 900.0
AGAIN_SECONDS = 60.0  # after a question without an answer
QUESTION = "/Users?startIndex=1&count=1"

Ask = Callable[[str], Awaitable[Delivery]]
"""Reads something of a tenant's upstream, such as "/Groups/1"."""


class Directories:
    """The sizes learned so far, by tenant. A question that fails leaves what was known."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.sizes: dict[str, int] = {}
        self._clock = clock  # monotonic seconds
        self._due: dict[str, float] = {}
        self._asking: dict[str, asyncio.Event] = {}

    def size_of(self, tenant_name: str, tenant: Tenant) -> int | None:
        """How many people there are; None while nobody knows."""
        return tenant.guard.directory_size or self.sizes.get(tenant_name)

    def due(self, tenants: Mapping[str, Tenant]) -> list[str]:
        """The tenants to ask for now."""
        now = self._clock()
        wanted = (n for n, t in tenants.items() if t.guard.mode != "off" and t.guard.directory_size is None)
        return [name for name in wanted if self._due.get(name, 0.0) <= now]

    async def learn(self, tenant_name: str, ask: Ask) -> None:
        """Ask for one directory's size, if it is time to; whoever comes meanwhile waits for the same answer.

        Never raises for the upstream's faults.
        """
        if (asking := self._asking.get(tenant_name)) is not None:
            await asking.wait()
            return
        if self._due.get(tenant_name, 0.0) > self._clock():
            return
        asking = self._asking[tenant_name] = asyncio.Event()
        try:
            await self._ask(tenant_name, ask)
        finally:
            del self._asking[tenant_name]
            asking.set()

    async def _ask(self, tenant_name: str, ask: Ask) -> None:
        self._due[tenant_name] = self._clock() + AGAIN_SECONDS
        document = document_of(await ask(QUESTION))
        total = total_of(document) if document is not None else None
        if total is not None:
            self.sizes[tenant_name] = total
            self._due[tenant_name] = self._clock() + FRESH_SECONDS
