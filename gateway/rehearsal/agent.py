"""Steps that only Okta's provisioning agent plays: what the connector can do, and the incremental import.

A step is a function of the scene; it raises Failed, Unanswered or NotRun.
"""

from __future__ import annotations

from gateway.rehearsal.messages import JsonObject, changed_since_target
from gateway.rehearsal.replies import Failed, expect_page, expect_status, the_object
from gateway.rehearsal.scene import Scene
from gateway.scim.versions import V1_1_SCHEMA

LONG_AGO, NEVER_YET = "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"

_CONFIG_SCHEMA = "urn:okta:schemas:scim:providerconfig:1.0"
_INCREMENTAL = "OPP_SCIM_INCREMENTAL_IMPORTS"
_VERSION_ADVICE = "the agent takes SCIM 1.1 behind a base URL that holds /v1; another client needs another --dialect."
_FILTER_ADVICE = f"the filter on meta.lastModified has no effect: mend it, or do not announce {_INCREMENTAL}."


async def read_the_capabilities(scene: Scene) -> None:
    """The first call, made when the connector is tested."""
    await _capabilities(scene)


async def import_what_changed(scene: Scene) -> None:
    """Users changed since a moment; asked for only where the connector announces it, as the agent does."""
    if _INCREMENTAL not in await _capabilities(scene):
        return
    ada = scene.user_id(scene.names.ada)
    if ada not in await _ids_changed_since(scene, LONG_AGO):
        raise Failed("a user that changed is not among those that did", advice=_FILTER_ADVICE)
    if ada in await _ids_changed_since(scene, NEVER_YET):
        raise Failed("a user is said to have changed in the year 2999", advice=_FILTER_ADVICE)


async def _capabilities(scene: Scene) -> tuple[object, ...]:
    """What the connector announces; nothing, where it leaves the list out and the agent takes it for able."""
    reply = await scene.caller.send("GET", "/ServiceProviderConfigs")
    expect_status(reply, 200)
    config = the_object(reply)
    schemas = config.get("schemas")
    if not isinstance(schemas, list) or V1_1_SCHEMA not in schemas:
        raise Failed(f"`schemas` does not name {V1_1_SCHEMA}", reply, advice=_VERSION_ADVICE)
    listed = _okta_part(config).get("userManagementCapabilities", [])
    if not isinstance(listed, list):
        raise Failed("`userManagementCapabilities` is not a list", reply)
    return tuple(listed)


def _okta_part(config: JsonObject) -> JsonObject:
    part = config.get(_CONFIG_SCHEMA)
    return part if isinstance(part, dict) else {}


async def _ids_changed_since(scene: Scene, moment: str) -> set[object]:
    page = expect_page(await scene.caller.send("GET", changed_since_target(moment)))
    return {user.get("id") for user in page.resources}
