"""What the steps of one rehearsal share: the caller, the throw-away names, and what was made so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.rehearsal.caller import Caller
from gateway.rehearsal.dialects import Dialect
from gateway.rehearsal.messages import JsonObject, Manner, Member, PushedGroup, lookup_target
from gateway.rehearsal.outcomes import presentable
from gateway.rehearsal.replies import Failed, Page, Reply, expect_page, expect_resource

USERS, GROUPS = "Users", "Groups"


class NotRun(Exception):
    """A step cannot be played, for what it builds on did not come about."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names that nobody else has: they end in random characters, in a domain that cannot exist (RFC 2606)."""

    ada: str
    bo: str
    odd: str  # Bo's later name, with what gets lost when somebody decodes or quotes once too often
    group: str
    group_renamed: str


def names_for(suffix: str) -> Names:
    """The names of one rehearsal."""
    return Names(
        ada=f"ada.berg.{suffix}@rehearsal.invalid",
        bo=f"bo.dahl.{suffix}@rehearsal.invalid",
        odd=f'bo+50%2b"o\'hara".{suffix}@rehearsal.invalid',
        group=f"rehearsal {suffix}",
        group_renamed=f"rehearsal {suffix} (R&D)",
    )


@dataclass(slots=True)
class Scene:
    """Changes as the rehearsal goes on; only steps and the cleaning up write it."""

    caller: Caller
    dialect: Dialect
    names: Names
    password: str = field(repr=False)
    user_names_tried: list[str] = field(default_factory=list)  # may exist, whatever the answer was
    group_names_tried: list[str] = field(default_factory=list)
    user_ids: dict[str, str] = field(default_factory=dict)  # by the name they were created with
    group: PushedGroup | None = None
    strays: list[tuple[str, str]] = field(default_factory=list)  # (collection, id) of what should not exist

    @property
    def manner(self) -> Manner:
        return self.caller.manner

    def presentable(self, note: str) -> str:
        return presentable(note, secrets=(self.caller.token, self.password))

    def user_id(self, user_name: str) -> str:
        if user_name not in self.user_ids:
            raise NotRun(f"the user {user_name} was not created")
        return self.user_ids[user_name]

    def pushed_group(self) -> PushedGroup:
        if self.group is None:
            raise NotRun("the group was not created")
        return self.group

    def members(self, *user_names: str) -> tuple[Member, ...]:
        return tuple(Member(self.user_id(user_name), user_name) for user_name in user_names)


async def look_up(scene: Scene, collection: str, name: str, *, spaces_as_plus: bool = False) -> Page:
    """The page that answers a lookup by a user's or a group's name."""
    attribute = "userName" if collection == USERS else "displayName"
    target = lookup_target(collection, attribute, name, spaces_as_plus=spaces_as_plus)
    return found_page(await scene.caller.send("GET", target))


def found_page(reply: Reply) -> Page:
    """The page that a lookup is answered with; 404 for nothing found has an advice of its own."""
    if reply.status == 404:
        advice = "answer a lookup that finds nothing with 200 and an empty ListResponse: not every client takes a 404."
        raise Failed("expected status 200 with an empty list, got 404", reply, advice=advice)
    return expect_page(reply)


async def read_user(scene: Scene, user_id: str) -> JsonObject:
    reply = await scene.caller.send("GET", f"/{USERS}/{user_id}")
    return expect_resource(reply, 200, schema=scene.manner.user_schema)


async def read_group(scene: Scene, group_id: str) -> JsonObject:
    reply = await scene.caller.send("GET", f"/{GROUPS}/{group_id}")
    return expect_resource(reply, 200, schema=scene.manner.group_schema)
