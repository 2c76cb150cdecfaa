"""The guard's clock: whatever is done to the wall clock, windows neither empty nor fill."""

from __future__ import annotations

import pytest

from gateway.state.ledger import GuardClock, Moment


def test_within_a_process_only_monotonic_time_passes() -> None:
    clock = GuardClock.started(None, wall=1_000_000.0, monotonic=50.0)

    assert clock.now(50.0) == 1_000_000.0
    assert clock.moment(wall=9_999_999.0, monotonic=60.0) == Moment(1_000_010.0, 9_999_999.0)


@pytest.mark.parametrize(
    ("wall", "guard"),
    [(2_000.0, 1_000.0), (2_030.0, 1_030.0), (1_000.0, 1_000.0)],
    ids=["at once", "half a minute later", "with a clock set back"],
)
def test_a_start_goes_on_from_what_was_kept(wall: float, guard: float) -> None:
    clock = GuardClock.started(Moment(guard=1_000.0, wall=2_000.0), wall, monotonic=7.0)

    assert clock.now(7.0) == guard


def test_it_never_goes_back() -> None:
    clock = GuardClock.started(None, wall=10.0, monotonic=50.0)

    assert clock.now(49.0) == 10.0
