"""Places: how many requests of a tenant are under way at once. In memory."""

from __future__ import annotations

from collections import Counter, defaultdict

from gateway.state.queues import Queue


class Places:
    """The places taken, by tenant."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self._waiting: defaultdict[str, Queue] = defaultdict(Queue)

    async def take(self, tenant_name: str, most: int) -> bool:
        """Whether there was a place; if so it is taken until it is given back."""
        if self.taken[tenant_name] >= most:
            return False
        self.taken[tenant_name] += 1
        return True

    async def wait(self, tenant_name: str, most: int) -> None:
        """Wait for a place, before everybody who only asks for one. Whoever gives up the wait leaves no trace."""
        if await self.take(tenant_name, most):
            return
        await self._waiting[tenant_name].wait(lambda: self._pass_on(tenant_name))

    async def give_back(self, tenant_name: str) -> None:
        """To be called once for each place taken, whatever became of the request."""
        self._pass_on(tenant_name)

    def _pass_on(self, tenant_name: str) -> None:
        if not self._waiting[tenant_name].admit_next():
            self.taken[tenant_name] -= 1
