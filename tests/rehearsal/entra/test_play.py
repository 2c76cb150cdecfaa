"""Entra's rehearsals: what the embedded application refuses is said, what goes wrong in silence fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.rehearsal.application import Application
from gateway.rehearsal.caller import Target
from gateway.rehearsal.outcomes import Outcome, Report, StepResult
from gateway.rehearsal.play import CLEANING_NAME, DIALECTS, rehearse
from tests.rehearsal.imperfect import (
    CLIENT_TOKEN,
    Call,
    Fault,
    Forward,
    Told,
    asking,
    error,
    filters_are_ignored,
    imperfect,
    instead,
    lookups_that_find_nothing_are_404,
    none,
    saying,
)
from tests.worlds_application import ask, names_in

BOTH = pytest.mark.parametrize("dialect", ["entra", "entra-flag"])
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
MANAGER, CREATE = "user: set the manager", "group: create"
REMOVE = "group: remove one member, the other stays"


async def rehearse_against(application: Application, fault: Fault, dialect: str) -> Report:
    async with imperfect(application, fault) as url:
        return await rehearse(Target(url, CLIENT_TOKEN), DIALECTS[dialect], on_step=lambda _: None)


def failed_steps(report: Report) -> dict[str, StepResult]:
    return {step.name: step for step in report.steps if step.outcome is Outcome.FAILED}


def notes(report: Report) -> dict[str, str]:
    return {step.name: step.note for step in report.steps if step.note}


def rewriting(change: Callable[[dict[str, Any]], None]) -> Fault:
    """Every operation of a PATCH is changed on its way: how another application would have understood it."""

    async def fault(call: Call, forward: Forward) -> Told:
        if call.method != "PATCH":
            return await forward(call)
        message = json.loads(call.body)
        for operation in message["Operations"]:
            change(operation)
        return await forward(replace(call, body=json.dumps(message).encode()))

    return fault


def understands_entra(operation: dict[str, Any]) -> None:
    """As applications do that know Entra."""
    if operation.get("path") == "manager":
        urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"
        operation |= {"path": urn, "value": operation["value"][0]}
    elif operation["op"] == "Remove" and operation["path"] == "members":
        (member,) = operation.pop("value")
        operation["path"] = f'members[value eq "{member["value"]}"]'


def empties_the_group(operation: dict[str, Any]) -> None:
    """As servers do that read a removal of `members` and look no further."""
    if operation["op"] == "Remove" and operation["path"] == "members":
        operation.pop("value")


def takes_false_for_true(operation: dict[str, Any]) -> None:
    """As servers do for which a string that is not empty is true."""
    if operation.get("path") == "active":
        operation["value"] = bool(operation["value"])


def adds_by_replacing(operation: dict[str, Any]) -> None:
    if operation.get("path") == "members" and operation["op"].lower() == "add":
        operation["op"] = "replace"


async def managers_are_ignored(call: Call, forward: Forward) -> Told:
    return Told(204, b"") if b'"manager"' in call.body else await forward(call)


@BOTH
async def test_what_the_application_refuses_is_said_and_why(application: Application, dialect: str) -> None:
    """Each was proved by asking the application itself: it answers 400 and changes nothing."""
    report = await rehearse(Target(application.url, application.token), DIALECTS[dialect], on_step=lambda _: None)
    refused = {MANAGER: "as one object", CREATE: "Microsoft's own schema", REMOVE: "?aadOptscim062020"}
    if dialect == "entra-flag":
        del refused[REMOVE]

    assert report.passed
    assert set(notes(report)) == set(refused)
    assert all(word in notes(report)[step] for step, word in refused.items())
    assert await names_in(application) == set()


@BOTH
async def test_an_application_that_knows_entra_leaves_nothing_to_say(application: Application, dialect: str) -> None:
    known = rewriting(understands_entra)

    async def knows_entra(call: Call, forward: Forward) -> Told:
        schema = b', "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"'
        return await known(replace(call, body=call.body.replace(schema, b"")), forward)

    report = await rehearse_against(application, knows_entra, dialect)

    assert report.passed
    assert notes(report) == {}


FAULTS: dict[str, tuple[Fault, str, str]] = {
    "404 for nothing found": (lookups_that_find_nothing_are_404, "test connection", "empty ListResponse"),
    "filters ignored": (filters_are_ignored, "test connection", "filter"),
    "externalId ignored": (asking("externalId+eq", "id+pr+or+externalId+eq"), "user: look up, nobody yet", "filter"),
    "emails unknown": (asking("work%22%5D", "home%22%5D"), "user: look up by emails of type work", "filter"),
    "PATCH ignored": (
        instead("PATCH", "/", Told(204, b"")),
        "user: update several attributes at once",
        "not the effect",
    ),
    "the string False is true": (
        rewriting(takes_false_for_true),
        "user: disable",
        "nobody who leaves would lose access",
    ),
    "a value list empties": (rewriting(empties_the_group), REMOVE, "aadOptscim062020"),
    "added by replacing": (rewriting(adds_by_replacing), "group: add two members, one by one", "not the effect"),
    "DELETE of users ignored": (instead("DELETE", "/Users", Told(204, b"")), "user: delete", "client needs"),
    "managers ignored": (managers_are_ignored, MANAGER, "not the effect"),
    "refused by the gateway": (saying("an attribute of the schema", "[value-malformed, request 1]"), MANAGER, ""),
}
SEEN_ONLY_WITHOUT_THE_FLAG = {"the string False is true", "a value list empties"}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_fails_its_step_first_with_advice_that_fits(application: Application, name: str) -> None:
    fault, step, advice = FAULTS[name]
    await ask(application, "POST", "/Users", {"schemas": [USER], "userName": "resident@example.com", "active": True})
    failures = failed_steps(await rehearse_against(application, fault, "entra"))
    first = next(iter(failures), "nothing failed")

    assert first.startswith(step)
    assert advice in failures[first].advice
    if not name.startswith("DELETE"):
        assert await names_in(application) == {"resident@example.com"}


@pytest.mark.parametrize("name", SEEN_ONLY_WITHOUT_THE_FLAG)
async def test_the_flag_mends_what_goes_wrong_without_it(application: Application, name: str) -> None:
    assert (await rehearse_against(application, FAULTS[name][0], "entra-flag")).passed


@BOTH
async def test_users_who_may_not_be_deleted_are_left_disabled(application: Application, dialect: str) -> None:
    report = await rehearse_against(application, instead("DELETE", "/Users", error(403)), dialect)
    users = (await ask(application, "GET", "/Users"))["Resources"]

    assert set(failed_steps(report)) == {"user: delete"}
    assert report.steps[-1].name == CLEANING_NAME
    assert "DELETE is refused" in report.steps[-1].note
    assert [user["active"] for user in users] == [False, False]


async def test_members_that_are_shown_although_excluded_are_worth_a_word(application: Application) -> None:
    report = await rehearse_against(application, asking("excludedAttributes=members", "x=y"), "entra")

    assert report.passed
    assert "although excludedAttributes" in notes(report)["group: look up without members"]


@BOTH
async def test_every_request_carries_the_flag_or_none_does(application: Application, dialect: str) -> None:
    targets: list[str] = []

    async def listen(call: Call, forward: Forward) -> Told:
        targets.append(call.target)
        return await none(call, forward)

    await rehearse_against(application, listen, dialect)

    assert {"aadOptscim062020" in target for target in targets} == {dialect == "entra-flag"}
