"""The last use of credentials."""

from __future__ import annotations

from gateway.state.credentials import token_fingerprint
from gateway.state.last_use import LastUse, Use

OLD, NEW = token_fingerprint("a" * 64), token_fingerprint("b" * 64)


async def test_the_newest_use_of_each_credential_is_kept() -> None:
    last_use = LastUse()
    await last_use.remember(OLD, Use(1.0, "192.0.2.1"))
    await last_use.remember(NEW, Use(2.0, "192.0.2.1"))
    await last_use.remember(OLD, Use(3.0, "192.0.2.2"))

    assert last_use.uses == {OLD: Use(3.0, "192.0.2.2"), NEW: Use(2.0, "192.0.2.1")}
