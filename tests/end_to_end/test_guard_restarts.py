"""The guard through stops, kills and reloads: what was held stays held, what was counted stays counted."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from gateway.rehearsal.application import Application
from tests.end_to_end.guarded import Guarded, guarded, people, user
from tests.end_to_end.processes import PATIENCE_SECONDS
from tests.upstreams import Conversation, scripted_upstream


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stop", "kill"])
async def test_people_are_counted_on_after_a_restart(
    tmp_path: Path, real_application: Application, end: signal.Signals
) -> None:
    ids = await people(real_application, *(f"counted-{end.name}-{number}" for number in range(4)))
    async with guarded(tmp_path, real_application) as it:
        before = await it.switch_off(*ids[:2])
        await it.end(end)
    async with guarded(tmp_path, real_application) as it:
        after = await it.switch_off(*ids[2:])

    assert (before, after) == ([204, 204], [204, 429])


async def test_a_hold_and_what_was_decided_of_it_outlive_the_process(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"outlives-{number}" for number in range(7)))
    async with guarded(tmp_path, real_application) as it:
        await it.switch_off(*ids[:5])
        assert (await it.switch(ids[5], active=False)).status == 429
        await it.end(signal.SIGKILL)  # right after the trip
    async with guarded(tmp_path, real_application) as it:
        held = await it.switch_off(*ids[3:6])
        behind = await it.switch(ids[5], active=True)
        newcomer = await it.ask("POST", "/Users", user("outlives-newcomer"))
        [hold] = await it.holds()
        tasks = [task["task"] for task in hold["tasks"]]
        approved = await it.guard("approve", hold["id"], "--task", tasks[0], "--task", tasks[2], "--reason", "HR knows")
        denied = await it.guard("deny", hold["id"], "--task", tasks[1], "--reason", "HR does not know")
        await it.end(signal.SIGKILL)  # right after the decision
    async with guarded(tmp_path, real_application) as it:
        repeats = await it.switch_off(*ids[3:6])
        behind_no_more = await it.switch(ids[5], active=True)
        single = await it.switch_off(ids[6])
        after, again = await it.holds()
        away = await it.away()

    assert (held, behind.status, newcomer.status) == ([429, 429, 429], 429, 201)
    assert [task["attempts"] for task in hold["tasks"]] == [2, 2, 2, 1]
    assert (approved.code, denied.code) == (0, 0)
    assert (repeats, behind_no_more.status, single) == ([204, 403, 204], 204, [429])
    assert (after["id"], after["done"], after["denied"]) == (hold["id"], 3, 1)
    assert (again["state"], again["held"]) == ("held", 1), "after a denial those before it still count"
    assert away & set(ids) == set(ids[:4])


async def test_a_write_that_was_under_way_at_a_kill_counts_as_executed(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"flying-{number}" for number in range(4)))
    arrived = asyncio.Event()

    async def silent(conversation: Conversation) -> None:
        if (await conversation.request()).method == "PATCH":
            arrived.set()
        await conversation.silence()

    async with (
        scripted_upstream(silent) as upstream,
        guarded(tmp_path, real_application, upstream=upstream.url) as it,
        asyncio.TaskGroup() as tasks,
    ):
        under_way = tasks.create_task(_statuses(it, ids[:1]))
        await arrived.wait()  # the ledger and the intent are on disk, its outcome is not
        await it.end(signal.SIGKILL)
        assert await under_way == [None]
    async with guarded(tmp_path, real_application) as it:
        others = await it.switch_off(*ids[1:])
        again = await it.switch_off(ids[0])
        away = await it.away()

    assert others == [204, 204, 429], "the one under way may be the first of four"
    assert again == [429], "nobody knows, so it waits with the others"
    assert away & set(ids) == set(ids[1:3])


@pytest.mark.parametrize("answers", [2, 6])
async def test_wherever_a_kill_falls_no_more_than_the_limit_pass_and_nobody_is_forgotten(
    tmp_path: Path, real_application: Application, answers: int
) -> None:
    ids = await people(real_application, *(f"anywhere-{answers}-{number}" for number in range(8)))
    async with guarded(tmp_path, real_application) as it, asyncio.TaskGroup() as tasks:
        under_way = [tasks.create_task(_statuses(it, [one])) for one in ids]
        await _are_done(under_way, answers)
        await it.end(signal.SIGKILL)
    async with guarded(tmp_path, real_application) as it:
        gone = await it.away()
        await it.switch_off(*(one for one in ids if one not in gone))
        away = await it.away() & set(ids)
        [hold] = await it.holds()

    waiting = {task["summary"].partition("/Users/")[2].rstrip(")") for task in hold["tasks"] if task["state"] == "held"}
    assert len(away) <= 3
    assert waiting >= set(ids) - away
    assert waiting <= set(ids)


async def _are_done(tasks: list[asyncio.Task[list[int | None]]], count: int) -> None:
    pending = set(tasks)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(tasks) - len(pending) < count:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)


async def _statuses(it: Guarded, ids: list[str]) -> list[int | None]:
    """Of deactivations; None for one whose connection was lost."""
    try:
        return [*await it.switch_off(*ids)]
    except aiohttp.ClientError:
        return [None]


# Reloads --------------------------------------------------------------------------------------------


async def test_a_hold_stays_latched_whatever_limit_is_set_meanwhile(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"limits-{number}" for number in range(9)))
    async with guarded(tmp_path, real_application) as it:
        await it.switch_off(*ids[:4])
        await it.resettle(people=100)
        still = await it.switch_off(*ids[3:5])
        [hold] = await it.holds()
        await it.guard("approve", hold["id"], "--reason", "checked")
        generous = await it.switch_off(*ids[3:7])
        await it.resettle(people=1)
        strict = await it.switch_off(*ids[7:])
        holds = await it.holds()

    assert still == [429, 429], "a new limit is no decision on what is held"
    assert generous == [204] * 4
    assert strict == [429, 429], "more than one have left within the hour"
    assert [(hold["state"], hold["limit"]) for hold in holds] == [("approved", 3), ("held", 1)]


@pytest.mark.parametrize("mode", ["observe", "off"])
async def test_a_mode_that_holds_nothing_approves_what_waits_on_record_and_keeps_its_order(
    tmp_path: Path, real_application: Application, mode: str
) -> None:
    ids = await people(real_application, *(f"mode-{mode}-{number}" for number in range(10)))
    async with guarded(tmp_path, real_application) as it:
        await it.switch_off(*ids[:5])
        assert (await it.switch(ids[4], active=True)).status == 429
        await it.resettle(mode=mode)
        overtaking = await it.switch(ids[4], active=True)
        late = await it.switch_off(ids[4])
        successor = await it.switch(ids[4], active=True)
        anybody = await it.switch_off(*ids[5:])
        await it.resettle(mode="hold")
        approved_before = await it.switch_off(ids[3])
        single = await it.switch_off(ids[4])
        [hold] = await it.holds()
        [notice] = it.notices("guard-decision")
        away = await it.away()

    assert overtaking.status == 429, "the deactivation before it would come late"
    assert (late, successor.status) == ([204], 204)
    assert anybody == [204] * 5
    assert (approved_before, single) == ([204], [204])
    assert (hold["state"], hold["done"], notice["by"]) == ("approved", 3, "the settings")
    assert mode in notice["reason"]
    assert away & set(ids) == set(ids)


async def test_what_was_denied_stays_denied_by_a_mode_that_holds_nothing(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"denied-for-good-{number}" for number in range(4)))
    async with guarded(tmp_path, real_application) as it:
        await it.switch_off(*ids)
        [hold] = await it.holds()
        await it.guard("deny", hold["id"], "--reason", "a bad group rule")
        await it.resettle(mode="off")
        denied = await it.switch_off(ids[3])

    assert denied == [403]


async def test_a_reload_under_a_wave_lets_nobody_slip_through(tmp_path: Path, real_application: Application) -> None:
    ids = await people(real_application, *(f"reload-{number}" for number in range(12)))
    async with guarded(tmp_path, real_application) as it, asyncio.TaskGroup() as tasks:
        under_way = [tasks.create_task(_statuses(it, [one])) for one in ids]
        await it.resettle(window_seconds=7200)
        statuses = [status for task in under_way for status in await task]
        [hold] = await it.holds()

    assert sorted(status or 0 for status in statuses) == [204] * 3 + [429] * 9
    assert hold["held"] == 9
