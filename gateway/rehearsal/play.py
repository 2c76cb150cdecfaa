"""Plays the steps of a rehearsal in order, and cleans up after them whatever happens.

To add a step: write a function of the scene, add it to OKTA_STEPS (or another client's) where the client would send it,
add its test. To add a client: write its script, add it to DIALECTS.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter

from gateway.rehearsal import agent, groups, refused, users
from gateway.rehearsal.advice import advise, concerns_everything
from gateway.rehearsal.caller import Target, calling
from gateway.rehearsal.cleaning import clean_up
from gateway.rehearsal.dialects import CatalogueApp, WholeResources
from gateway.rehearsal.entra import ENTRA, ENTRA_FLAGGED
from gateway.rehearsal.messages import OKTA_AGENT
from gateway.rehearsal.outcomes import Outcome, Report, StepResult
from gateway.rehearsal.replies import Failed, Unanswered
from gateway.rehearsal.scene import NotRun, Scene, names_for
from gateway.rehearsal.scripts import Script, Step

CLEANING_SECONDS = 120.0
CLEANING_NAME = "clean up"

OKTA_STEPS: tuple[Step, ...] = (
    Step("test connector: first two users", users.list_the_first_users),
    Step("test connector: groups", users.list_the_groups),
    Step("refused: an unknown token", refused.call_with_an_unknown_token),
    Step("refused: Authorization without a scheme", refused.call_with_a_malformed_authorization),
    Step("refused: an unknown user", refused.get_an_unknown_user),
    Step("refused: an unknown group", refused.get_an_unknown_group),
    Step("refused: a user without userName", refused.create_a_user_without_a_name),
    Step("refused: a group without displayName", refused.create_a_group_without_a_name),
    Step("refused: broken JSON", refused.send_broken_json),
    Step("assign: look up, nobody yet", users.look_up_nobody),
    Step("assign: create", users.create_ada),
    Step("assign: create once more is a conflict", users.create_ada_again),
    Step("assign: look up, found", users.look_up_ada),
    Step("assign: look up, spaces sent as +", users.look_up_ada_with_plus_for_space),
    Step("assign: get by id", users.get_ada),
    Step("assign: links stay outside", users.follow_adas_links),
    Step("assign: create another", users.create_bo),
    Step("update: profile", users.update_adas_profile),
    Step("update: a userName with + % @ and quotes", users.change_bos_user_name),
    Step("import: every page", users.import_all_users),
    Step("import: pages do not overlap", users.turn_a_page),
    Step("deactivate", users.deactivate_ada),
    Step("reactivate", users.reactivate_ada),
    Step("group push: look up, none yet", groups.look_up_no_group),
    Step("group push: create", groups.push_the_group),
    Step("group push: add a member", groups.add_a_member),
    Step("group push: rename", groups.rename_the_group),
    Step("group push: remove one member, add another", groups.swap_the_member),
    Step("group push: push now, all members", groups.push_all_members_now),
    Step("group push: push now, no members", groups.empty_the_group),
    Step("group push: unlink and delete", groups.unlink_the_group),
)

_NOT_OF_THE_AGENT = (users.list_the_first_users, users.look_up_ada_with_plus_for_space)

AGENT_STEPS: tuple[Step, ...] = (
    Step("test connector: capabilities", agent.read_the_capabilities),
    *(step for step in OKTA_STEPS if step.play not in _NOT_OF_THE_AGENT),
    Step("import: what changed since", agent.import_what_changed),
)

DIALECTS: Mapping[str, Script] = {
    "oin": Script(CatalogueApp(), OKTA_STEPS),
    "aiw": Script(WholeResources(), OKTA_STEPS),
    "agent": Script(WholeResources(), AGENT_STEPS, OKTA_AGENT),
    "entra": ENTRA,
    "entra-flag": ENTRA_FLAGGED,
}


async def rehearse(target: Target, script: Script, *, on_step: Callable[[StepResult], None]) -> Report:
    """Plays every step against a SCIM base URL; `on_step` is told of each as it ends.

    A cancelled rehearsal cleans up before it ends.
    """
    results: list[StepResult] = []

    def note_down(result: StepResult) -> None:
        results.append(result)
        on_step(result)

    async with calling(target, script.manner) as caller:
        names = names_for(secrets.token_hex(4))
        scene = Scene(caller=caller, dialect=script.dialect, names=names, password=secrets.token_urlsafe(12))
        try:
            await _play_all(scene, script.steps, note_down)
        finally:
            note_down(await _clean_up(scene))
    return Report(tuple(results))


async def _play_all(scene: Scene, steps: tuple[Step, ...], note_down: Callable[[StepResult], None]) -> None:
    something_passed = False
    hopeless = False
    for step in steps:
        if hopeless:
            note_down(StepResult(step.name, Outcome.NOT_RUN))
            continue
        started_at = perf_counter()
        failure: Failed | Unanswered | None = None
        note: str | None = None
        try:
            note = await step.play(scene)
        except NotRun as reason:
            note_down(StepResult(step.name, Outcome.NOT_RUN, note=scene.presentable(str(reason))))
            continue
        except (Failed, Unanswered) as error:
            failure = error
        result = _result(scene, step.name, started_at, failure, base_url_is_right=something_passed)
        note_down(replace(result, note=scene.presentable(note)) if note else result)
        hopeless = failure is not None and not something_passed and concerns_everything(failure)
        something_passed = something_passed or failure is None


async def _clean_up(scene: Scene) -> StepResult:
    started_at = perf_counter()
    try:
        async with asyncio.timeout(CLEANING_SECONDS):
            note = await clean_up(scene)
    except TimeoutError:
        advice = f"delete in the application whatever is named like {scene.names.ada} or {scene.names.group}."
        failure = Failed(f"not done within {CLEANING_SECONDS:.0f} s", advice=advice)
    except Failed as error:
        failure = error
    else:
        return StepResult(CLEANING_NAME, Outcome.PASSED, _milliseconds_since(started_at), scene.presentable(note))
    return _result(scene, CLEANING_NAME, started_at, failure, base_url_is_right=True)


def _result(
    scene: Scene, name: str, started_at: float, failure: Failed | Unanswered | None, *, base_url_is_right: bool
) -> StepResult:
    milliseconds = _milliseconds_since(started_at)
    if failure is None:
        return StepResult(name, Outcome.PASSED, milliseconds)
    advice = advise(failure, base_url_is_right=base_url_is_right)
    return StepResult(name, Outcome.FAILED, milliseconds, scene.presentable(failure.note), advice)


def _milliseconds_since(started_at: float) -> float:
    return (perf_counter() - started_at) * 1000
