"""The guard as a whole: a real process, the real application, alerts on a socket, and the real command line."""

from __future__ import annotations

import json
import os
import pwd
import signal
import stat
from pathlib import Path
from typing import Any

from gateway.rehearsal.application import Application
from tests.end_to_end.guarded import PATCH, WEBHOOK_TOKEN, group, guarded, people, receiving, replacing, user
from tests.end_to_end.processes import start
from tests.waiting import until
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN
from tests.worlds_application import ask as ask_application

ME = pwd.getpwuid(os.geteuid()).pw_name


async def test_a_wave_is_held_and_all_else_passes_meanwhile(tmp_path: Path, real_application: Application) -> None:
    ids = await people(real_application, *(f"held-{number}" for number in range(6)))
    async with receiving() as receiver, guarded(tmp_path, real_application, receiver) as it:
        passed = await it.switch_off(*ids[:3])
        held = await it.switch(ids[3], active=False)
        behind = await it.switch(ids[3], active=True)
        created = await it.ask("POST", "/Users", user("held-newcomer"))
        updated = await it.ask("PATCH", f"/Users/{ids[5]}", replacing({"title": "Engineer"}))
        [hold] = await it.holds()
        page = await it.guard("list")
        await until(lambda: receiver.events("wave-held"))
        [[authorization, told]] = receiver.got
        ready = await it.operators("/readyz?verbose")
        metrics = await it.metrics_that_show('scim_gateway_guard_holds{tenant="jira"} 1.0')
        away = await it.away()
        [notice] = it.notices("wave-held")

    assert passed == [204, 204, 204]
    assert away & set(ids) == set(ids[:3])
    assert (created.status, updated.status) == (201, 204)
    for reply, slug in ((held, "guard-held"), (behind, "guard-behind")):
        assert (reply.status, reply.document["status"], reply.slug) == (429, "429", slug)
        assert 600 <= int(reply.fields["retry-after"]) <= 1200
        assert f"[{slug}, {hold['id']}, request {reply.fields['x-request-id']}]" in reply.document["detail"]
    assert (hold["state"], hold["counted"], hold["limit"], hold["held"], hold["follow"]) == ("held", 4, 3, 1, 1)
    assert [task["state"] for task in hold["tasks"]] == ["held", "follows"]
    assert page.out.startswith(f"{hold['id']}  tenant jira  HELD\n")
    assert "4 would have lost access within the window; the limit is 3" in page.out
    assert authorization == f"Bearer {WEBHOOK_TOKEN}"
    assert (told["hold"], told["counted"], told["limit"]) == (hold["id"], 4, 3)
    assert notice["request"] == told["request"] == held.fields["x-request-id"]
    assert "scim-gateway guard list" in ready
    assert 'scim_gateway_guard_held_writes{tenant="jira"} 2.0' in metrics
    assert 'guard_decisions_total{loss="deactivated",tenant="jira",verdict="pass"} 3.0' in metrics
    assert 'guard_decisions_total{loss="deactivated",tenant="jira",verdict="hold"} 1.0' in metrics


async def test_approved_writes_pass_when_they_come_again_in_their_order_and_on_record(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"approved-{number}" for number in range(6)))
    async with receiving() as receiver, guarded(tmp_path, real_application, receiver) as it:
        assert await it.switch_off(*ids[:5]) == [204, 204, 204, 429, 429]
        assert (await it.switch(ids[4], active=True)).status == 429
        [before] = await it.holds()
        said = await it.guard("approve", before["id"], "--reason", "a team left")
        overtaking = await it.switch(ids[4], active=True)
        repeats = await it.switch_off(*ids[3:5])
        after = await it.switch(ids[4], active=True)
        single = await it.switch_off(ids[5])
        [hold] = await it.holds()
        away = await it.away()
        record = it.record()
        await until(lambda: receiver.events("wave-decided"))
        [told] = receiver.events("wave-decided")

    assert said.code == 0
    assert "2 tasks are approved" in said.out
    assert overtaking.status == 429, "an older deactivation must not follow it"
    assert (repeats, after.status, single) == ([204, 204], 204, [204])
    assert away & set(ids) == {*ids[:4], ids[5]}, "the one who was reactivated last ends active"
    assert (hold["state"], hold["done"], hold["decided_by"], hold["reason"]) == ("approved", 3, ME, "a team left")
    assert (told["hold"], told["ruling"], told["by"], told["changed"]) == (before["id"], "approve", ME, 2)
    decided = next(n for n, line in enumerate(record) if line.get("notice") == "guard-decision")
    effects = [n for n, line in enumerate(record) if line["event"] == "intent" and line["guard"].get("hold")]
    assert record[decided]["details"]["by"] == ME
    assert len(effects) == 3
    assert min(effects) > decided


async def test_denied_writes_fail_for_good_and_their_successor_passes(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"denied-{number}" for number in range(4)))
    async with guarded(tmp_path, real_application) as it:
        await it.switch_off(*ids)
        assert (await it.switch(ids[3], active=True)).status == 429
        [before] = await it.holds()
        without_reason = await it.guard("deny", before["id"])
        unknown = await it.guard("deny", "hold-nobody-knows", "--reason", "x", "--json")
        said = await it.guard("deny", before["id"], "--reason", "a bad group rule", "--json")
        denied = await it.switch(ids[3], active=False)
        successor = await it.switch(ids[3], active=True)
        await it.served.says("denied by")
        away = await it.away()
        [notice] = it.notices("guard-decision")

    assert (without_reason.code, unknown.code, said.code) == (2, 1, 0)
    assert "no hold hold-nobody-knows" in json.loads(unknown.out)["problem"]
    assert json.loads(said.out)["changed"] == 1
    assert (denied.status, denied.document["status"], denied.slug) == (403, "403", "guard-denied")
    assert "retry-after" not in denied.fields
    assert successor.status == 204
    assert away & set(ids) == set(ids[:3])
    assert (notice["ruling"], notice["by"], notice["reason"]) == ("deny", ME, "a bad group rule")


async def test_the_report_tells_from_the_record_alone_what_was_or_would_have_been_held(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"reported-{number}" for number in range(10)))
    async with guarded(tmp_path, real_application, mode="observe") as it:
        observed = await it.switch_off(*ids[:5])
        await it.resettle(mode="hold")
        held = await it.switch_off(*ids[5:])
        created = await it.ask("POST", "/Users", user("reported-newcomer"))  # takes nothing from anybody
        [notice] = it.notices("wave-observed")
        await it.end(signal.SIGTERM)
        page = await it.guard("report", "--since", "1h")
        report = await it.guard("report", "--since", "1h", "--json")

    assert (observed, held, created.status) == ([204] * 5, [204, 204, 204, 429, 429], 201)
    assert (notice["counted"], notice["limit"]) == (4, 3)
    told = json.loads(report.out)["tenants"]["jira"]
    assert told["reductions"] == {"pass": 6, "hold": 2, "deny": 0, "would-hold": 2, "exempt": 0}
    assert (told["busiest_window"]["people"], told["limit"], told["fitting_limit"]) == (10, 3, 10)
    assert "fitting limit    10 would have held nothing" in page.out


# Groups ---------------------------------------------------------------------------------------------


def removing(path: str, *more: str) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": "remove", "path": each} for each in (path, *more)]}


async def test_a_group_of_four_is_not_emptied_however_it_is_said(tmp_path: Path, real_application: Application) -> None:
    members = await people(real_application, *(f"member-{number}" for number in range(5)))
    group_id = await group(real_application, "four", members[:4])
    other = await group(real_application, "other", members[:4])
    target = f"/Groups/{group_id}"
    schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
    spellings: list[tuple[str, object]] = [
        ("PUT", {"schemas": schemas, "displayName": "four", "members": []}),
        ("PATCH", replacing([], "members")),
        ("PATCH", replacing({"members": []})),
        ("PATCH", removing("members")),
        ("PATCH", removing(*(f'members[value eq "{member}"]' for member in members[:4]))),
        ("DELETE", None),
    ]
    async with guarded(tmp_path, real_application) as it:
        replies = [await it.ask(method, target, body) for method, body in spellings]
        shorter = await it.ask("PATCH", f"/Groups/{other}", removing(f'members[value eq "{members[0]}"]'))
        adding = {
            "schemas": [PATCH],
            "Operations": [{"op": "add", "path": "members", "value": [{"value": members[4]}]}],
        }
        added = await it.ask("PATCH", f"/Groups/{await group(real_application, 'third', members[:1])}", adding)
        weighed = [line["guard"] for line in it.record() if line.get("reason") == "guard-held"]
        untouched = await ask_application(real_application, "GET", target)

    assert [reply.slug for reply in replies] == ["guard-held"] * len(spellings)
    assert [guard["people"] for guard in weighed] == [4] * len(spellings) + [1]
    assert shorter.status == 429, "the wave is held whole"
    assert added.status in (200, 204)
    assert {member["value"] for member in untouched["members"]} == set(members[:4])


async def test_each_way_to_empty_a_group_trips_a_hold_by_itself(tmp_path: Path, real_application: Application) -> None:
    members = await people(real_application, *(f"alone-{number}" for number in range(4)))
    target = f"/Groups/{await group(real_application, 'alone', members)}"
    async with guarded(tmp_path, real_application) as it:
        for method, body in (("PATCH", replacing([], "members")), ("DELETE", None)):
            reply = await it.ask(method, target, body)
            [hold] = [hold for hold in await it.holds() if hold["state"] == "held"]
            assert (reply.status, hold["counted"]) == (429, 4)
            assert (await it.guard("deny", hold["id"], "--reason", "an empty push")).code == 0


# What is hidden, and who may ask --------------------------------------------------------------------


async def test_the_control_socket_is_for_owner_and_group_and_goes_with_its_instance(
    tmp_path: Path, real_application: Application
) -> None:
    socket = tmp_path / "state" / "control.sock"
    async with guarded(tmp_path, real_application) as it:
        mode = stat.S_IMODE(socket.stat().st_mode)
        second = await start("serve", "--config", str(tmp_path / "gateway.toml"))
        said, _ = await second.communicate()
        still = await it.guard("list")
        await it.end(signal.SIGTERM)
        gone = not socket.exists()
        nobody = await it.guard("list")

    assert mode == 0o660
    assert second.returncode == 1
    assert b"in use" in said
    assert (still.code, still.out) == (0, "Nothing is held, and nothing was decided lately.\n")
    assert gone
    assert (nobody.code, nobody.out) == (1, "")
    assert "no instance runs with the state directory" in nobody.err


async def test_no_secret_and_no_inside_address_is_shown_to_who_decides(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"hidden-{number}" for number in range(4)))
    async with receiving() as receiver, guarded(tmp_path, real_application, receiver) as it:
        await it.switch_off(*ids)
        [hold] = await it.holds()
        said = await it.guard("approve", hold["id"], "--reason", "checked")
        page, as_json = await it.guard("list", "--tasks"), await it.guard("list", "--tasks", "--json")
        await until(lambda: receiver.events("wave-decided"))
        events = [event for _, event in receiver.got]
        notices = [it.notices(kind) for kind in ("wave-held", "guard-decision")]
        await it.end(signal.SIGTERM)

    shown = json.dumps([said.out, page.out, as_json.out, events, notices])
    assert shown.count(hold["id"]) >= 5
    assert [told["id"] for told in json.loads(as_json.out)["holds"]] == [hold["id"]]
    for secret in (TOKEN, UPSTREAM_TOKEN, WEBHOOK_TOKEN, str(real_application.port), "127.0.0.1"):
        assert secret not in shown
    logged = json.dumps(it.served.said)
    for secret in (TOKEN, UPSTREAM_TOKEN, WEBHOOK_TOKEN, PATH):
        assert secret not in logged
