"""Every request shape of Okta, of its agent and of Entra, replayed through the whole gateway: in and out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.houses import house
from tests.upstreams import answers, http_answer, json_answer, scripted_upstream
from tests.worlds import FIXTURES, TOKEN, UPSTREAM_TOKEN

INSIDE_PATH = "/scim/tenant00001/v2"
OPERATIONS = {
    "entra-01-test-connection": "user.list",
    "entra-02-user-create": "user.create",
    "entra-03-disable-string-false": "user.deactivate",
    "entra-04-disable-bool-capital-op": "user.deactivate",
    "entra-05-disable-flag": "user.deactivate",
    "entra-06-multi-replace-flag": "user.patch",
    "entra-08-add-manager-array": "user.patch",
    "entra-09-user-delete": "user.delete",
    "entra-10-group-create": "group.create",
    "entra-11-group-get-excluded": "group.get",
    "entra-12-group-lookup-excluded": "group.list",
    "entra-13-member-add": "group.members.add",
    "entra-15-member-remove-flag": "group.members.remove",
    "okta11-01-user-deactivate-patch": "user.deactivate",
    "okta11-02-group-rename": "group.rename",
    "okta11-03-group-members-delta": "group.patch",
    "okta11-05-group-create-description": "group.create",
    "okta11-06-conflict": "user.create",
    "okta2-01-test-connector": "user.list",
    "okta2-02-test-import-groups": "group.list",
    "okta2-03-user-lookup-none": "user.list",
    "okta2-05-user-create": "user.create",
    "okta2-06-user-create-conflict": "user.create",
    "okta2-07-user-get": "user.get",
    "okta2-08-user-put-profile": "user.replace",
    "okta2-09-user-deactivate-patch": "user.deactivate",
    "okta2-10-user-reactivate-patch": "user.activate",
    "okta2-11-user-deactivate-put": "user.replace",
    "okta2-13-import-page2": "user.list",
    "okta2-14-group-lookup": "group.list",
    "okta2-15-group-create": "group.create",
    "okta2-16-group-rename-pathless": "group.rename",
    "okta2-17-group-patch-add-remove": "group.patch",
    "okta2-18-group-patch-replace": "group.members.replace",
    "okta2-19-group-patch-replace-empty": "group.members.replace",
    "okta2-21-group-put": "group.replace",
    "okta2-22-group-delete": "group.delete",
    "okta2-25-rate-limited": "user.create",
    "opp11-01-service-provider-configs": "discovery.get",
    "opp11-02-user-lookup": "user.list",
    "opp11-03-user-create": "user.create",
    "opp11-05-user-deactivate-put": "user.replace",
    "opp11-06-incremental-import": "user.list",
    "opp11-07-groups-download": "group.list",
    "opp11-09-group-delete": "group.delete",
    "opp11-10-connector-error": "group.delete",
    "opp20-01-service-provider-config": "discovery.get",
}


def fixture(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return loaded


def without_password(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    return {key: value for key, value in document.items() if key != "password"}


def as_shown_outside(document: Any, base_url: str) -> Any:
    """The fixture with every inside address as the client may see it."""
    text = json.dumps(document)
    return json.loads(text.replace(f"http://jira-node1.internal:5501{INSIDE_PATH}", base_url))


def test_no_fixture_is_left_out() -> None:
    special = {"okta2-23-spec-bad-auth", "okta2-24-spec-unknown-id", "okta11-07-spec-bad-filter"}  # below
    kinds = ("okta2-", "okta11-", "opp11-", "opp20-", "entra-")
    shapes = {path.stem for path in FIXTURES.glob("*.json") if path.stem.startswith(kinds)}

    assert shapes == set(OPERATIONS) | special


def client_of(name: str) -> str:
    """The dialect's setting; an agent that speaks 2.0 is served like Okta itself."""
    if name.startswith("entra-"):
        return "entra"
    return "okta-agent" if name.startswith(("okta11-", "opp11-")) else "okta"


def fields_of(asked: Any) -> dict[str, str]:
    """The header of a fixture; of the agent's requests little more than the credential is known."""
    fields = {} if asked["body"] is None else {"Content-Type": "application/json"}
    fields |= asked["headers"]
    return fields | {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_request_arrives_as_it_was_sent_and_its_answer_as_it_was_given(name: str, tmp_path: Path) -> None:
    told = fixture(name)
    asked, answered = told["request"], told["response"]
    body = None if asked["body"] is None else json.dumps(asked["body"]).encode()
    reply = (
        http_answer(answered["status"])
        if answered["body"] is None
        else json_answer(
            answered["body"], answered["status"], {k: v for k, v in answered["headers"].items() if k != "Content-Type"}
        )
    )
    dialect = client_of(name)
    async with (
        scripted_upstream(answers(reply)) as upstream,
        house(tmp_path, upstream.url, client=dialect, upstream_path=INSIDE_PATH) as it,
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            asked["method"],
            URL(it.base_url + asked["target"], encoded=True),
            data=body,
            headers=fields_of(asked),
            ssl=it.trusting(),
        ) as response,
    ):
        got = await response.read()
        lines = it.audit_lines()

    (seen,) = [request for request in upstream.requests if request.all("Authorization")]  # the probe has none
    assert (seen.method, seen.target) == (asked["method"], INSIDE_PATH + asked["target"])
    assert seen.all("Authorization") == [f"Bearer {UPSTREAM_TOKEN}"]
    assert (json.loads(seen.body) if seen.body else None) == without_password(asked["body"])
    if asked["body"] is not None and "password" not in asked["body"]:
        assert seen.body == body, "what was judged is what is sent"
    assert response.status == answered["status"]
    if answered["status"] == 429:
        assert int(response.headers["Retry-After"]) >= 60
    elif answered["body"] is None:
        assert got == b""
    elif answered["status"] < 400:
        assert json.loads(got) == as_shown_outside(answered["body"], it.base_url)
    elif dialect == "okta-agent":
        assert json.loads(got) == answered["body"]
    else:
        assert json.loads(got)["status"] == str(answered["status"])
    if answered["body"] is not None:
        media_type = "application/json" if dialect == "okta-agent" else "application/scim+json"
        assert (seen.all("Accept"), response.headers["Content-Type"]) == ([media_type], media_type)
    outcome = next(line for line in lines if line.get("operation") and line["event"] != "intent")
    assert outcome["operation"] == OPERATIONS[name]


async def test_a_bad_token_is_told_so_as_okta_demands(tmp_path: Path) -> None:
    asked = fixture("okta2-23-spec-bad-auth")["request"]
    async with (
        scripted_upstream(answers(b"")) as upstream,
        house(tmp_path, upstream.url) as it,
        aiohttp.ClientSession() as session,
        session.get(
            URL(it.base_url + asked["target"], encoded=True), headers=asked["headers"], ssl=it.trusting()
        ) as response,
    ):
        got = await response.json(content_type=None)

    assert response.status == 401
    assert got["status"] == "401"
    assert got["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert got["detail"]
    assert not any(request.all("Authorization") for request in upstream.requests)


async def test_an_unknown_id_is_the_applications_404(tmp_path: Path) -> None:
    asked = fixture("okta2-24-spec-unknown-id")["request"]
    error = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "404", "detail": "Not found"}
    async with (
        scripted_upstream(answers(json_answer(error, 404))) as upstream,
        house(tmp_path, upstream.url) as it,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
        session.get(URL(it.base_url + asked["target"], encoded=True), ssl=it.trusting()) as response,
    ):
        got = await response.json(content_type=None)

    assert response.status == 404
    assert got == error


async def test_a_filter_that_is_none_is_told_so_as_okta_demands_of_1_1(tmp_path: Path) -> None:
    told = fixture("okta11-07-spec-bad-filter")
    asked = told["request"]
    async with (
        scripted_upstream(answers(b"")) as upstream,
        house(tmp_path, upstream.url, client="okta-agent") as it,
        aiohttp.ClientSession() as session,
        session.get(
            URL(it.base_url + asked["target"], encoded=True), headers=fields_of(asked), ssl=it.trusting()
        ) as response,
    ):
        got = await response.json()

    assert response.status == told["response"]["status"]
    assert [error["code"] for error in got["Errors"]] == ["400"]
    assert not any(request.all("Authorization") for request in upstream.requests)


async def test_an_agents_doubled_slash_is_forwarded_as_one(tmp_path: Path) -> None:
    told = fixture("opp11-02-user-lookup")
    target = told["request"]["target"]
    async with (
        scripted_upstream(answers(json_answer(told["response"]["body"]))) as upstream,
        house(tmp_path, upstream.url, client="okta-agent", upstream_path=INSIDE_PATH) as it,
        aiohttp.ClientSession() as session,
        session.get(
            URL(f"{it.base_url}/{target}", encoded=True), headers=fields_of(told["request"]), ssl=it.trusting()
        ) as response,
    ):
        assert response.status == 200

    assert INSIDE_PATH + target in [request.target for request in upstream.requests]
