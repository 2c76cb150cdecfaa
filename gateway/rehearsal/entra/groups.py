"""Steps with a group as Entra takes them: lookup, create, rename, members one by one, delete."""

from __future__ import annotations

from dataclasses import replace

from gateway.rehearsal.entra.messages import Spelling, lookup_target, new_group, removal_by_filter
from gateway.rehearsal.entra.tolerance import tolerated
from gateway.rehearsal.entra.users import external_id
from gateway.rehearsal.groups import change, expect_group, keep_created
from gateway.rehearsal.messages import GROUP_SCHEMA
from gateway.rehearsal.replies import Failed, expect_resource, expect_written
from gateway.rehearsal.scene import GROUPS, Scene, found_page

_AD_SCHEMA_ADVICE = "no group is created if your provisioning job still sends it, as Microsoft's examples do"
_EMPTIED_ADVICE = (
    "the application took the removal of one member for another: add ?aadOptscim062020 to the Tenant URL, "
    "so that Entra names the member in the path."
)


async def look_up_no_group(scene: Scene) -> None:
    if await _found(scene, scene.names.group):
        raise Failed("a group was found that does not exist: the filter has no effect")


async def create_the_group(scene: Scene) -> str | None:
    name = scene.names.group
    scene.group_names_tried.append(name)
    reply = await scene.caller.send("POST", f"/{GROUPS}", new_group(name, external_id(name)))
    refused = tolerated(reply, "a group with Microsoft's own schema beside SCIM's", _AD_SCHEMA_ADVICE)
    if refused:
        plain = new_group(name, external_id(name), schemas=[GROUP_SCHEMA])
        reply = await scene.caller.send("POST", f"/{GROUPS}", plain)
    await keep_created(scene, reply)
    return refused


async def look_up_the_group(scene: Scene) -> str | None:
    """By its name, then by its id; neither time are its members asked for."""
    group = scene.pushed_group()
    if await _found(scene, group.name) != [group.id]:
        raise Failed("the lookup by displayName did not find the group alone")
    target = f"/{GROUPS}/{group.id}?excludedAttributes=members"
    read = expect_resource(await scene.caller.send("GET", target), 200, schema=GROUP_SCHEMA)
    return "members are shown although excludedAttributes names them" if read.get("members") else None


async def add_the_members(scene: Scene) -> None:
    """Each by a request of their own."""
    await change(scene, lambda group: replace(group, members=scene.members(scene.names.ada)))
    await change(scene, lambda group: replace(group, members=scene.members(scene.names.ada, scene.names.bo)))


async def remove_one_member(spelling: Spelling, scene: Scene) -> str | None:
    """The other one must stay: some servers take a removal with a list of values for the removal of all."""
    group = scene.pushed_group()
    staying, leaving = scene.members(scene.names.ada, scene.names.bo)
    if leaving not in group.members:
        raise Failed("the group has not the member that is to be removed")
    target = f"/{GROUPS}/{group.id}"
    reply = await scene.caller.send("PATCH", target, spelling.removal(leaving))
    refused = None
    if not spelling.has_flag:
        advice = "add ?aadOptscim062020 to the Tenant URL, else nobody would ever leave a group"
        refused = tolerated(reply, "to remove a member by a list of values", advice)
    if refused:
        await expect_group(scene, group)
        reply = await scene.caller.send("PATCH", target, removal_by_filter(leaving))
    expect_written(reply)
    scene.group = replace(group, members=(staying,))
    try:
        await expect_group(scene, scene.group)
    except Failed as failure:
        raise Failed(failure.note, failure.reply, advice="" if spelling.has_flag else _EMPTIED_ADVICE) from failure
    return refused


async def start_anew(scene: Scene) -> None:
    """Members who are there already are added once more, and still are there once."""
    group = scene.pushed_group()
    await scene.dialect.push_now(scene.caller, group)
    await expect_group(scene, group)


async def _found(scene: Scene, name: str) -> list[object]:
    target = lookup_target(GROUPS, "displayName", name, without_members=True)
    return [group.get("id") for group in found_page(await scene.caller.send("GET", target)).resources]
