"""Steps with users: the connection test, lookups, create, update, import, deactivate, reactivate.

A step is a function of the scene; it raises Failed, Unanswered or NotRun.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rehearsal.messages import JsonObject, new_user, page_target
from gateway.rehearsal.replies import Failed, expect_error, expect_page, expect_resource, expect_written
from gateway.rehearsal.scene import GROUPS, USERS, Scene, look_up, read_user

MAX_IMPORT_PAGES = 50  # 5,000 users show whether paging works; a large directory need not be read whole

_FILTER_ADVICE = "the filter of a lookup must reach the application as sent, and `userName eq` must be exact there."
_LINK_ADVICE = "rehearse under the gateway's public_url; if this is it, an inside address is shown to the client."
_PAGING_ADVICE = "startIndex and count must reach the application, and it must keep a stable order."


async def list_the_first_users(scene: Scene) -> None:
    """What Okta sends when its "Test Connector Configuration" is pressed."""
    page = expect_page(await scene.caller.send("GET", page_target(USERS, start_index=1, count=2)))
    if len(page.resources) > 2:
        raise Failed(f"asked for at most 2 users, got {len(page.resources)}")


async def list_the_groups(scene: Scene) -> None:
    expect_page(await scene.caller.send("GET", page_target(GROUPS, start_index=1)))


async def look_up_nobody(scene: Scene) -> None:
    page = await look_up(scene, USERS, scene.names.ada)
    if page.total or page.resources:
        raise Failed("a user was found that does not exist: the filter has no effect", advice=_FILTER_ADVICE)


async def create_ada(scene: Scene) -> None:
    await _create(scene, scene.names.ada, "Ada", "Berg")


async def create_bo(scene: Scene) -> None:
    await _create(scene, scene.names.bo, "Bo", "Dahl")


async def create_ada_again(scene: Scene) -> None:
    scene.user_id(scene.names.ada)
    reply = await scene.caller.send("POST", f"/{USERS}", _user(scene, scene.names.ada, "Ada", "Berg"))
    expect_error(reply, 409)


async def look_up_ada(scene: Scene) -> None:
    await _expect_found(scene, scene.names.ada, scene.user_id(scene.names.ada))


async def look_up_ada_with_plus_for_space(scene: Scene) -> None:
    await _expect_found(scene, scene.names.ada, scene.user_id(scene.names.ada), spaces_as_plus=True)


async def get_ada(scene: Scene) -> None:
    ada = await read_user(scene, scene.user_id(scene.names.ada))
    expect_values(ada, {"id": scene.user_id(scene.names.ada), "userName": scene.names.ada, "active": True})


async def follow_adas_links(scene: Scene) -> None:
    """`meta.location` and Location, where given, lead to where we called: an inside address must not show."""
    reply = await scene.caller.send("GET", f"/{USERS}/{scene.user_id(scene.names.ada)}")
    meta = expect_resource(reply, 200, schema=scene.manner.user_schema).get("meta")
    links = [meta.get("location") if isinstance(meta, dict) else None, reply.fields.get("location")]
    for link in links:
        if isinstance(link, str) and "://" in link and not link.startswith(f"{scene.caller.base_url}/"):
            raise Failed("a link leads elsewhere than to this base URL", advice=_LINK_ADVICE)


async def update_adas_profile(scene: Scene) -> None:
    """GET, merge, PUT: what was read goes back whole, links included."""
    user_id = scene.user_id(scene.names.ada)
    before = await read_user(scene, user_id)
    name = before.get("name")
    merged = {**name, "familyName": "Berg-Lund"} if isinstance(name, dict) else {"familyName": "Berg-Lund"}
    after = {**before, "name": merged, "displayName": "Ada Berg-Lund"}
    expect_written(await scene.caller.send("PUT", f"/{USERS}/{user_id}", after))
    kept = {key: before[key] for key in ("userName", "externalId", "active") if key in before}
    expect_values(await read_user(scene, user_id), {**kept, "displayName": "Ada Berg-Lund"})


async def change_bos_user_name(scene: Scene) -> None:
    """To one with `+`, `%`, `@` and both quotes; it must be found by it, in both spellings of a space."""
    user_id = scene.user_id(scene.names.bo)
    before = await read_user(scene, user_id)
    scene.user_names_tried.append(scene.names.odd)
    expect_written(await scene.caller.send("PUT", f"/{USERS}/{user_id}", {**before, "userName": scene.names.odd}))
    expect_values(await read_user(scene, user_id), {"userName": scene.names.odd})
    await _expect_found(scene, scene.names.odd, user_id)
    await _expect_found(scene, scene.names.odd, user_id, spaces_as_plus=True)


async def import_all_users(scene: Scene) -> None:
    """Page by page until `totalResults`; ours must be among them."""
    expected = {scene.user_id(scene.names.ada)}
    seen: set[object] = set()
    read = 0
    for _ in range(MAX_IMPORT_PAGES):
        page = expect_page(await scene.caller.send("GET", page_target(USERS, start_index=read + 1)))
        seen.update(user.get("id") for user in page.resources)
        read += len(page.resources)
        if read >= page.total:
            break
        if not page.resources:
            raise Failed(f"the pages ended at {read} users of `totalResults` {page.total}")
    else:
        return
    if not expected <= seen:
        raise Failed("a user that exists was on no page of the import")


async def turn_a_page(scene: Scene) -> None:
    """Two pages of one user each: `startIndex` and `count` must have an effect."""
    scene.members(scene.names.ada, scene.names.bo)
    ids: list[object] = []
    for start_index in (1, 2):
        page = expect_page(await scene.caller.send("GET", page_target(USERS, start_index=start_index, count=1)))
        if len(page.resources) != 1:
            raise Failed(f"asked for one user, got {len(page.resources)}", advice=_PAGING_ADVICE)
        ids.append(page.resources[0].get("id"))
    if ids[0] == ids[1]:
        raise Failed("the second page shows the user of the first", advice=_PAGING_ADVICE)


async def deactivate_ada(scene: Scene) -> None:
    await _set_active(scene, scene.names.ada, active=False)


async def reactivate_ada(scene: Scene) -> None:
    """Okta looks up by name before it reactivates; a deactivated user must still be found."""
    await _expect_found(scene, scene.names.ada, scene.user_id(scene.names.ada))
    await _set_active(scene, scene.names.ada, active=True)


def _user(scene: Scene, user_name: str, given_name: str, family_name: str) -> JsonObject:
    external_id = f"00u-{user_name.partition('@')[0]}"
    return new_user(
        user_name,
        given_name=given_name,
        family_name=family_name,
        external_id=external_id,
        password=scene.password,
        manner=scene.manner,
    )


async def _create(scene: Scene, user_name: str, given_name: str, family_name: str) -> None:
    await create(scene, user_name, _user(scene, user_name, given_name, family_name))


async def create(scene: Scene, user_name: str, body: JsonObject) -> None:
    """Creates a user by a body of whichever client, and reads them back."""
    scene.user_names_tried.append(user_name)
    reply = await scene.caller.send("POST", f"/{USERS}", body)
    made = expect_resource(reply, 201, schema=scene.manner.user_schema)
    expect_values(made, {"userName": user_name})  # before the id is trusted: the cleaning up deletes by it
    scene.user_ids[user_name] = str(made["id"])
    read = await read_user(scene, str(made["id"]))
    expect_values(read, {"userName": user_name, "externalId": body["externalId"], "active": True})


async def _set_active(scene: Scene, user_name: str, *, active: bool) -> None:
    user_id = scene.user_id(user_name)
    await scene.dialect.set_active(scene.caller, user_id, active=active)
    expect_values(await read_user(scene, user_id), {"active": active})


async def _expect_found(scene: Scene, user_name: str, user_id: str, *, spaces_as_plus: bool = False) -> None:
    page = await look_up(scene, USERS, user_name, spaces_as_plus=spaces_as_plus)
    ids = [user.get("id") for user in page.resources]
    if ids != [user_id]:
        found = "nobody" if not ids else f"{len(ids)} users" if len(ids) > 1 else "somebody else"
        raise Failed(f"the lookup of {user_name} found {found}", advice=_FILTER_ADVICE)


def expect_values(resource: JsonObject, expected: Mapping[str, object]) -> None:
    for name, value in expected.items():
        if resource.get(name) != value:
            raise Failed(f"`{name}` is {resource.get(name)!r}, not {value!r}")
