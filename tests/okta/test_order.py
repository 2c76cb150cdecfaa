"""Writes to one resource go one at a time and never overtake each other, through the real pipeline."""

from __future__ import annotations

import asyncio
import random

import pytest

from gateway.rehearsal.messages import Member, activation, membership_change
from gateway.state.turns import Turns
from tests.okta.application import Application
from tests.okta.gateway import VirtualGateway, played
from tests.okta.outages import Outage, Schedule, State
from tests.okta.store import members_of
from tests.okta.tasks import wait_seconds
from tests.worlds import NOW, PATH

GROUP = "/Groups/g0000001"
WIDE = {"requests_per_second": 1000, "burst": 1000}


class NoTurns(Turns):
    """Grants every turn at once: what would be without them."""

    async def take_at_once(self, key: str) -> bool:
        return True

    async def give_back(self, key: str) -> None:
        """Nothing was taken."""


async def add_member(gateway: VirtualGateway, number: int) -> None:
    """Until it succeeds, by the documented law."""
    refused: list[str | None] = []
    while True:
        member = Member(f"u{number:07d}", f"person{number}")
        visit = gateway.send(f"m{number}.{len(refused)}", "PATCH", GROUP, membership_change((), (member,)))
        status, fields, _ = await visit.answer
        if status == 200:
            return
        assert status == 429
        refused.append(fields["Retry-After"])
        pause = wait_seconds("documented", refused)
        assert pause is not None
        await asyncio.sleep(pause)


def grown_group(turns: Turns) -> tuple[int, VirtualGateway]:
    """How many members a group has after 200 were added at once, where the application does not lock."""

    async def play(gateway: VirtualGateway) -> None:
        gateway.application.store.groups.add({"displayName": "staff"})
        async with asyncio.TaskGroup() as adding:
            for number in range(200):
                adding.create_task(add_member(gateway, number))

    application = Application(locks=False)
    _, gateway = played(application, play, turns=turns)
    (group,) = application.store.groups
    return len(members_of(group)), gateway


def test_two_hundred_members_added_at_once_are_all_there() -> None:
    members, gateway = grown_group(Turns())

    assert members == 200
    assert gateway.statuses.keys() == {200, 429}
    assert gateway.application.overlaps.total() == 0
    assert gateway.broken_promises() == []


def test_without_turns_members_are_lost() -> None:
    members, _ = grown_group(NoTurns())

    assert members < 190


def spells(seed: int) -> Schedule:
    """Both nodes slow down for a moment, again and again."""
    chance = random.Random(seed)
    starts = [NOW + number * 0.4 + chance.random() * 0.3 for number in range(100)]
    return Schedule(tuple(Outage(at, at + chance.random() * 0.2, State.SLOW) for at in starts))


async def mixed_writes(gateway: VirtualGateway, seed: int) -> None:
    """32 workers write to ten users and ten groups."""
    store = gateway.application.store
    for number in range(10):
        store.users.add({"userName": f"person{number}"})
        store.groups.add({"displayName": f"group{number}"})

    async def work(worker: int) -> None:
        chance = random.Random(seed * 100 + worker)
        for step in range(25):
            number = chance.randrange(10)
            user, group = f"/Users/u{number + 1:07d}", f"/Groups/g{number + 1:07d}"
            member = Member("u0000001", "person0")
            method, path, document = chance.choice([
                ("PATCH", user, activation(active=chance.random() < 0.5)),
                ("PUT", user, {"userName": f"person{number}"}),
                ("PATCH", group, membership_change((), (member,))),
                ("PATCH", group, membership_change((member,), ())),
                ("PUT", group, {"displayName": f"group{number}", "members": []}),
            ])  # fmt: skip
            assert (await gateway.send(f"w{worker}.{step}", method, path, document).answer)[0] == 200
            await asyncio.sleep(chance.choice([0, chance.random() * 0.1]))

    async with asyncio.TaskGroup() as working:
        for worker in range(32):
            working.create_task(work(worker))


def orders(gateway: VirtualGateway) -> tuple[dict[str, list[str]], ...]:
    """Request ids by resource, in the order in which they came, were put on record and were executed."""
    came: dict[str, list[str]] = {}
    recorded: dict[str, list[str]] = {}
    executed: dict[str, list[str]] = {}
    for request_id, asked in gateway.asked.items():
        came.setdefault(asked.target.removeprefix(PATH), []).append(request_id)
    for entry in gateway.record:
        if entry.said["event"] == "intent":
            recorded.setdefault(str(entry.said["resource"]), []).append(str(entry.said["request"]))
    for act in gateway.application.acts:
        executed.setdefault(act.path.removeprefix(PATH), []).append(act.request_id)
    return came, recorded, executed


@pytest.mark.parametrize("seed", range(3))
def test_writes_to_one_resource_never_overtake_each_other(seed: int) -> None:
    application = Application(schedule=spells(seed), slow_seconds=0.3, locks=False, seed=seed)
    _, gateway = played(application, lambda gateway: mixed_writes(gateway, seed), limits=WIDE)

    came, recorded, executed = orders(gateway)
    assert len(came) == 20
    assert came == recorded == executed
    assert application.overlaps.total() == 0
    assert gateway.broken_promises() == []


def test_without_turns_they_do() -> None:
    application = Application(schedule=spells(0), slow_seconds=0.3, locks=False)
    _, gateway = played(application, lambda gateway: mixed_writes(gateway, 0), limits=WIDE, turns=NoTurns())

    came, _, executed = orders(gateway)
    assert came != executed
    assert application.overlaps.total() > 100
