"""Takes away whatever a rehearsal made, also what it only may have made: a create without an answer.

SECURITY: it deletes by an id that a create of ours answered, or by a name that is exactly one of our
throw-away names; never what a lookup merely returns, for a filter may have been ignored.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.rehearsal.replies import Failed, Unanswered, expect_status
from gateway.rehearsal.scene import GROUPS, USERS, Scene, look_up, read_user


async def clean_up(scene: Scene) -> str:
    """Deletes groups, then deactivates and deletes users. A note, if something stays that does no harm.

    Raises:
        Failed: something stays; the note names it.
    """
    left: list[str] = []
    deactivated: list[str] = []
    known_group = (scene.group.id,) if scene.group else ()
    strays = [stray for collection, stray in scene.strays if collection == GROUPS]
    for group_id in await _ids(scene, GROUPS, scene.group_names_tried, (*known_group, *strays), left):
        if not await _delete(scene, GROUPS, group_id):
            left.append(f"the group {group_id}")
    strays = [stray for collection, stray in scene.strays if collection == USERS]
    for user_id in await _ids(scene, USERS, scene.user_names_tried, (*scene.user_ids.values(), *strays), left):
        is_deactivated = await _deactivate(scene, user_id)
        if not await _delete(scene, USERS, user_id):
            (deactivated if is_deactivated else left).append(f"the user {user_id}")
    if left:
        message = f"these may still exist: {', '.join(left)}"
        raise Failed(message, advice="delete them in the application.")
    return f"deactivated, but DELETE is refused: {', '.join(deactivated)}" if deactivated else ""


async def _ids(
    scene: Scene, collection: str, names: Iterable[str], known: tuple[str, ...], left: list[str]
) -> tuple[str, ...]:
    """Ids of what is ours, each once; a name that cannot be looked up is left, unless its id is known."""
    ids = dict.fromkeys(known)
    attribute = "userName" if collection == USERS else "displayName"
    for name in names:
        try:
            page = await look_up(scene, collection, name)
        except (Failed, Unanswered):
            if not known:
                left.append(name)
            continue
        found = [resource.get("id") for resource in page.resources if resource.get(attribute) == name]
        ids.update(dict.fromkeys(resource_id for resource_id in found if isinstance(resource_id, str)))
    return tuple(ids)


async def _deactivate(scene: Scene, user_id: str) -> bool:
    try:
        await scene.dialect.set_active(scene.caller, user_id, active=False)
        return (await read_user(scene, user_id)).get("active") is False
    except (Failed, Unanswered):
        return False


async def _delete(scene: Scene, collection: str, resource_id: str) -> bool:
    try:
        expect_status(await scene.caller.send("DELETE", f"/{collection}/{resource_id}"), 200, 204, 404)
    except (Failed, Unanswered):
        return False
    return True
