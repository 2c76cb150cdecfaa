"""When each credential was last used, and from where: so that an old one can be ended without guessing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a credential."""

    at: float  # Unix seconds
    address: str


class LastUse:
    """The last use of each credential, in memory; the settings bound their number."""

    def __init__(self) -> None:
        self.uses: dict[tuple[str, str], Use] = {}  # (tenant, credential)

    async def remember(self, tenant_name: str, credential: str, use: Use) -> None:
        """Keep the newest."""
        self.uses[tenant_name, credential] = use
