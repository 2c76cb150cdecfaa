"""A small real SCIM 1.1 server, such as Okta's provisioning agent expects: everything in memory, links of its own.

async with scim11_server() as server:
    ...        # call server.url with the bearer token UPSTREAM_TOKEN; look into server.users
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from aiohttp import web

from tests.worlds import UPSTREAM_TOKEN

PATH_OF_1_1 = "/scim/tenant00001/v1"
SCHEMA = "urn:scim:schemas:core:1.0"
CAPABILITIES = ("GROUP_PUSH", "IMPORT_NEW_USERS", "PUSH_NEW_USERS", "REACTIVATE_USERS", "OPP_SCIM_INCREMENTAL_IMPORTS")

_FILTER = re.compile(r'(userName|displayName|meta\.lastModified) (eq|gt) ("(?:[^"\\]|\\.)*")')
_READ_ONLY = ("id", "meta", "password", "schemas")

Resource = dict[str, Any]


@dataclass(slots=True)
class Scim11Server:
    """What the server holds, by id, and what it was asked: (method, target)."""

    users: dict[str, Resource] = field(default_factory=dict)
    groups: dict[str, Resource] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    origin: str = ""
    capabilities: tuple[str, ...] = CAPABILITIES
    speaks: str = SCHEMA  # what its configuration says
    ignores: str = ""  # a filter on this attribute has no effect
    _ids: count[int] = field(default_factory=lambda: count(101))

    @property
    def url(self) -> str:
        return self.origin + PATH_OF_1_1

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path))
        if request.headers.getall("Authorization", []) != [f"Bearer {UPSTREAM_TOKEN}"]:
            return _error(401, "Not authorized for this operation")
        path = request.path.removeprefix(PATH_OF_1_1)
        if path == "/ServiceProviderConfigs" and request.method == "GET":
            return _answer(200, self._config())
        match path.split("/"):
            case ["", "Users" | "Groups" as endpoint]:
                return await self._serve_collection(request, endpoint)
            case ["", "Users" | "Groups" as endpoint, resource_id] if resource_id in self._held(endpoint):
                return await self._serve_resource(request, endpoint, resource_id)
        return _error(404, "Resource not found")

    async def _serve_collection(self, request: web.BaseRequest, endpoint: str) -> web.StreamResponse:
        if request.method == "GET":
            return self._list(request, endpoint)
        if request.method != "POST":
            return _error(405, "Method not allowed")
        given = await _read(request)
        name = "userName" if endpoint == "Users" else "displayName"
        if given is None or not given.get(name):
            return _error(400, f"{name} is required")
        if any(held[name].lower() == given[name].lower() for held in self._held(endpoint).values()):
            return _error(409, "Resource already exists")
        return _answer(201, self._keep(endpoint, str(next(self._ids)), given))

    async def _serve_resource(self, request: web.BaseRequest, endpoint: str, resource_id: str) -> web.StreamResponse:
        held = self._held(endpoint)
        if request.method == "DELETE":
            del held[resource_id]
            return web.Response(status=200)
        if request.method == "GET":
            return _answer(200, held[resource_id])
        given = await _read(request)
        if given is None or request.content_type != "application/json":
            return _error(400, "The body cannot be read")
        if request.method == "PATCH":
            given = _patched(held[resource_id], given)
        return _answer(200, self._keep(endpoint, resource_id, given))

    def _held(self, endpoint: str) -> dict[str, Resource]:
        return self.users if endpoint == "Users" else self.groups

    def _keep(self, endpoint: str, resource_id: str, given: Resource) -> Resource:
        written = {name: value for name, value in given.items() if name not in _READ_ONLY}
        meta = {
            "lastModified": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "location": f"{self.url}/{endpoint}/{resource_id}",
        }
        kept = {"schemas": given.get("schemas", [SCHEMA]), "id": resource_id, **written, "meta": meta}
        self._held(endpoint)[resource_id] = kept
        return kept

    def _list(self, request: web.BaseRequest, endpoint: str) -> web.StreamResponse:
        found = list(self._held(endpoint).values())
        if "filter" in request.query and not (self.ignores and request.query["filter"].startswith(self.ignores)):
            match = _FILTER.fullmatch(request.query["filter"])
            if match is None:
                return _error(400, "invalid filter")
            found = [resource for resource in found if _fits(resource, *match.groups())]
        start = int(request.query.get("startIndex", "1"))
        page = found[start - 1 : start - 1 + int(request.query.get("count", "100"))]
        numbers = {"totalResults": len(found), "startIndex": start, "itemsPerPage": len(page)}
        return _answer(200, {"schemas": [SCHEMA], **numbers, "Resources": page})

    def _config(self) -> Resource:
        okta = "urn:okta:schemas:scim:providerconfig:1.0"
        capabilities = {"userManagementCapabilities": list(self.capabilities)}
        return {"schemas": [self.speaks, okta], "filter": {"supported": True}, okta: capabilities}


def _fits(resource: Resource, attribute: str, operator: str, literal: str) -> bool:
    value, sought = resource.get("meta" if "." in attribute else attribute), json.loads(literal)
    if isinstance(value, dict):
        value = value["lastModified"]
    return bool(value > sought if operator == "gt" else value == sought)


def _patched(held: Resource, given: Resource) -> Resource:
    """What is there in the end: `meta.attributes` clears first, then members are taken out and put in."""
    cleared = given.get("meta", {}).get("attributes", [])
    after = {name: value for name, value in held.items() if name not in cleared} | given
    gone = {member["value"] for member in given.get("members", []) if member.get("operation") == "delete"}
    members = {member["value"]: member for member in held.get("members", []) if "members" not in cleared}
    members |= {member["value"]: member for member in given.get("members", [])}
    if "members" in held or "members" in given:
        after["members"] = [member for identifier, member in members.items() if identifier not in gone]
    return after


async def _read(request: web.BaseRequest) -> Resource | None:
    try:
        given = json.loads(await request.read())
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def _answer(status: int, document: object) -> web.StreamResponse:
    return web.json_response(document, status=status)


def _error(status: int, description: str) -> web.StreamResponse:
    return _answer(status, {"Errors": [{"description": description, "code": str(status)}]})


@asynccontextmanager
async def scim11_server() -> AsyncIterator[Scim11Server]:
    """The server on a free port of 127.0.0.1, until the block ends."""
    server = Scim11Server()
    runner = web.ServerRunner(web.Server(server.serve))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.origin = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()
