"""Places: how many requests of a tenant are under way at once."""

from __future__ import annotations

from collections import Counter


class Places:
    """The places taken, by tenant, in memory."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    async def take(self, tenant_name: str, most: int) -> bool:
        """Whether there was a place; if so it is taken until it is given back."""
        if self.taken[tenant_name] >= most:
            return False
        self.taken[tenant_name] += 1
        return True

    async def give_back(self, tenant_name: str) -> None:
        """To be called once for each place taken, whatever became of the request."""
        self.taken[tenant_name] -= 1
