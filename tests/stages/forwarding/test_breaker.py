"""The breaker of one node: when it is left alone, for how long, and what brings it back. Pure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.forwarding.breaker import (
    FAILURES,
    MAX_PAUSE_SECONDS,
    PAUSE_SECONDS,
    Breaker,
    State,
    after_failure,
    after_probe,
    after_success,
    began,
    ended,
    probe_is_due,
)

NOW = 1000.0
EVEN = 0.5  # the jitter that changes nothing


def failed(breaker: Breaker, times: int = 1, now: float = NOW) -> Breaker:
    for _ in range(times):
        breaker = after_failure(breaker, now, EVEN)
    return breaker


def probed(breaker: Breaker, now: float, *, reachable: bool = True, healthy: bool = False) -> Breaker:
    return after_probe(breaker, now, EVEN, reachable=reachable, healthy=healthy)


OPEN = failed(Breaker(), FAILURES)
HALF_OPEN = probed(OPEN, OPEN.until)


def test_failures_in_a_row_open_it_and_no_fewer() -> None:
    almost = failed(Breaker(), FAILURES - 1)

    assert (almost.state, almost.admits) == (State.CLOSED, True)
    assert (OPEN.state, OPEN.admits) == (State.OPEN, False)
    assert OPEN.until == NOW + PAUSE_SECONDS


def test_one_success_forgets_every_failure() -> None:
    almost = failed(Breaker(), FAILURES - 1)

    assert after_success(almost) == Breaker()
    assert failed(after_success(almost), FAILURES - 1).state is State.CLOSED


def test_what_fails_while_it_is_open_was_sent_before_and_counts_no_more() -> None:
    assert failed(OPEN, 10, NOW + 0.1) is OPEN


def test_a_success_while_it_is_open_closes_it() -> None:
    assert after_success(OPEN).admits


def test_a_probe_is_due_at_its_time_and_at_the_end_of_a_pause() -> None:
    assert not probe_is_due(OPEN, NOW, OPEN.until - 0.01)
    assert probe_is_due(OPEN, NOW + 99, OPEN.until)
    assert not probe_is_due(Breaker(), NOW + 1, NOW)
    assert probe_is_due(Breaker(), NOW, NOW)


def test_two_probes_in_a_row_that_reach_nobody_open_it_and_those_that_do_change_nothing() -> None:
    once = probed(Breaker(), NOW, reachable=False)

    assert once.state is State.CLOSED
    assert probed(once, NOW, reachable=False).state is State.OPEN
    assert probed(once, NOW, reachable=True) == Breaker()
    assert probed(after_success(once), NOW, reachable=False).state is State.CLOSED


@pytest.mark.parametrize(
    ("reachable", "healthy", "state"),
    [(True, True, State.CLOSED), (True, False, State.HALF_OPEN), (False, False, State.OPEN)],
)
def test_a_probe_after_the_pause_says_what_comes_next(reachable: bool, healthy: bool, state: State) -> None:
    assert probed(OPEN, OPEN.until, reachable=reachable, healthy=healthy).state is state


def test_a_probe_within_the_pause_says_nothing() -> None:
    assert probed(OPEN, OPEN.until - 0.01, healthy=True) is OPEN


@pytest.mark.parametrize(("reachable", "healthy"), [(True, True), (True, False)])
def test_a_probe_that_is_answered_says_nothing_of_a_node_in_service(reachable: bool, healthy: bool) -> None:
    breaker = failed(Breaker(), 2)

    assert probed(breaker, NOW, reachable=reachable, healthy=healthy) is breaker


def test_a_probe_proves_little_so_the_first_request_that_fails_opens_it_again_for_longer() -> None:
    back = probed(OPEN, OPEN.until, healthy=True)
    again = failed(back, 1, OPEN.until)

    assert (back.state, back.admits) == (State.CLOSED, True)
    assert again.state is State.OPEN
    assert again.until == OPEN.until + 2 * PAUSE_SECONDS


def test_half_open_admits_one_request_at_a_time() -> None:
    trying = began(HALF_OPEN)

    assert HALF_OPEN.admits
    assert not trying.admits
    assert ended(trying).admits
    assert after_success(trying) == Breaker()
    assert failed(trying).state is State.OPEN
    assert failed(trying).until == NOW + 2 * PAUSE_SECONDS


def test_a_probe_does_not_speak_while_the_one_request_is_under_way() -> None:
    trying = began(HALF_OPEN)

    assert probed(trying, NOW + 99, reachable=False) is trying


def test_half_open_is_left_by_a_probe_too() -> None:
    assert probed(HALF_OPEN, NOW + 9, healthy=True).state is State.CLOSED
    assert probed(HALF_OPEN, NOW + 9, reachable=False).state is State.OPEN


@pytest.mark.parametrize("breaker", [Breaker(), failed(Breaker(), 2), OPEN])
def test_only_half_open_minds_that_a_request_begins_or_ends(breaker: Breaker) -> None:
    assert began(breaker) is breaker
    assert ended(breaker) is breaker


def test_each_pause_is_twice_the_last_up_to_a_limit() -> None:
    pauses, breaker, now = [], OPEN, NOW
    for _ in range(2000):
        pauses.append(breaker.until - now)
        now = breaker.until
        breaker = probed(breaker, now, reachable=False)

    assert pauses[:6] == pytest.approx([1, 2, 4, 8, 16, 30])
    assert pauses[-1] == pytest.approx(MAX_PAUSE_SECONDS)


def test_a_request_answered_well_makes_the_next_pause_short_again() -> None:
    breaker = OPEN
    for _ in range(5):
        breaker = probed(breaker, breaker.until, reachable=False)
    breaker = failed(after_success(probed(breaker, breaker.until, healthy=True)), FAILURES)

    assert breaker.until == NOW + PAUSE_SECONDS


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_pauses_are_apart_so_that_many_gateways_do_not_come_back_at_once(jitter: float, share: float) -> None:
    breaker = failed(Breaker(), FAILURES - 1)

    assert after_failure(breaker, NOW, jitter).until == pytest.approx(NOW + share * PAUSE_SECONDS)


STEPS: list[Callable[[Breaker, float, float], Breaker]] = [
    lambda breaker, _now, _jitter: began(breaker) if breaker.admits else breaker,
    lambda breaker, _now, _jitter: ended(breaker),
    lambda breaker, _now, _jitter: after_success(breaker),
    after_failure,
    lambda breaker, now, jitter: after_probe(breaker, now, jitter, reachable=True, healthy=True),
    lambda breaker, now, jitter: after_probe(breaker, now, jitter, reachable=True, healthy=False),
    lambda breaker, now, jitter: after_probe(breaker, now, jitter, reachable=False, healthy=False),
]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.floats(0, 100), st.floats(0, 1)), max_size=60))
def test_whatever_happens_it_can_come_back(
    steps: list[tuple[Callable[[Breaker, float, float], Breaker], float, float]],
) -> None:
    breaker, now = Breaker(), NOW
    for step, later, jitter in steps:
        now += later
        breaker = step(breaker, now, jitter)
        assert 0 <= breaker.failures < FAILURES
        assert breaker.until <= now + 1.2 * MAX_PAUSE_SECONDS
        assert not (breaker.trial and breaker.state is not State.HALF_OPEN)

    breaker = probed(ended(breaker), now + 100, healthy=True)
    assert breaker.admits
    assert after_success(breaker) == Breaker()
