"""Clients that hang up: what was sent runs to its end, what was not is dropped, and nothing leaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

import pytest

from gateway.rehearsal.messages import activation
from tests.okta.application import Application
from tests.okta.gateway import NODES, VirtualGateway, Visit, played
from tests.okta.outages import Outage, Schedule, State
from tests.okta.promises import Entry
from tests.worlds import NOW

Scene = Callable[[VirtualGateway], Awaitable[None]]


def change(gateway: VirtualGateway, request_id: str, user: int) -> Visit:
    return gateway.send(request_id, "PATCH", f"/Users/u{user:07d}", activation(active=False))


def after(scene: Scene, application: Application | None = None, **limits: float) -> VirtualGateway:
    """What a scene leaves behind. The application takes a second for each request; later it serves on as ever."""
    application = application or Application(latency_seconds=1)
    for number in range(20):
        application.store.users.add({"userName": f"person{number}"})

    async def play(gateway: VirtualGateway) -> None:
        await scene(gateway)
        await asyncio.sleep(100)
        for user in range(1, 21):
            assert (await change(gateway, f"again{user}", user).answer)[0] == 200

    _, gateway = played(application, play, limits=limits)
    assert gateway.broken_promises() == []
    return gateway


def acts(gateway: VirtualGateway) -> list[str]:
    return [act.request_id for act in gateway.application.acts if not act.request_id.startswith("again")]


def said(gateway: VirtualGateway, request_id: str, event: str) -> list[Mapping[str, object]]:
    lines = [entry.said for entry in gateway.record if entry.said.get("request") == request_id]
    return [line for line in lines if line["event"] == event]


async def at_once(gateway: VirtualGateway) -> None:
    change(gateway, "late", 1).caller.hang_up()


async def while_its_intent_is_put_on_record(gateway: VirtualGateway) -> None:
    late = change(gateway, "late", 1)
    await asyncio.sleep(0.001)
    late.caller.hang_up()


async def with_a_connection_at_hand(gateway: VirtualGateway) -> None:
    await change(gateway, "first", 2).answer
    await while_its_intent_is_put_on_record(gateway)


async def while_a_connection_is_made(gateway: VirtualGateway) -> None:
    late = change(gateway, "late", 1)
    await asyncio.sleep(1)
    late.caller.hang_up()


async def before_it_waits_for_its_turn(gateway: VirtualGateway) -> None:
    change(gateway, "first", 1)
    await asyncio.sleep(0.1)
    change(gateway, "late", 1).caller.hang_up()


async def while_it_waits_for_its_turn(gateway: VirtualGateway) -> None:
    change(gateway, "first", 1)
    late = change(gateway, "late", 1)
    await asyncio.sleep(0.1)
    assert gateway.turns.waiting == 1
    late.caller.hang_up()


async def as_its_turn_comes(gateway: VirtualGateway) -> None:
    """In the very step in which it does."""
    first, late = change(gateway, "first", 1), change(gateway, "late", 1)

    def hang_up(entry: Entry) -> None:
        if entry.said["event"] == "outcome" and entry.said["request"] == "first":
            late.caller.hang_up()

    gateway.journal.on_entry = hang_up
    await first.answer


async def while_it_waits_for_a_free_connection(gateway: VirtualGateway) -> None:
    change(gateway, "first", 2)
    await asyncio.sleep(0.1)
    late = change(gateway, "late", 1)
    await asyncio.sleep(0.1)
    late.caller.hang_up()


async def while_it_waits_for_a_place(gateway: VirtualGateway) -> None:
    """There are two. It gave its own back while it waited for its turn; now that comes, two others have them."""
    first = change(gateway, "first", 1)
    late = change(gateway, "late", 1)
    await asyncio.sleep(0.5)
    change(gateway, "other", 2)

    def one_more(entry: Entry) -> None:
        if entry.said["event"] == "outcome" and entry.said["request"] == "first":
            change(gateway, "one-more", 3)

    gateway.journal.on_entry = one_more
    await first.answer
    await asyncio.sleep(0)
    assert (gateway.turns.waiting, gateway.turns.held, gateway.places.taken["jira"]) == (0, 3, 2)
    late.caller.hang_up()


DARK_AT_FIRST = Schedule((Outage(NOW, NOW + 3, State.DARK),))


@pytest.mark.parametrize(
    ("scene", "limits", "schedule", "has_intent", "note"),
    [
        (at_once, {}, Schedule(), True, "before it waited for a connection"),
        (while_its_intent_is_put_on_record, {}, Schedule(), True, "before it waited for a connection"),
        (with_a_connection_at_hand, {}, Schedule(), True, "before anything was sent"),
        (while_a_connection_is_made, {}, DARK_AT_FIRST, True, "while it waited for a connection"),
        (before_it_waits_for_its_turn, {}, Schedule(), False, "before it waited for its turn"),
        (while_it_waits_for_its_turn, {}, Schedule(), False, "while it waited for its turn"),
        (as_its_turn_comes, {}, Schedule(), False, "while it waited for its turn"),
        (while_it_waits_for_a_free_connection, {"connections": 1}, Schedule(), True, "for a free connection"),
        (while_it_waits_for_a_place, {"concurrent": 2}, Schedule(), False, "while it waited for its turn"),
    ],
)
def test_what_was_not_sent_when_its_client_hung_up_is_dropped(
    scene: Scene, limits: Mapping[str, float], schedule: Schedule, has_intent: bool, note: str
) -> None:
    gateway = after(scene, Application(latency_seconds=1, schedule=schedule), **limits)

    assert "late" not in acts(gateway)
    assert gateway.end("late") == ("not-executed", "client-gone")
    (outcome,) = said(gateway, "late", "outcome")
    assert note in str(outcome["note"])
    assert bool(said(gateway, "late", "intent")) is has_intent


@pytest.mark.parametrize("seconds", [0.01, 0.3, 0.7])
@pytest.mark.parametrize("hangs_up", [True, False])
def test_what_was_sent_runs_to_its_end_whoever_hangs_up(seconds: float, hangs_up: bool) -> None:
    async def scene(gateway: VirtualGateway) -> None:
        sent, behind = change(gateway, "sent", 1), change(gateway, "behind", 1)
        await asyncio.sleep(seconds)
        if hangs_up:
            sent.caller.hang_up()
        await behind.answer

    gateway = after(scene)
    assert acts(gateway) == ["sent", "behind"]
    assert gateway.end("sent") == ("executed", None)
    assert gateway.application.overlaps.total() == 0


def test_what_was_sent_and_lost_is_on_record_as_unknown_though_nobody_waits_for_it() -> None:
    async def scene(gateway: VirtualGateway) -> None:
        sent = change(gateway, "sent", 1)
        await asyncio.sleep(0.1)
        sent.caller.hang_up()

    schedule = Schedule((Outage(NOW + 0.3, NOW + 10, State.DOWN, NODES[0]),))
    gateway = after(scene, Application(latency_seconds=1, schedule=schedule))
    assert gateway.end("sent") == ("unknown", "upstream-broken")


async def crowd(gateway: VirtualGateway, seed: int) -> None:
    """Six hundred requests to few resources, half of whose clients hang up sooner or later."""
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    for number in range(600):
        user = chance.randrange(1, 21)
        if chance.random() < 0.2:
            visit = gateway.send(f"r{number}", "GET", f"/Users/u{user:07d}")
        else:
            visit = change(gateway, f"r{number}", user)
        if chance.random() < 0.5:
            loop.call_later(chance.choice([0.0, 0.002, chance.random(), chance.random() * 20]), visit.caller.hang_up)
        await asyncio.sleep(chance.choice([0, 0, 0, chance.random() * 0.2]))


@pytest.mark.parametrize("seed", range(4))
def test_whoever_hangs_up_whenever_nothing_leaks_and_the_record_is_true(seed: int) -> None:
    schedule = Schedule((
        Outage(NOW + 4, NOW + 5, State.SLOW),
        Outage(NOW + 7, NOW + 9, State.DOWN, NODES[0]),
        Outage(NOW + 9, NOW + 11, State.RESTARTING, NODES[0]),
        Outage(NOW + 12, NOW + 60, State.DARK, NODES[1]),
    ))  # fmt: skip
    application = Application(latency_seconds=0.2, slow_seconds=20, schedule=schedule, seed=seed)
    gateway = after(lambda gateway: crowd(gateway, seed), application, concurrent=12, connections=6, burst=600)

    assert gateway.statuses.keys() == {200, 429, 499}
    ended = {str(entry.said.get("reason")) for entry in gateway.record if entry.said["event"] == "outcome"}
    assert {"client-gone", "None", "upstream-broken"} <= ended
