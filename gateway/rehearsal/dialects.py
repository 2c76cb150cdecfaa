"""How clients write. Here Okta: catalogue apps (OIN) use PATCH, those of its App Integration Wizard (AIW) PUT.

Its provisioning agent uses PUT too, and speaks SCIM 1.1.
"""

from __future__ import annotations

from typing import Protocol

from gateway.rehearsal.caller import Caller
from gateway.rehearsal.messages import (
    PushedGroup,
    activation,
    membership_change,
    membership_replacement,
    rename,
    whole_group,
)
from gateway.rehearsal.replies import expect_resource, expect_written


class Dialect(Protocol):
    """How changes are written; what they must effect is the same in every dialect.

    Each raises Failed or Unanswered.
    """

    async def set_active(self, caller: Caller, user_id: str, *, active: bool) -> None: ...

    async def change_group(self, caller: Caller, before: PushedGroup, after: PushedGroup) -> None:
        """A change of name or members; Okta sends the name along with every change of members."""

    async def push_now(self, caller: Caller, group: PushedGroup) -> None:
        """The whole list of members, whatever was there before."""


class CatalogueApp:
    """PATCH, path-less where Okta's is."""

    async def set_active(self, caller: Caller, user_id: str, *, active: bool) -> None:
        expect_written(await caller.send("PATCH", f"/Users/{user_id}", activation(active=active)))

    async def change_group(self, caller: Caller, before: PushedGroup, after: PushedGroup) -> None:
        expect_written(await caller.send("PATCH", f"/Groups/{after.id}", rename(after)))
        removed = [member for member in before.members if member not in after.members]
        added = [member for member in after.members if member not in before.members]
        if removed or added:
            expect_written(await caller.send("PATCH", f"/Groups/{after.id}", membership_change(removed, added)))

    async def push_now(self, caller: Caller, group: PushedGroup) -> None:
        expect_written(await caller.send("PATCH", f"/Groups/{group.id}", membership_replacement(group.members)))


class WholeResources:
    """GET, then PUT of the whole resource: everything that was read goes back, `meta.location` included."""

    async def set_active(self, caller: Caller, user_id: str, *, active: bool) -> None:
        reply = await caller.send("GET", f"/Users/{user_id}")
        read = expect_resource(reply, 200, schema=caller.manner.user_schema)
        expect_written(await caller.send("PUT", f"/Users/{user_id}", {**read, "active": active}))

    async def change_group(self, caller: Caller, before: PushedGroup, after: PushedGroup) -> None:
        reply = await caller.send("GET", f"/Groups/{before.id}")
        expect_resource(reply, 200, schema=caller.manner.group_schema)
        await self.push_now(caller, after)

    async def push_now(self, caller: Caller, group: PushedGroup) -> None:
        expect_written(await caller.send("PUT", f"/Groups/{group.id}", whole_group(group, caller.manner)))
