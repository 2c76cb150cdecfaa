"""Moments and spans as they are typed and shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cli.moments import read_ago, read_future, read_past, read_span, shown, shown_span
from tests.worlds import NOW

NOW_IN_WHOLE_SECONDS = int(NOW)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("+2h", 7200), ("7d", 604_800), ("1w", 604_800)]
)
def test_a_span_counts_from_now_in_the_direction_that_is_meant(text: str, seconds: float) -> None:
    assert read_span(text) == seconds
    assert read_future(text, NOW) == NOW + seconds
    assert read_past(text, NOW) == NOW - seconds


@pytest.mark.parametrize("text", ["2027-02-01T09:00Z", "2027-02-01T10:00+01:00", " 2027-02-01T09:00:00Z "])
def test_a_time_with_a_zone_is_that_moment(text: str) -> None:
    assert read_future(text, NOW) == datetime(2027, 2, 1, 9, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "Asia/Kolkata", "America/Sao_Paulo"])
def test_a_time_as_it_is_shown_is_that_moment(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        # By the hour over a year, with both hours of an autumn night.
        for moment in range(NOW_IN_WHOLE_SECONDS, NOW_IN_WHOLE_SECONDS + 366 * 86_400, 3600):
            assert read_ago(shown(moment), NOW) == moment
    finally:
        monkeypatch.undo()
        time.tzset()


def test_days_begin_at_midnight() -> None:
    today = datetime.fromtimestamp(NOW).astimezone().replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)

    assert read_past("now", NOW) == NOW
    assert read_past("today", NOW) == today.astimezone().timestamp()
    assert read_past("yesterday", NOW) == (today - timedelta(days=1)).astimezone().timestamp()


def test_a_time_that_may_be_to_come_may_have_passed_too() -> None:
    assert read_ago("2030-01-01T00:00Z", NOW) > NOW > read_ago("7d", NOW)


def test_a_time_without_a_zone_is_this_machines() -> None:
    assert read_future("2027-02-01", NOW) == datetime(2027, 2, 1).astimezone().timestamp()


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2", "h", "-2h", "2 hours", "1000000s", "2027-13-01", "0001-01-01", "²h", "2027-01-01 09:00:00 XYZ"],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        read_future(text, NOW)


def test_a_time_on_the_wrong_side_of_now_is_refused() -> None:
    with pytest.raises(ValueError, match="has passed"):
        read_future("2020-01-01", NOW)
    with pytest.raises(ValueError, match="has passed"):
        read_future("0s", NOW)
    with pytest.raises(ValueError, match="is to come"):
        read_past("2030-01-01", NOW)


@pytest.mark.parametrize("text", ["99999w", "9999-12-30"])
def test_the_longest_that_can_be_typed_can_be_shown(text: str) -> None:
    assert shown(read_future(text, NOW))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (7200, "2 h"),
        (7261, "2 h 1 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_span_is_shown_by_its_two_largest_units(seconds: float, text: str) -> None:
    assert shown_span(seconds) == text
