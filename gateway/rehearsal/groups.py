"""Steps with a group: group push, rename, members, "Push now", unlink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.rehearsal.messages import PushedGroup, new_group
from gateway.rehearsal.replies import Failed, Reply, expect_error, expect_resource, expect_status
from gateway.rehearsal.scene import GROUPS, Scene, look_up, read_group


async def look_up_no_group(scene: Scene) -> None:
    page = await look_up(scene, GROUPS, scene.names.group)
    if page.total or page.resources:
        raise Failed("a group was found that does not exist: the filter has no effect")


async def push_the_group(scene: Scene) -> None:
    scene.group_names_tried.append(scene.names.group)
    body = new_group(scene.names.group, scene.manner)
    await keep_created(scene, await scene.caller.send("POST", f"/{GROUPS}", body))


async def keep_created(scene: Scene, reply: Reply) -> None:
    """The scene's group is the one that this reply to its creation tells of."""
    made = expect_resource(reply, 201, schema=scene.manner.group_schema)
    if made.get("displayName") != scene.names.group:
        raise Failed(f"`displayName` is {made.get('displayName')!r}, not {scene.names.group!r}")
    group = PushedGroup(id=str(made["id"]), name=scene.names.group)
    scene.group = group
    await expect_group(scene, group)


async def rename_the_group(scene: Scene) -> None:
    scene.group_names_tried.append(scene.names.group_renamed)
    await change(scene, lambda group: replace(group, name=scene.names.group_renamed))


async def add_a_member(scene: Scene) -> None:
    await change(scene, lambda group: replace(group, members=scene.members(scene.names.ada)))


async def swap_the_member(scene: Scene) -> None:
    """One removed and one added in the same change."""
    await change(scene, lambda group: replace(group, members=scene.members(scene.names.bo)))


async def push_all_members_now(scene: Scene) -> None:
    await _push_now(scene, scene.names.ada, scene.names.bo)


async def empty_the_group(scene: Scene) -> None:
    await _push_now(scene)


async def unlink_the_group(scene: Scene) -> None:
    group = scene.pushed_group()
    expect_status(await scene.caller.send("DELETE", f"/{GROUPS}/{group.id}"), 200, 204)
    scene.group = None
    expect_error(await scene.caller.send("GET", f"/{GROUPS}/{group.id}"), 404)


async def change(scene: Scene, changed: Callable[[PushedGroup], PushedGroup]) -> None:
    """A change of name or members in the scene's dialect; it must have the whole effect and no other."""
    before = scene.pushed_group()
    after = changed(before)
    await scene.dialect.change_group(scene.caller, before, after)
    await expect_group(scene, after)
    scene.group = after


async def _push_now(scene: Scene, *user_names: str) -> None:
    group = replace(scene.pushed_group(), members=scene.members(*user_names))
    await scene.dialect.push_now(scene.caller, group)
    await expect_group(scene, group)
    scene.group = group


async def expect_group(scene: Scene, group: PushedGroup) -> None:
    """Reads the group back; who is in it counts, not in which order."""
    read = await read_group(scene, group.id)
    if read.get("displayName") != group.name:
        raise Failed(f"`displayName` is {read.get('displayName')!r}, not {group.name!r}")
    members = read.get("members") or []
    if not isinstance(members, list):
        raise Failed("`members` is not a list")
    found = sorted(str(member.get("value")) for member in members if isinstance(member, dict))
    if found != sorted(member.id for member in group.members):
        raise Failed(f"the group has {len(found)} members, or others than the {len(group.members)} pushed")
