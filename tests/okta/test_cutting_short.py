"""Writes that are cut short at any moment: whoever may have lost access counts, nobody else, and nothing leaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.rehearsal.messages import activation
from gateway.state.ledger import Signature
from tests.okta.application import Application
from tests.okta.gateway import VirtualGateway, Visit, played

GUARD: dict[str, object] = {"people": 3, "directory_size": 1000}
LATENCY_SECONDS = 0.1
# Every half millisecond while something is kept or put on record, and now and then while the application works.
STEPS = [number * 0.0005 for number in range(20)]
MOMENTS = sorted({*STEPS, *(0.1 + step for step in STEPS), *(0.2 + step for step in STEPS), 0.03, 0.06, 0.15, 0.25})

Ending = Callable[[Visit], object]


def hang_up(visit: Visit) -> None:
    visit.caller.hang_up()


def cancel(visit: Visit) -> None:
    """As a stop does that has waited long enough."""
    visit.answer.cancel()


def company(people: int) -> Application:
    application = Application(latency_seconds=LATENCY_SECONDS)
    ids = [application.store.users.add({"userName": f"person{number}", "active": True}) for number in range(people)]
    members = [{"value": identifier} for identifier in ids[:3]]
    application.store.groups.add({"displayName": "jira-users", "members": members})
    return application


async def cut_short(visit: Visit, seconds: float, end: Ending) -> None:
    await asyncio.sleep(seconds)
    end(visit)
    await asyncio.wait([visit.answer])


def counted(gateway: VirtualGateway) -> int:
    assert gateway.keeper.ledger is not None
    return sum(kind == "lost" for kind, _, _ in gateway.keeper.ledger.rows())


@pytest.mark.parametrize("end", [hang_up, cancel])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"], ids=["a user is deactivated", "a group is deleted"])
def test_whoever_may_have_lost_access_by_a_write_cut_short_counts_and_nobody_else(method: str, end: Ending) -> None:
    outcomes = set()
    for seconds in MOMENTS:
        application = company(5)

        async def play(gateway: VirtualGateway, seconds: float = seconds) -> None:
            if method == "PATCH":
                visit = gateway.send("cut", "PATCH", "/Users/u0000001", activation(active=False))
            else:
                visit = gateway.send("cut", "DELETE", "/Groups/g0000001")
            await cut_short(visit, seconds, end)

        _, gateway = played(application, play, guard=GUARD, probes=False)
        (outcome, _) = gateway.end("cut")
        outcomes.add(outcome)
        people = 1 if method == "PATCH" else 3

        assert gateway.leaks() == [], seconds
        assert counted(gateway) == (0 if outcome == "not-executed" else people), seconds
        if any(act.request_id == "cut" and act.method != "GET" for act in application.acts):
            assert outcome != "not-executed", seconds

    assert outcomes >= {"not-executed", "executed"}


@pytest.mark.parametrize("end", [hang_up, cancel])
def test_an_approved_write_cut_short_before_it_left_is_still_approved(end: Ending) -> None:
    for seconds in MOMENTS:
        application = company(5)

        async def play(gateway: VirtualGateway, seconds: float = seconds) -> int:
            for number in range(1, 5):
                await gateway.send(f"w{number}", "PATCH", f"/Users/u{number:07d}", activation(active=False)).answer
            ledger = gateway.keeper.ledger
            assert ledger is not None
            ledger.approve(ledger.holds()[0].hold.id, Signature("alice", "asked HR", gateway.keeper.now))
            await gateway.keeper.keep()
            again = gateway.send("cut", "PATCH", "/Users/u0000004", activation(active=False))
            await cut_short(again, seconds, end)
            gateway.crash()
            status, _, _ = await gateway.send("next", "PATCH", "/Users/u0000004", activation(active=False)).answer
            return status

        status, gateway = played(application, play, guard=GUARD, probes=False)

        assert status == 200, seconds
        assert gateway.leaks() == [], seconds
