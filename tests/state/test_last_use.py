"""The last use of credentials."""

from __future__ import annotations

from gateway.state.last_use import LastUse, Use


async def test_the_newest_use_of_each_credential_is_kept() -> None:
    last_use = LastUse()
    await last_use.remember("jira", "old", Use(1.0, "192.0.2.1"))
    await last_use.remember("jira", "new", Use(2.0, "192.0.2.1"))
    await last_use.remember("jira", "old", Use(3.0, "192.0.2.2"))

    assert last_use.uses == {("jira", "old"): Use(3.0, "192.0.2.2"), ("jira", "new"): Use(2.0, "192.0.2.1")}
