"""A bad group rule in Okta, and what the guard makes of it; hours and days pass by the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import accumulate

import pytest

from gateway.rehearsal.messages import activation
from gateway.state.ledger import HoldState, Ledger, Signature, Verdict
from tests.okta.application import Application
from tests.okta.client import Okta, Report
from tests.okta.gateway import VirtualGateway, played
from tests.okta.store import ResourceId
from tests.okta.tasks import MAX_ATTEMPTS, Dialect, Kind, Replay, Task, wait_seconds
from tests.worlds import PATH

HOUR = 3600.0
GUARD: dict[str, object] = {"people": 20, "directory_size": 2000}
LEAVERS, PEOPLE = 500, 2000

Meanwhile = Callable[[VirtualGateway], Awaitable[None]]


def company(people: int) -> tuple[Application, dict[str, str]]:
    """An application with so many users, all active; their ids by userName."""
    application = Application()
    names = [f"person{number}@example.com" for number in range(people)]
    return application, {name: application.store.users.add({"userName": name, "active": True}) for name in names}


def deactivations(ids: dict[str, str], count: int) -> list[Task]:
    return [Task(f"t{number:05d}", Kind.DEACTIVATE, name) for number, name in enumerate(list(ids)[:count])]


def inactive(application: Application) -> set[object]:
    return {user["userName"] for user in application.store.users if user.get("active") is not True}


def waves(
    application: Application,
    ids: dict[str, str],
    tasks: list[Task],
    meanwhile: Meanwhile,
    *,
    dialect: Dialect = "oin",
    replay: Replay = "stored",
) -> tuple[Report, VirtualGateway]:
    """Okta works on the tasks while something else goes on."""

    async def play(gateway: VirtualGateway) -> Report:
        okta = Okta(gateway.call, dialect=dialect, replay=replay, base_path=PATH)
        okta.memory.user_ids |= ids
        async with asyncio.TaskGroup() as both:
            working = both.create_task(okta.run(tasks))
            both.create_task(meanwhile(gateway))  # type: ignore[arg-type]  # a coroutine
        return working.result()

    return played(application, play, guard=GUARD, probes=False)


def ledger_of(gateway: VirtualGateway) -> Ledger:
    assert gateway.keeper.ledger is not None
    return gateway.keeper.ledger


def signature(gateway: VirtualGateway) -> Signature:
    return Signature("alice", "asked HR", gateway.keeper.now)


async def decide(gateway: VirtualGateway, ruling: Callable[..., object]) -> None:
    """Alice decides on the one open hold."""
    (view,) = [view for view in ledger_of(gateway).holds() if view.hold.state is HoldState.OPEN]
    ruling(ledger_of(gateway), view.hold.id, signature(gateway))
    await gateway.keeper.keep()


@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize(("dialect", "replay"), [("oin", "stored"), ("aiw", "reread")])
def test_a_wave_waits_for_hours_and_goes_through_by_oktas_own_retries_once_approved(
    dialect: Dialect, replay: Replay, crashes: bool
) -> None:
    application, ids = company(PEOPLE)
    seen: dict[str, object] = {}

    async def meanwhile(gateway: VirtualGateway) -> None:
        await asyncio.sleep(4)  # in the middle of the wave
        if crashes:
            gateway.crash()
        leaver = gateway.send(
            "w1", "PATCH", f"/Users/{ids['person1999@example.com']}", activation(active=False), other_tenant=True
        )
        status, _, _ = await leaver.answer
        await asyncio.sleep(6 * HOUR)
        if crashes:
            gateway.crash()
        seen.update(leaver=status, inactive=len(inactive(application)), held=ledger_of(gateway).figures("jira").held)
        await decide(gateway, Ledger.approve)

    report, gateway = waves(application, ids, deactivations(ids, LEAVERS), meanwhile, dialect=dialect, replay=replay)

    assert seen == {"leaver": 200, "inactive": 21, "held": 480}
    assert report.failed == []
    assert len(inactive(application)) == LEAVERS + 1
    assert [event.kind for event in gateway.told if event.kind == "wave-held"] == ["wave-held"]
    assert gateway.broken_promises() == []
    assert ledger_of(gateway).holds()[0].hold.done == 480


def test_a_wave_that_is_denied_takes_access_from_nobody_more_and_fails_where_people_see_it() -> None:
    application, ids = company(PEOPLE)

    async def meanwhile(gateway: VirtualGateway) -> None:
        await asyncio.sleep(6 * HOUR)
        await decide(gateway, Ledger.deny)

    report, gateway = waves(application, ids, deactivations(ids, LEAVERS), meanwhile)

    assert report.failed_by_ending == {403: 480}
    assert len(inactive(application)) == 20
    assert gateway.broken_promises() == []


@pytest.mark.parametrize("dialect", ["oin", "aiw"])
@pytest.mark.parametrize("hours", [16, 64])
def test_nothing_is_lost_of_a_wave_that_is_decided_after_days(hours: int, dialect: Dialect) -> None:
    """Ten attempts whose first wait is 600 s end 85 hours after the first, and with 1200 s after 170: as computed."""
    waits = [wait_seconds("documented", ["600"] * count) or 0 for count in range(1, MAX_ATTEMPTS)]
    last_attempt_hours = list(accumulate(waits))[-1] / HOUR
    assert last_attempt_hours == pytest.approx(85.17, abs=0.01)
    assert hours < last_attempt_hours

    application, ids = company(PEOPLE)

    async def meanwhile(gateway: VirtualGateway) -> None:
        await asyncio.sleep(hours * HOUR)
        await decide(gateway, Ledger.approve)

    report, gateway = waves(application, ids, deactivations(ids, LEAVERS), meanwhile, dialect=dialect)

    assert report.failed == []
    assert len(inactive(application)) == LEAVERS
    assert max(report.attempts) <= MAX_ATTEMPTS
    assert gateway.broken_promises() == []


def test_a_wave_that_nobody_decides_on_is_denied_before_oktas_last_attempt_and_never_released() -> None:
    application, ids = company(PEOPLE)

    async def meanwhile(gateway: VirtualGateway) -> None:
        await asyncio.sleep(73 * HOUR)
        (expired,) = ledger_of(gateway).expire(gateway.keeper.now)
        assert len(expired.changed) == 480

    report, gateway = waves(application, ids, deactivations(ids, LEAVERS), meanwhile)

    assert report.failed_by_ending == {403: 480}
    assert len(inactive(application)) == 20
    assert "last-attempts" in {event.kind for event in gateway.told}


@pytest.mark.parametrize("dialect", ["oin", "aiw"])
@pytest.mark.parametrize("approves", [True, False])
def test_somebody_who_was_reactivated_while_their_deactivation_was_held_ends_active(
    dialect: Dialect, approves: bool
) -> None:
    application, ids = company(PEOPLE)
    back = "person400@example.com"
    later: list[Report] = []

    async def reactivate(gateway: VirtualGateway) -> None:
        okta = Okta(gateway.call, dialect=dialect, base_path=PATH)
        later.append(await okta.run([Task("t00999", Kind.REACTIVATE, back)]))

    async def meanwhile(gateway: VirtualGateway) -> None:
        await asyncio.sleep(HOUR)
        async with asyncio.TaskGroup() as both:
            both.create_task(reactivate(gateway))
            await asyncio.sleep(HOUR)
            assert not later  # it waits behind the deactivation
            await decide(gateway, Ledger.approve if approves else Ledger.deny)

    _, gateway = waves(application, ids, deactivations(ids, LEAVERS), meanwhile, dialect=dialect)

    assert later[0].failed == []
    assert back not in inactive(application)
    assert len(inactive(application)) == (LEAVERS - 1 if approves else 20)
    assert gateway.broken_promises() == []


def test_an_empty_group_pushed_over_one_of_300_is_held() -> None:
    application, ids = company(400)
    members = [{"value": identifier} for identifier in list(ids.values())[:300]]
    group = application.store.groups.add({"displayName": "jira-users", "members": members})
    replace = {"op": "replace", "path": "members", "value": []}
    document = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [replace]}

    async def play(gateway: VirtualGateway) -> tuple[int, dict[str, str]]:
        status, fields, _ = await gateway.send("g1", "PATCH", f"/Groups/{group}", document).answer
        return status, fields

    (status, fields), gateway = played(application, play, guard=GUARD)
    kept = application.store.groups.get(ResourceId(group))

    assert status == 429
    assert 600 <= int(fields["Retry-After"]) <= 1200
    assert kept is not None
    assert kept["members"] == members
    (line,) = [entry.said for entry in gateway.record if entry.said["event"] == "outcome"]
    assert line["reason"] == "guard-held"
    assert isinstance(line["guard"], dict)
    assert (line["guard"]["verdict"], line["guard"]["people"]) == (Verdict.HOLD.value, 300)


def test_a_directory_of_twenty_is_not_emptied() -> None:
    application, ids = company(20)
    tasks = deactivations(ids, 20)

    async def meanwhile(gateway: VirtualGateway) -> None:
        await asyncio.sleep(HOUR)
        await decide(gateway, Ledger.deny)

    async def play(gateway: VirtualGateway) -> Report:
        okta = Okta(gateway.call, base_path=PATH)
        okta.memory.user_ids |= ids
        async with asyncio.TaskGroup() as both:
            working = both.create_task(okta.run(tasks))
            both.create_task(meanwhile(gateway))
        return working.result()

    _, gateway = played(application, play, guard={"people": 20, "directory_size": 20})

    assert len(inactive(application)) == 4  # a fifth of it
    assert gateway.broken_promises() == []
