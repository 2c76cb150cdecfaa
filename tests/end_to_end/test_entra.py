"""Entra as a client, through the whole gateway: what it sends is judged right and passed on, but for its flag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.houses import House, house
from tests.settings.test_feeds import service_tags, tag
from tests.upstreams import answers, http_answer, json_answer, scripted_upstream
from tests.worlds import PATH, TOKEN

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0, "Resources": []}
USER_ID, GROUP_ID = "7c0f4a52-9a1e-4d55-9a35-1d2c0b8e6f01", "e61b7b0e-5f0f-4a58-9d1f-2c7c9d1c3a11"
LOOKUP = "filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22ada%2Bx%40example.com%22"


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


async def send(it: House, method: str, target: str, body: object = None) -> tuple[int, bytes]:
    fields = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}  # also without a body
    content = None if body is None else json.dumps(body).encode()
    url = URL(it.base_url + target, encoded=True)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=content, headers=fields, ssl=it.trusting()) as response,
    ):
        return response.status, await response.read()


def outcomes(it: House) -> list[dict[str, Any]]:
    return [line for line in it.audit_lines() if line["event"] == "outcome"]


@pytest.mark.parametrize("flag", ["aadOptscim062020", "aadOptscim062020=", "AzureAdScimPatch2017"])
async def test_the_flag_goes_no_further_on_any_path_and_the_rest_goes_as_it_came(tmp_path: Path, flag: str) -> None:
    disable = patch({"op": "replace", "path": "active", "value": False})
    calls = [
        ("GET", f"/Users?{flag}", None, "/Users"),
        ("GET", f"/Users/?{flag}", None, "/Users"),
        ("GET", f"/Users?{flag}&{LOOKUP}", None, f"/Users?{LOOKUP}"),
        ("GET", f"/Users?{LOOKUP}&{flag}", None, f"/Users?{LOOKUP}"),
        (
            "GET",
            f"/Groups?excludedAttributes=members&{flag}&{LOOKUP}",
            None,
            f"/Groups?excludedAttributes=members&{LOOKUP}",
        ),
        ("GET", f"/ServiceProviderConfig?{flag}", None, "/ServiceProviderConfig"),
        ("GET", f"/Schemas?{flag}", None, "/Schemas"),
        ("GET", f"/Users/{USER_ID}?{flag}", None, f"/Users/{USER_ID}"),
        ("POST", f"/Users?{flag}", {"schemas": [USER], "userName": "ada"}, "/Users"),
        ("PATCH", f"/Users/{USER_ID}?{flag}", disable, f"/Users/{USER_ID}"),
        ("DELETE", f"/Groups/{GROUP_ID}?{flag}", None, f"/Groups/{GROUP_ID}"),
    ]
    replies = [json_answer(LIST) for _ in calls]
    async with (
        scripted_upstream(answers(*replies)) as upstream,
        house(tmp_path, upstream.url, client="entra") as it,
    ):
        statuses = [(await send(it, method, target, body))[0] for method, target, body, _ in calls]
        recorded = [line["query"] for line in outcomes(it)]

    seen = [(request.method, request.target) for request in upstream.requests if request.all("Authorization")]
    assert seen == [(method, PATH + passed_on) for method, _, _, passed_on in calls]
    assert set(statuses) == {200}
    assert all(flag.rstrip("=") in names for names in recorded)


async def test_for_another_client_the_flag_is_a_parameter_like_any_other(tmp_path: Path) -> None:
    async with (
        scripted_upstream(answers(json_answer(LIST))) as upstream,
        house(tmp_path, upstream.url, client="generic") as it,
    ):
        await send(it, "GET", "/Users?aadOptscim062020&x=1")

    (seen,) = [request for request in upstream.requests if request.all("Authorization")]
    assert seen.target == f"{PATH}/Users?aadOptscim062020&x=1"


@pytest.mark.parametrize(
    ("method", "target", "body", "operation"),
    [
        (
            "POST",
            "/Users",
            {
                "schemas": [USER, ENTERPRISE],
                "externalId": "x",
                "userName": "ada@example.com",
                "active": True,
                "addresses": None,
                "displayName": None,
                "phoneNumbers": None,
                "emails": [{"primary": True, "type": "work", "value": "ada@example.com"}],
                "roles": [],
                ENTERPRISE: {"department": None, "manager": None},
            },
            "user.create",
        ),
        ("PATCH", f"/Users/{USER_ID}", patch({"op": "Replace", "path": "active", "value": "True"}), "user.activate"),
        (
            "PATCH",
            f"/Users/{USER_ID}",
            patch({"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": None}),
            "user.patch",
        ),
        (
            "PATCH",
            f"/Users/{USER_ID}",
            patch(
                {"op": "Replace", "path": "displayName", "value": "A"},
                {"op": "Replace", "path": "active", "value": "False"},
            ),
            "user.patch",
        ),
        (
            "PATCH",
            f"/Users/{USER_ID}",
            patch({"op": "Remove", "path": f"{ENTERPRISE}:department"}),
            "user.patch",
        ),
        (
            "PATCH",
            f"/Groups/{GROUP_ID}",
            patch({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": USER_ID}]}),
            "group.members.remove",
        ),
        ("PATCH", f"/Groups/{GROUP_ID}", patch({"op": "Replace", "path": "displayName", "value": "G"}), "group.rename"),
        ("DELETE", f"/Groups/{GROUP_ID}", None, "group.delete"),
    ],
)
async def test_what_entra_spells_its_own_way_is_understood_and_goes_on_byte_for_byte(
    tmp_path: Path, method: str, target: str, body: object, operation: str
) -> None:
    async with (
        scripted_upstream(answers(http_answer(204))) as upstream,
        house(tmp_path, upstream.url, client="entra") as it,
    ):
        answered = await send(it, method, target, body)
        (line,) = outcomes(it)

    (seen,) = [request for request in upstream.requests if request.all("Authorization")]
    assert answered == (204, b"")
    assert seen.body == (b"" if body is None else json.dumps(body).encode())
    assert line["operation"] == operation
    if operation == "group.members.remove":
        assert line["people"] == [{"id": USER_ID}]


async def test_a_manager_whose_link_names_the_gateway_names_the_upstream_inside(tmp_path: Path) -> None:
    async with (
        scripted_upstream(answers(http_answer(204))) as upstream,
        house(tmp_path, upstream.url, client="entra") as it,
    ):
        link = f"{it.base_url}/Users/{USER_ID}"
        value = [{"$ref": link, "value": USER_ID}]
        await send(it, "PATCH", f"/Users/{USER_ID}", patch({"op": "Add", "path": "manager", "value": value}))

    (seen,) = [request for request in upstream.requests if request.all("Authorization")]
    (operation,) = json.loads(seen.body)["Operations"]
    assert operation["value"] == [{"$ref": f"{upstream.url}{PATH}/Users/{USER_ID}", "value": USER_ID}]


async def test_the_application_away_is_a_503_that_says_when_to_come_back(tmp_path: Path) -> None:
    async with house(tmp_path, "http://127.0.0.1:9", client="entra") as it:
        status, body = await send(it, "GET", f"/Users?{LOOKUP}")

    assert status == 503
    assert json.loads(body)["status"] == "503"


@pytest.mark.parametrize(("tagged", "status"), [("127.0.0.0/8", 200), ("198.51.100.0/24", 403)])
async def test_only_the_networks_of_the_service_tag_may_call(tmp_path: Path, tagged: str, status: int) -> None:
    file = tmp_path / "azure-service-tags.json"
    file.write_bytes(service_tags(tag("AzureActiveDirectory", tagged), tag("Storage", "0.0.0.0/0")))
    async with (
        scripted_upstream(answers(json_answer(LIST))) as upstream,
        house(
            tmp_path,
            upstream.url,
            client="entra",
            sources=["azure:AzureActiveDirectory"],
            feeds={"azure": {"file": file}},
        ) as it,
    ):
        assert (await send(it, "GET", f"/Users?{LOOKUP}"))[0] == status
