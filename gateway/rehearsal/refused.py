"""Steps that must be refused, in the manner of Okta's SPEC test suite: it reads the errors, not only their status."""

from __future__ import annotations

from gateway.rehearsal.messages import JsonObject
from gateway.rehearsal.replies import Failed, Reply, expect_error, expect_refused, the_object
from gateway.rehearsal.scene import GROUPS, USERS, Scene

UNKNOWN_ID = "010101001010101011001010101011"

_OPEN_ADVICE = "close this at once: whoever finds the address can read the directory."


async def call_with_an_unknown_token(scene: Scene) -> None:
    await _call_unauthenticated(scene, "Bearer not-a-token-of-this-tenant")


async def call_with_a_malformed_authorization(scene: Scene) -> None:
    await _call_unauthenticated(scene, "non-token")


async def get_an_unknown_user(scene: Scene) -> None:
    expect_error(await scene.caller.send("GET", f"/{USERS}/{UNKNOWN_ID}"), 404)


async def get_an_unknown_group(scene: Scene) -> None:
    expect_error(await scene.caller.send("GET", f"/{GROUPS}/{UNKNOWN_ID}"), 404)


async def create_a_user_without_a_name(scene: Scene) -> None:
    user = {"schemas": [scene.manner.user_schema], "displayName": "Rehearsal", "active": True}
    await _create_in_vain(scene, USERS, user)


async def create_a_group_without_a_name(scene: Scene) -> None:
    await _create_in_vain(scene, GROUPS, {"schemas": [scene.manner.group_schema], "members": []})


async def send_broken_json(scene: Scene) -> None:
    expect_refused(await scene.caller.send("POST", f"/{USERS}", b'{"schemas": ['))


async def _call_unauthenticated(scene: Scene, authorization: str) -> None:
    reply = await scene.caller.send("GET", f"/{USERS}?startIndex=1&count=2", authorization=authorization)
    if reply.status == 200:
        raise Failed("users are shown without a valid token", reply, advice=_OPEN_ADVICE)
    # A gateway locks out an address that fails often, such as one that rehearses often; that is a refusal too.
    expect_error(reply, 401, *((429,) if b"[too-many-failures" in reply.body else ()))


async def _create_in_vain(scene: Scene, collection: str, body: JsonObject) -> None:
    reply = await scene.caller.send("POST", f"/{collection}", body)
    if reply.status == 201:
        scene.strays.extend((collection, stray) for stray in _id_in(reply))
    expect_refused(reply)


def _id_in(reply: Reply) -> tuple[str, ...]:
    try:
        found = the_object(reply).get("id")
    except Failed:
        return ()
    return (found,) if isinstance(found, str) and found else ()
