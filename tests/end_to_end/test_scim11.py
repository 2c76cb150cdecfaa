"""SCIM 1.1 on real sockets: a whole gateway before a server that executes what the agent and Okta send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.scim.patches import PATCH_SCHEMA
from tests.houses import House, house
from tests.scim11_server import PATH_OF_1_1, SCHEMA, Scim11Server, scim11_server
from tests.worlds import TOKEN

ADA, BO, CY = ({"value": name} for name in ("ada", "bo", "cy"))


@dataclass(frozen=True, slots=True)
class Scene:
    server: Scim11Server
    house: House
    session: aiohttp.ClientSession

    async def ask(
        self, method: str, target: str, body: Any = None, *, fields: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One request of the agent: the status, and the decoded answer."""
        given = {"Authorization": f"Bearer {TOKEN}"} | ({} if body is None else {"Content-Type": "application/json"})
        async with self.session.request(
            method,
            self.house.base_url + target,
            data=None if body is None else json.dumps({"schemas": [SCHEMA], **body}),
            headers=given | dict(fields or {}),
            ssl=self.house.trusting(),
        ) as response:
            assert response.status in (200, 201) or response.content_type == "application/json"
            return response.status, await response.json() if await response.read() else None

    def members(self) -> list[str]:
        return [member["value"] for member in self.server.groups["9"]["members"]]


@asynccontextmanager
async def playing(directory: Path, **tenant: Any) -> AsyncIterator[Scene]:
    async with (
        scim11_server() as server,
        house(directory, server.origin, client="okta-agent", upstream_path=PATH_OF_1_1, **tenant) as it,
        aiohttp.ClientSession() as session,
    ):
        server.users["1"] = {"schemas": [SCHEMA], "id": "1", "userName": "ada", "active": True}
        server.groups["9"] = {"schemas": [SCHEMA], "id": "9", "displayName": "devs", "members": [ADA, BO]}
        yield Scene(server, it, session)


@pytest.mark.parametrize(
    ("written", "operation", "members"),
    [
        ({"members": [CY]}, "group.members.add", ["ada", "bo", "cy"]),
        ({"members": [{**BO, "operation": "delete"}]}, "group.members.remove", ["ada"]),
        ({"members": [CY, {**BO, "operation": "delete"}]}, "group.patch", ["ada", "cy"]),
        ({"members": [CY], "meta": {"attributes": ["members"]}}, "group.members.replace", ["cy"]),
        ({"meta": {"attributes": ["members"]}}, "group.members.remove", []),
    ],
)
async def test_a_patch_of_members_does_what_its_name_on_record_says(
    tmp_path: Path, written: dict[str, Any], operation: str, members: list[str]
) -> None:
    async with playing(tmp_path) as scene:
        status, _ = await scene.ask("PATCH", "/Groups/9", written)
        recorded = [line["operation"] for line in scene.house.audit_lines() if line.get("operation")]

    assert status == 200
    assert scene.members() == members
    assert set(recorded) == {operation}


@pytest.mark.parametrize(
    ("method", "target", "body", "fields", "status"),
    [
        ("PATCH", "/Users/1", {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "remove", "path": "title"}]}, {}, 400),
        ("PATCH", "/Users/1", {"active": "false"}, {}, 400),
        ("PATCH", "/Groups/9", {"members": [{**ADA, "operation": "remove"}]}, {}, 400),
        ("PATCH", "/Groups/9", {"meta": {"attributes": "members"}}, {}, 400),
        ("PUT", "/Groups/9", {"displayName": "devs", "members": [{**ADA, "operation": "delete"}]}, {}, 400),
        ("PUT", "/Users/1", {"userName": "ada"}, {"X-HTTP-Method-Override": "DELETE"}, 405),
        ("PUT", "/Users/1", {"userName": "ada"}, {"Content-Type": "application/scim+json"}, 415),
        ("DELETE", "/Groups/9", None, {"X-HTTP-Method-Override": "GET"}, 405),
        ("GET", "/Users/1.json", None, {}, 404),
        ("GET", "/Me", None, {}, 404),
        ("GET", "/Users", None, {"Authorization": "Bearer wrong"}, 401),
    ],
)
async def test_what_could_mean_two_things_is_refused_in_the_words_of_1_1(
    tmp_path: Path, method: str, target: str, body: Any, fields: dict[str, str], status: int
) -> None:
    async with playing(tmp_path) as scene:
        before = json.dumps([scene.server.users, scene.server.groups])
        answered, error = await scene.ask(method, target, body, fields=fields)

    assert answered == status
    assert error["Errors"][0]["code"] == str(status)
    assert error["Errors"][0]["description"]
    assert json.dumps([scene.server.users, scene.server.groups]) == before


async def test_a_doubled_slash_creates_and_the_link_leads_outside(tmp_path: Path) -> None:
    async with playing(tmp_path) as scene:
        status, made = await scene.ask("POST", "//Users", {"userName": "bo", "active": True})

    assert status == 201
    assert made["meta"]["location"] == f"{scene.house.base_url}/Users/{made['id']}"
    assert ("POST", f"{PATH_OF_1_1}/Users") in scene.server.asked


async def test_an_error_of_the_application_is_passed_on(tmp_path: Path) -> None:
    async with playing(tmp_path) as scene:
        answer = await scene.ask("POST", "/Users", {"userName": "ada", "active": True})

    assert answer == (409, {"Errors": [{"description": "Resource already exists", "code": "409"}]})


async def test_a_policy_forbids_an_agents_deactivation_by_its_name(tmp_path: Path) -> None:
    async with playing(tmp_path, operations=["user.get", "user.activate"]) as scene:
        status, _ = await scene.ask("PATCH", "/Users/1", {"active": False})

    assert status == 403
    assert scene.server.users["1"]["active"] is True


async def test_an_agent_is_told_to_come_back_when_its_upstream_credential_is_wrong(tmp_path: Path) -> None:
    async with playing(tmp_path, upstream_token="another-secret-than-the-servers") as scene:
        status, error = await scene.ask("GET", "/Users/1")

    assert (status, error["Errors"][0]["code"]) == (429, "429")
