"""When each credential was last used, and from where: so that an old one can be ended without guessing."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.state.credentials.values import Fingerprint


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a credential."""

    at: float  # Unix seconds
    address: str


class LastUse:
    """The last use of each credential, in memory, by its fingerprint: under a name, there may be another one day.

    Only what was let in is here, so operators bound their number.
    """

    def __init__(self) -> None:
        self.uses: dict[Fingerprint, Use] = {}

    async def remember(self, fingerprint: Fingerprint, use: Use) -> None:
        """Keep the newest."""
        self.uses[fingerprint] = use
