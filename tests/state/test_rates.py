"""GCRA: a burst, then the rate, and never more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.rates import Rates, gcra


def test_a_burst_passes_and_the_next_one_waits_one_interval() -> None:
    arrival = 0.0
    for _ in range(5):
        arrival, wait = gcra(arrival, 100.0, rate=10, burst=5)
        assert wait is None
    _, wait = gcra(arrival, 100.0, rate=10, burst=5)

    assert wait == pytest.approx(0.1)


def test_a_debt_of_a_lower_rate_ends_with_it() -> None:
    arrival = 0.0
    for _ in range(200):
        arrival, _ = gcra(arrival, 100.0, rate=1, burst=200)

    arrival, wait = gcra(arrival, 100.0, rate=50, burst=200)

    assert wait == pytest.approx(1 / 50)
    assert gcra(arrival, 100.02 + 1e-6, rate=50, burst=200)[1] is None


def test_a_refused_request_costs_nothing() -> None:
    arrival, _ = gcra(0.0, 100.0, rate=1, burst=1)
    after, wait = gcra(arrival, 100.0, rate=1, burst=1)

    assert wait is not None
    assert after == arrival


@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
    st.floats(0.1, 100),
    st.integers(1, 20),
)
def test_no_window_ever_holds_more_than_the_burst_and_the_rate(gaps: list[float], rate: float, burst: int) -> None:
    arrival, now, admitted = 0.0, 1000.0, []
    for gap in gaps:
        now += gap
        arrival, wait = gcra(arrival, now, rate, burst)
        if wait is None:
            admitted.append(now)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            span = admitted[last] - admitted[first]
            assert last - first + 1 <= burst + rate * span + 1e-6


@given(st.floats(0.1, 100), st.integers(1, 20))
def test_whoever_waits_as_told_is_admitted(rate: float, burst: int) -> None:
    arrival, now = 0.0, 50.0
    wait: float | None = None
    while wait is None:
        arrival, wait = gcra(arrival, now, rate, burst)

    assert gcra(arrival, now + wait + 1e-6, rate, burst)[1] is None


@given(st.floats(0, 1e6), st.floats(0.1, 100), st.integers(1, 20))
def test_nobody_waits_longer_than_for_one_request(ahead: float, rate: float, burst: int) -> None:
    _, wait = gcra(1000.0 + ahead, 1000.0, rate, burst)

    assert wait is None or wait <= 1 / rate + 1e-6


async def test_tenants_have_rates_of_their_own_and_a_new_limit_counts_at_once() -> None:
    rates = Rates()

    assert await rates.take("a", 5.0, 1, 1) is None
    assert await rates.take("a", 5.0, 1, 1) is not None
    assert await rates.take("b", 5.0, 1, 1) is None
    assert await rates.take("a", 5.0, 1, 10) is None
