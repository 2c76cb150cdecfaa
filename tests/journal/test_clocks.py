from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.lines import notice_line
from gateway.journal.clocks import SteadyClock, leads_up_to
from gateway.journal.recovery import segment_path
from tests.journal.disks import open_segments

START, DAY, YEARS = 1_800_000_000.0, 86_400.0, 3650.0


def write(directory: Path, days: list[float]) -> None:
    """A log with a line on each of these days."""
    time = [START]
    segments = open_segments(directory, max_seconds=DAY, now=lambda: time[0])
    for day in days:
        time[0] = START + day * DAY
        segments.append([notice_line("x", {}, now=time[0], instance="gw-1")])
    segments.close()


@pytest.mark.parametrize(
    ("days", "now", "leads"),
    [
        pytest.param([], 0.0, True, id="a new one"),
        pytest.param([0, 0.5], 1.0, True, id="from its beginning"),
        pytest.param([0, 1, 2, 3, 4], 5.0, True, id="every day"),
        pytest.param([0, 1, 2, 3, 4], YEARS, False, id="ahead"),
        pytest.param([0, 1, 2, 3, 4, YEARS], YEARS, False, id="ahead and on record"),
        pytest.param([0, 1, 2, 3, 4, YEARS, YEARS + 1], YEARS + 1.5, False, id="for more than one file"),
        pytest.param([0, 1, 2, 3, 4, YEARS, YEARS + 1, YEARS + 2], YEARS + 2, True, id="for two days"),
        pytest.param([0, 1, 2, YEARS, 3, 4, 5], 5.5, True, id="was ahead"),
        pytest.param([0, 1, 2, YEARS, 3], 3.5, True, id="has just been set right"),
        pytest.param([0, 1, 2, 3, 4], -YEARS, True, id="behind"),
        pytest.param([0, *[day / 10 for day in range(90, 130)]], 13, True, id="after a pause"),
    ],
)
def test_a_log_leads_up_to_a_time_that_it_has_kept_for_two_days(
    tmp_path: Path, days: list[float], now: float, leads: bool
) -> None:
    write(tmp_path, days)

    assert leads_up_to(tmp_path, START + now * DAY) is leads


@pytest.mark.parametrize("content", [b"", b"junk\n", b"[" * 300_000, b'{"seq":1,"time":7}\n'])
def test_a_segment_that_says_nothing_is_passed_over(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, [0, 1, 2])
    segment_path(tmp_path, 9).write_bytes(content)

    assert leads_up_to(tmp_path, START + 3 * DAY)
    assert not leads_up_to(tmp_path, START + 5 * DAY)


def test_a_clock_is_believed_once_it_went_on_for_two_days() -> None:
    steady = SteadyClock(START, 100.0)

    assert not steady.is_believed(START, 100.0)
    assert not steady.is_believed(START + 2 * DAY - 60, 100.0 + 2 * DAY - 60)
    assert steady.is_believed(START + 2 * DAY, 100.0 + 2 * DAY)


@pytest.mark.parametrize("jump", [YEARS, -YEARS, 1.0])
def test_a_clock_that_was_set_is_believed_two_days_later(jump: float) -> None:
    steady = SteadyClock(START, 0.0)

    assert not steady.is_believed(START + (jump + 3) * DAY, 3 * DAY)
    assert not steady.is_believed(START + (jump + 4) * DAY, 4 * DAY)
    assert steady.is_believed(START + (jump + 5) * DAY, 5 * DAY)
