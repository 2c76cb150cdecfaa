"""Admission: who has a place, and that every place comes back."""

from __future__ import annotations

import asyncio

import pytest

from gateway.refusal import Reason, Refusal
from gateway.stages.admission import Admission
from gateway.state.places import Places
from gateway.state.rates import Rates
from tests.worlds import client


def admission(places: Places | None = None) -> Admission:
    return Admission(Rates(), places or Places(), lambda: 1000.0)


async def test_the_rate_is_refused_with_whole_seconds_and_takes_no_place() -> None:
    places = Places()
    door, who = admission(places), client(limits={"requests_per_second": 0.5, "burst": 1})
    async with door.admit(who):
        pass
    with pytest.raises(Refusal) as refused:
        async with door.admit(who):
            pytest.fail("it was let in")

    assert refused.value.reason is Reason.RATE_EXCEEDED
    assert refused.value.retry_after_seconds == 2
    assert places.taken["jira"] == 0


async def test_only_so_many_are_under_way_at_once_and_the_refused_one_costs_no_rate() -> None:
    door, who = admission(), client(limits={"concurrent": 1, "burst": 2, "requests_per_second": 0.001})
    async with door.admit(who):
        with pytest.raises(Refusal) as refused:
            async with door.admit(who):
                pytest.fail("it was let in")
    async with door.admit(who):
        pass

    assert refused.value.reason is Reason.NO_PLACE


async def test_a_place_comes_back_from_an_error_and_from_a_cancellation() -> None:
    places = Places()
    door, who = admission(places), client(limits={"concurrent": 1})
    with pytest.raises(ZeroDivisionError):
        async with door.admit(who):
            raise ZeroDivisionError
    entered = asyncio.Event()

    async def stay() -> None:
        async with door.admit(who):
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        staying = tasks.create_task(stay())
        await entered.wait()
        staying.cancel()

    assert places.taken["jira"] == 0
