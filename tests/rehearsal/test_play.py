"""Whole rehearsals: all green on a faultless application, the right step red on each fault, and nothing left behind."""

from __future__ import annotations

import asyncio

import pytest

from gateway.rehearsal.application import Application
from gateway.rehearsal.caller import Target
from gateway.rehearsal.outcomes import Outcome, Report, StepResult, table_lines
from gateway.rehearsal.play import CLEANING_NAME, DIALECTS, OKTA_STEPS, rehearse
from tests.rehearsal.imperfect import (
    CLIENT_TOKEN,
    Fault,
    Told,
    always,
    any_token_opens,
    asking,
    created_is_empty,
    error,
    errors_are_web_pages,
    errors_echo_the_request,
    filters_are_ignored,
    imperfect,
    instead,
    lookups_that_find_nothing_are_404,
    none,
    saying,
    told,
)
from tests.worlds_application import DIALECTS_OF_2_0, ask, names_in

RESIDENT = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "resident@example.com"}
RESIDENTS = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "residents"}


def ignore(_: StepResult) -> None:
    pass


async def rehearse_against(application: Application, fault: Fault, dialect: str) -> Report:
    async with imperfect(application, fault) as url:
        return await rehearse(Target(url, CLIENT_TOKEN), DIALECTS[dialect], on_step=ignore)


def failed_steps(report: Report) -> dict[str, StepResult]:
    return {step.name: step for step in report.steps if step.outcome is Outcome.FAILED}


@pytest.mark.parametrize("dialect", DIALECTS_OF_2_0)
async def test_every_step_passes_against_the_application_itself(application: Application, dialect: str) -> None:
    seen: list[StepResult] = []
    report = await rehearse(Target(application.url, application.token), DIALECTS[dialect], on_step=seen.append)

    assert failed_steps(report) == {}
    assert report.passed
    assert [step.name for step in report.steps] == [*(step.name for step in DIALECTS[dialect].steps), CLEANING_NAME]
    assert tuple(seen) == report.steps
    assert await names_in(application) == set()


@pytest.mark.parametrize("dialect", DIALECTS_OF_2_0)
async def test_every_step_passes_through_a_faultless_proxy(application: Application, dialect: str) -> None:
    assert failed_steps(await rehearse_against(application, none, dialect)) == {}


IGNORED = Told(204, b"")

FAULTS: dict[str, tuple[Fault, str, str]] = {
    "404 for nothing found": (lookups_that_find_nothing_are_404, "assign: look up, nobody yet", "empty ListResponse"),
    "filters ignored": (filters_are_ignored, "assign: look up, nobody yet", "filter"),
    "HTML errors": (errors_are_web_pages, "refused: an unknown token", "a web page answered"),
    "PATCH ignored": (instead("PATCH", "/", IGNORED), "deactivate", "not the effect"),
    "members ignored": (instead("PATCH", "/Groups", IGNORED), "group push: add a member", "not the effect"),
    "PATCH unknown": (instead("PATCH", "/", error(501)), "deactivate", "--dialect"),
    "PUT ignored": (instead("PUT", "/Users", told(200, {"id": "1"})), "update: profile", "not the effect"),
    "plus lost": (asking("%2B", "+"), "update: a userName with + % @ and quotes", "filter"),
    "percent lost": (asking("%25", "%"), "update: a userName with + % @ and quotes", "filter"),
    "space as plus lost": (asking("+eq+", "%2Beq%2B"), "assign: look up, spaces sent as +", ""),
    "paging ignored": (asking("startIndex=2", "startIndex=1"), "import: pages do not overlap", "startIndex"),
    "numbers as text": (
        saying('"itemsPerPage": 1', '"itemsPerPage": "1"'),
        "test connector: first two users",
        "client needs",
    ),
    "password shown": (saying('"active"', '"password": "x", "active"'), "assign: create", "client needs"),
    "empty created": (created_is_empty, "assign: create", "client needs"),
    "conflict is 500": (saying('"409"', '"500"'), "assign: create once more is a conflict", "client needs"),
    "any token": (any_token_opens, "refused: an unknown token", "close this at once"),
    "401 without detail": (saying('"detail"', '"message"'), "refused: an unknown token", ""),
    "links lead inside": (
        saying('"location": "http://', '"location": "http://i'),
        "assign: links stay outside",
        "inside",
    ),
    "DELETE ignored": (instead("DELETE", "/Groups", IGNORED), "group push: unlink and delete", "client needs"),
}


@pytest.mark.parametrize(("fault", "step", "advice"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_fails_its_step_first_with_advice_that_fits(
    application: Application, fault: Fault, step: str, advice: str
) -> None:
    await ask(application, "POST", "/Users", RESIDENT)
    failures = failed_steps(await rehearse_against(application, fault, "oin"))

    assert next(iter(failures), None) == step
    assert advice in failures[step].advice
    assert failures[step].note


async def test_the_wizards_app_needs_no_patch(application: Application) -> None:
    assert (await rehearse_against(application, instead("PATCH", "/", error(501)), "aiw")).passed


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (error(401), "check the token"),
        (error(403), "`sources`"),
        (error(404), "base URL"),
        (
            Told(429, error(429).body, {"Content-Type": "application/scim+json", "Retry-After": "70"}),
            "come back in 70 s",
        ),
        (Told(200, b"<!doctype html>", {"Content-Type": "text/html"}), "a web page answered"),
        (Told(302, b"", {"Location": "https://login.example.com/"}), "redirects"),
        (Told(0, None), "something closed the connection"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Told) else "",
)
async def test_what_concerns_everything_is_said_once(application: Application, answer: Told, advice: str) -> None:
    report = await rehearse_against(application, always(answer), "oin")

    assert [step.name for step in report.steps if step.outcome is not Outcome.NOT_RUN] == [
        OKTA_STEPS[0].name,
        CLEANING_NAME,
    ]
    assert advice in report.steps[0].advice


async def test_steps_that_build_on_a_failed_one_are_not_run_and_say_why(application: Application) -> None:
    report = await rehearse_against(application, instead("POST", "/Groups", error(500)), "oin")
    not_run = [step for step in report.steps if step.outcome is Outcome.NOT_RUN]

    assert {step.name for step in not_run} == {
        step.name for step in OKTA_STEPS if step.name.startswith("group push: ") and "look up" not in step.name
    } - {"group push: create"}
    assert {step.note for step in not_run} == {"the group was not created"}


@pytest.mark.parametrize("fault", [fault for name, (fault, *_) in FAULTS.items() if name != "DELETE ignored"])
async def test_nothing_is_left_behind_and_nobody_else_is_touched(application: Application, fault: Fault) -> None:
    await ask(application, "POST", "/Users", {**RESIDENT, "active": True})
    await ask(application, "POST", "/Groups", RESIDENTS)
    await rehearse_against(application, fault, "oin")

    assert await names_in(application) == {"resident@example.com", "residents"}
    (resident,) = (await ask(application, "GET", "/Users"))["Resources"]
    assert resident["active"] is True


async def test_a_create_whose_answer_was_lost_is_cleaned_up(application: Application) -> None:
    cut = instead("POST", "/", Told(0, None), executed=True)
    report = await rehearse_against(application, cut, "oin")

    assert report.steps[-1].outcome is Outcome.PASSED
    assert await names_in(application) == set()


async def test_an_interrupted_rehearsal_cleans_up_before_it_ends(application: Application) -> None:
    seen: list[StepResult] = []

    def interrupt(step: StepResult) -> None:
        seen.append(step)
        task = asyncio.current_task()
        if step.name == "group push: add a member" and task is not None:
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await rehearse(Target(application.url, application.token), DIALECTS["oin"], on_step=interrupt)

    assert (seen[-1].name, seen[-1].outcome) == (CLEANING_NAME, Outcome.PASSED)
    assert await names_in(application) == set()


async def test_what_cannot_be_cleaned_up_is_named(application: Application) -> None:
    report = await rehearse_against(application, instead("DELETE", "/Groups", error(500)), "oin")
    cleaning = report.steps[-1]

    assert cleaning.outcome is Outcome.FAILED
    assert "these may still exist: the group" in cleaning.note
    assert cleaning.advice == "delete them in the application."


async def test_users_who_may_not_be_deleted_are_left_deactivated_and_named(application: Application) -> None:
    report = await rehearse_against(application, instead("DELETE", "/Users", error(403)), "oin")
    users = (await ask(application, "GET", "/Users"))["Resources"]

    assert report.passed
    assert "DELETE is refused" in report.steps[-1].note
    assert [user["active"] for user in users] == [False, False]


async def test_neither_token_nor_password_nor_terminal_codes_of_an_answer_are_shown(application: Application) -> None:
    report = await rehearse_against(application, errors_echo_the_request, "oin")
    shown = "".join(line for step in report.steps for line in table_lines(step))

    assert "did not like" in shown
    assert CLIENT_TOKEN not in shown + str(report.as_json())
    assert '"password": "<secret>"' in shown
    assert shown.isprintable()
