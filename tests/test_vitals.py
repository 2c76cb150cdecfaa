"""What /readyz and the gauges say of the guard, of an instance that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway import vitals
from gateway.cli.control import ask
from gateway.cli.holds import holds_of
from gateway.state.keeper import FILE_NAME
from gateway.state.ledger import Ledger
from tests.houses import House, house
from tests.state.ledgers import RULES, off
from tests.test_metrics import samples
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until

EMPTY = json_answer({"totalResults": 0, "Resources": []})
GUARD = {"guard": {"directory_size": 2000}}


def guard_gauges(of: House) -> dict[str, float]:
    vitals.show(of.instance)
    found = samples(of.instance.metrics)
    return {name.partition("{")[0]: value for name, value in found.items() if name.startswith("guard_")}


def hold(of: House) -> Ledger:
    """Five people are deactivated, of whom two are held; one of these comes for the eighth time."""
    ledger, now = of.instance.keeper.ledger, of.instance.keeper.now
    assert ledger is not None
    for person in ("a", "b", "c", "d", "e", *"ddddddd"):
        weighed = ledger.weigh("jira", off(person), RULES, now, "hold-1")
        if weighed.reservation is not None:
            ledger.settle("jira", weighed.reservation, True, now)
    return ledger


async def test_a_wave_that_waits_is_shown_and_leaves_the_instance_ready(tmp_path: Path) -> None:
    async with scripted_upstream(answers(EMPTY)) as upstream, house(tmp_path, upstream.url, **GUARD) as built:
        calm, no_gauges = vitals.checks(built.instance)["guard"], guard_gauges(built)
        hold(built)
        check = vitals.checks(built.instance)["guard"]

        assert (calm.ok, calm.text) == (True, "")
        assert no_gauges == {
            "guard_up": 1, "guard_holds": 0, "guard_held_writes": 0, "guard_held_writes_near_their_end": 0,
            "guard_directory_people": 2000,
        }  # fmt: skip
        assert (check.ok, check.counts) == (True, False)
        assert check.text == "1 wave waits for a decision, with 2 writes: scim-gateway guard list"
        assert guard_gauges(built) == no_gauges | {
            "guard_holds": 1, "guard_held_writes": 2, "guard_held_writes_near_their_end": 1
        }  # fmt: skip


async def test_a_ledger_that_cannot_be_read_is_shown_and_leaves_the_instance_ready(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE_NAME).write_bytes(b"no database" * 1000)
    async with scripted_upstream(answers(EMPTY)) as upstream, house(tmp_path, upstream.url, **GUARD) as built:
        check = vitals.checks(built.instance)["guard"]

        assert (check.ok, check.counts) == (False, False)
        assert "damaged" in check.text
        assert guard_gauges(built) == {
            "guard_up": 0, "guard_holds": 0, "guard_held_writes": 0, "guard_held_writes_near_their_end": 0,
            "guard_directory_people": 2000,
        }  # fmt: skip


@pytest.mark.parametrize(("command", "standing"), [("guard.approve", "approved"), ("guard.deny", "denied")])
async def test_a_decision_over_the_control_socket_outlives_the_instance(
    tmp_path: Path, command: str, standing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And until then the next one tells of it as it starts."""
    async with scripted_upstream(answers(EMPTY)) as upstream:
        async with house(tmp_path, upstream.url, **GUARD) as before:
            hold(before)
        async with house(tmp_path, upstream.url, **GUARD) as built:
            await until(lambda: "a wave still waits for a decision: it began with user.deactivate of d" in caplog.text)
            state = built.directory / "state"
            answer = await asyncio.to_thread(ask, state, command, hold="hold-1", reason="asked HR")
            assert answer["changed"] == 2
        async with house(tmp_path, upstream.url, **GUARD) as again:
            (shown,) = holds_of(await asyncio.to_thread(ask, again.directory / "state", "guard.list"))
            notices = [line["notice"] for line in again.audit_lines() if line["event"] == "notice"]

    assert (shown.state, shown.reason) == (standing, "asked HR")
    assert notices.count("guard-decision") == 1


async def test_gauges_follow_the_audit_log_and_the_certificate(tmp_path: Path) -> None:
    async with scripted_upstream(answers(EMPTY)) as upstream, house(tmp_path, upstream.url) as built:
        instance = built.instance
        vitals.show(instance)
        well = samples(instance.metrics)
        instance.certificates.refused = "the key is not the key of the certificate"
        instance.journal.problem = "No space left on device"
        vitals.show(instance)
        ill = samples(instance.metrics)

    names = ("audit_up{}", "tls_certificate_refused{certificate=listen}")
    assert [well[name] for name in names] == [1, 0]
    assert [ill[name] for name in names] == [0, 1]


async def test_what_waits_to_be_on_disk_is_shown(tmp_path: Path) -> None:
    async with scripted_upstream(answers(EMPTY)) as upstream, house(tmp_path, upstream.url) as built:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(built.instance.recording.notice("one"))
            tasks.create_task(built.instance.recording.notice("two"))
            await asyncio.sleep(0)  # both have handed over, and the loop has not heard of the disk yet
            vitals.show(built.instance)
            waiting = samples(built.instance.metrics)["audit_waiting_events{}"]
        vitals.show(built.instance)
        after = samples(built.instance.metrics)["audit_waiting_events{}"]

    assert (waiting, after) == (2, 0)
