"""The agent's rehearsal: against a server of SCIM 1.1, and through a whole gateway before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.rehearsal.caller import Target
from gateway.rehearsal.messages import OKTA_AGENT, changed_since_target
from gateway.rehearsal.outcomes import Outcome, Report, StepResult
from gateway.rehearsal.play import AGENT_STEPS, CLEANING_NAME, DIALECTS, rehearse
from gateway.rehearsal.replies import Failed, Reply, expect_error, expect_page, expect_refused
from tests.houses import house
from tests.scim11_server import PATH_OF_1_1, SCHEMA, scim11_server
from tests.worlds import FIXTURES, TOKEN, UPSTREAM_TOKEN

RESIDENT = {
    "schemas": [SCHEMA],
    "id": "1",
    "userName": "resident@example.com",
    "active": True,
    "meta": {"lastModified": "2020-01-01T00:00:00Z"},
}


def ignore(_: StepResult) -> None:
    pass


async def rehearse_against(url: str, token: str = UPSTREAM_TOKEN) -> Report:
    return await rehearse(Target(url, token), DIALECTS["agent"], on_step=ignore)


def failed(report: Report) -> dict[str, StepResult]:
    return {step.name: step for step in report.steps if step.outcome is not Outcome.PASSED}


async def test_every_step_passes_against_a_server_of_1_1_and_nothing_stays() -> None:
    async with scim11_server() as server:
        server.users["1"] = RESIDENT
        report = await rehearse_against(server.url)

    assert failed(report) == {}
    assert [step.name for step in report.steps] == [*(step.name for step in AGENT_STEPS), CLEANING_NAME]
    assert (list(server.users.values()), server.groups) == ([RESIDENT], {})
    assert "PATCH" not in {method for method, _ in server.asked}


async def test_every_step_passes_through_a_gateway_whose_record_names_what_was_done(tmp_path: Path) -> None:
    async with (
        scim11_server() as server,
        house(tmp_path, server.origin, client="okta-agent", upstream_path=PATH_OF_1_1) as it,
    ):
        report = await rehearse(Target(it.base_url, TOKEN, tls=it.trusting()), DIALECTS["agent"], on_step=ignore)
        operations = {line.get("operation") for line in it.audit_lines()}

    assert failed(report) == {}
    assert (server.users, server.groups) == ({}, {})
    assert operations >= {
        "discovery.get", "user.list", "user.get", "user.create", "user.replace", "user.delete", "group.list",
        "group.get", "group.create", "group.replace", "group.delete",
    }  # fmt: skip


async def failures_against(**faults: Any) -> dict[str, StepResult]:
    async with scim11_server() as server:
        for name, value in faults.items():
            setattr(server, name, value)
        return failed(await rehearse_against(server.url))


async def test_a_server_of_another_version_fails_at_once_with_advice() -> None:
    failures = await failures_against(speaks="urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig")

    assert next(iter(failures)) == "test connector: capabilities"
    assert "--dialect" in failures["test connector: capabilities"].advice


async def test_an_incremental_import_is_played_only_where_it_is_announced() -> None:
    announced = await failures_against(ignores="meta.lastModified")
    silent = await failures_against(ignores="meta.lastModified", capabilities=("GROUP_PUSH",))

    assert list(announced) == ["import: what changed since"]
    assert "meta.lastModified" in announced["import: what changed since"].advice
    assert silent == {}


async def test_a_wrong_base_url_is_said_once() -> None:
    async with scim11_server() as server:
        report = await rehearse_against(f"{server.origin}/scim/elsewhere/v1")

    assert "base URL" in report.steps[0].advice
    assert [step.name for step in report.steps if step.outcome is not Outcome.NOT_RUN] == [
        AGENT_STEPS[0].name,
        CLEANING_NAME,
    ]


def reply(status: int, body: object) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode(), OKTA_AGENT)


def expect_not_found(answer: Reply) -> None:
    expect_error(answer, 404)


@pytest.mark.parametrize(
    ("demand", "answer"),
    [
        (expect_page, reply(200, {"schemas": [SCHEMA], "totalResults": 1, "Resources": [{"id": "1"}]})),
        (expect_not_found, reply(404, {"Errors": [{"description": "x", "code": "404"}]})),
        (expect_not_found, reply(404, {"Errors": [{"description": "x", "code": 404}]})),
        (expect_not_found, reply(404, {"errors": [{"description": "x", "statusCode": 404}]})),
        (expect_refused, reply(400, {"Errors": [{"description": "x"}]})),
    ],
)
def test_what_the_agent_accepts_passes(demand: Callable[[Reply], object], answer: Reply) -> None:
    demand(answer)


@pytest.mark.parametrize(
    ("demand", "answer", "note"),
    [
        (expect_page, reply(200, {"schemas": ["urn:x"], "totalResults": 0}), "`schemas`"),
        (expect_page, reply(404, {"Errors": [{"description": "gone", "code": "404"}]}), "404: gone"),
        (expect_not_found, reply(404, {"status": "404", "detail": "x"}), "`Errors`"),
        (expect_not_found, reply(404, {"Errors": []}), "`Errors`"),
        (expect_not_found, reply(404, {"Errors": [{"code": "404"}]}), "`description`"),
        (expect_not_found, reply(404, {"Errors": [{"description": "x", "code": "400"}]}), "HTTP's is 404"),
    ],
)
def test_what_the_agent_stumbles_over_fails_and_is_named(
    demand: Callable[[Reply], object], answer: Reply, note: str
) -> None:
    with pytest.raises(Failed) as failure:
        demand(answer)

    assert note in failure.value.note


def test_an_incremental_import_is_asked_for_as_the_agent_does() -> None:
    told = json.loads((FIXTURES / "opp11-06-incremental-import.json").read_text())

    assert changed_since_target("2024-04-07T14:19:34Z") == told["request"]["target"]
