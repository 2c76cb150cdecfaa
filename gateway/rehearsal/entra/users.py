"""Steps with users as Entra takes them: the connection test, lookups, create, update, disable, delete."""

from __future__ import annotations

import json
from uuid import uuid4

from gateway.rehearsal.entra.messages import ENTERPRISE_SCHEMA, WORK_EMAIL, Spelling, lookup_target, new_user
from gateway.rehearsal.entra.tolerance import tolerated
from gateway.rehearsal.messages import JsonObject
from gateway.rehearsal.replies import Failed, expect_error, expect_status, expect_written
from gateway.rehearsal.scene import USERS, Scene, found_page, read_user
from gateway.rehearsal.users import create, expect_values

_FILTER_ADVICE = "the filter of a lookup must reach the application as sent, and match exactly there."
_DISABLE_ADVICE = (
    'the application takes the string "False" for something else than false: nobody who leaves would lose access. '
    "Add ?aadOptscim062020 to the Tenant URL, so that Entra sends a boolean."
)


async def test_the_connection(scene: Scene) -> None:
    """What Entra sends when its "Test Connection" is pressed: a lookup of somebody who cannot exist."""
    await _expect_nobody(scene, "userName", str(uuid4()))


async def look_up_nobody(scene: Scene) -> None:
    await _expect_nobody(scene, "userName", scene.names.ada)
    await _expect_nobody(scene, "externalId", external_id(scene.names.ada))


async def create_ada(scene: Scene) -> None:
    await create(scene, scene.names.ada, _user(scene.names.ada, "Ada", "Berg"))


async def create_bo(scene: Scene) -> None:
    await create(scene, scene.names.bo, _user(scene.names.bo, "Bo", "Dahl"))


async def look_up_ada(scene: Scene) -> None:
    """By every attribute that is commonly chosen for matching."""
    await _expect_ada(scene, "userName", scene.names.ada)
    await _expect_ada(scene, "externalId", external_id(scene.names.ada))


async def look_up_ada_by_email(scene: Scene) -> None:
    await _expect_ada(scene, WORK_EMAIL, scene.names.ada)


async def update_the_profile(spelling: Spelling, scene: Scene) -> None:
    user_id = scene.user_id(scene.names.ada)
    email = f"new.{scene.names.ada}"
    body = spelling.profile(email=email, given_name="Ada", family_name="Berg-Lund", display_name="Ada Berg-Lund")
    expect_written(await scene.caller.send("PATCH", f"/{USERS}/{user_id}", body))
    read = await read_user(scene, user_id)
    expect_values(read, {"userName": scene.names.ada, "active": True, "displayName": "Ada Berg-Lund"})
    name, emails = read.get("name"), read.get("emails")
    if not isinstance(name, dict) or name.get("familyName") != "Berg-Lund":
        raise Failed("`name.familyName` was not changed")
    if not isinstance(emails, list) or email not in [mail.get("value") for mail in emails if isinstance(mail, dict)]:
        raise Failed("the email of type work was not changed")


async def set_the_manager(spelling: Spelling, scene: Scene) -> str | None:
    user_id, manager_id = scene.user_id(scene.names.ada), scene.user_id(scene.names.bo)
    link = f"{scene.caller.base_url}/{USERS}/{manager_id}"
    before = await read_user(scene, user_id)
    reply = await scene.caller.send("PATCH", f"/{USERS}/{user_id}", spelling.manager(manager_id, link))
    refused = tolerated(reply, "the manager as a list, which SCIM has as one object", "take it out of Entra's mappings")
    read = await read_user(scene, user_id)
    if refused:
        expect_values(read, {name: value for name, value in before.items() if name != "meta"})
        return refused
    expect_written(reply)
    if manager_id not in json.dumps([read.get(ENTERPRISE_SCHEMA), read.get("manager")]):
        raise Failed("the manager was not set")
    return None


async def disable_ada(spelling: Spelling, scene: Scene) -> None:
    user_id = scene.user_id(scene.names.ada)
    await scene.dialect.set_active(scene.caller, user_id, active=False)
    if (await read_user(scene, user_id)).get("active") is not False:
        raise Failed("`active` is not false after it", advice="" if spelling.has_flag else _DISABLE_ADVICE)


async def enable_ada(scene: Scene) -> None:
    """Entra looks up before it enables; a disabled user must still be found."""
    await _expect_ada(scene, "userName", scene.names.ada)
    user_id = scene.user_id(scene.names.ada)
    await scene.dialect.set_active(scene.caller, user_id, active=True)
    expect_values(await read_user(scene, user_id), {"active": True})


async def delete_bo(scene: Scene) -> None:
    """Entra deletes for good, thirty days after somebody was deleted there."""
    user_id = scene.user_id(scene.names.bo)
    expect_status(await scene.caller.send("DELETE", f"/{USERS}/{user_id}"), 200, 204)
    expect_error(await scene.caller.send("GET", f"/{USERS}/{user_id}"), 404)
    del scene.user_ids[scene.names.bo]
    await _expect_nobody(scene, "userName", scene.names.bo)


def external_id(name: str) -> str:
    """Entra's own id of a throw-away user or group."""
    return f"entra-{name.partition('@')[0].replace(' ', '-')}"


def _user(user_name: str, given_name: str, family_name: str) -> JsonObject:
    return new_user(user_name, given_name=given_name, family_name=family_name, external_id=external_id(user_name))


async def _expect_nobody(scene: Scene, attribute: str, value: str) -> None:
    page = found_page(await scene.caller.send("GET", lookup_target(USERS, attribute, value)))
    if page.total or page.resources:
        raise Failed(f"a user was found by {attribute} who does not exist", advice=_FILTER_ADVICE)


async def _expect_ada(scene: Scene, attribute: str, value: str) -> None:
    user_id = scene.user_id(scene.names.ada)
    page = found_page(await scene.caller.send("GET", lookup_target(USERS, attribute, value)))
    if [user.get("id") for user in page.resources] != [user_id]:
        found = f"{len(page.resources)} users" if len(page.resources) != 1 else "somebody else"
        raise Failed(f"the lookup by {attribute} found {found}", advice=_FILTER_ADVICE)
