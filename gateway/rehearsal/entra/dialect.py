"""How Entra writes: always PATCH, and a request for each member that leaves a group."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.rehearsal.caller import Caller
from gateway.rehearsal.entra.messages import Spelling
from gateway.rehearsal.messages import PushedGroup
from gateway.rehearsal.replies import expect_written


@dataclass(frozen=True, slots=True)
class EntraApp:
    """A non-gallery application in Entra; it spells changes as its Tenant URL tells it."""

    spelling: Spelling

    async def set_active(self, caller: Caller, user_id: str, *, active: bool) -> None:
        expect_written(await caller.send("PATCH", f"/Users/{user_id}", self.spelling.activation(active=active)))

    async def change_group(self, caller: Caller, before: PushedGroup, after: PushedGroup) -> None:
        if after.name != before.name:
            expect_written(await caller.send("PATCH", f"/Groups/{after.id}", self.spelling.rename(after.name)))
        for member in before.members:
            if member not in after.members:
                expect_written(await caller.send("PATCH", f"/Groups/{after.id}", self.spelling.removal(member)))
        for member in after.members:
            if member not in before.members:
                expect_written(await caller.send("PATCH", f"/Groups/{after.id}", self.spelling.addition([member])))

    async def push_now(self, caller: Caller, group: PushedGroup) -> None:
        """Entra never reads members, so when its job starts anew it adds them all once more."""
        expect_written(await caller.send("PATCH", f"/Groups/{group.id}", self.spelling.addition(group.members)))
