from __future__ import annotations

import pytest

from gateway.journal.pace import Pace


def after(*batches: tuple[float, int]) -> bool:
    """Whether it is fast after batches of so many lines at so many milliseconds."""
    pace = Pace()
    for milliseconds, lines in batches:
        pace.note(lines, 1000.0 + milliseconds / 1000)
    return pace.is_fast


BURSTS = [(float(20 * tick), 10) for tick in range(50)]  # 500 requests a second, ten at a time
WRITES = [(float(tick), 1) for tick in range(1000)]  # 500 a second, two lines each
LOAD = [(float(2 * tick), 6) for tick in range(500)]


@pytest.mark.parametrize(
    ("batches", "is_fast"),
    [
        ([(0, 1)], False),
        ([(0, 32)], False),
        (BURSTS, False),
        (WRITES, False),
        (LOAD, True),
        ([*LOAD, (1100, 1), (1210, 1)], False),
        ([*BURSTS, *((milliseconds + 1000, lines) for milliseconds, lines in LOAD)], True),
    ],
)
def test_it_is_fast_only_under_a_load_that_lasts(batches: list[tuple[float, int]], is_fast: bool) -> None:
    assert after(*batches) is is_fast
