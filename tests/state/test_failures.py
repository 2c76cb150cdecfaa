"""Failed authentications: free at first, then dearer; bounded; forgotten in time."""

from __future__ import annotations

import pytest

from gateway.state.failures import (
    FORGOTTEN_SECONDS,
    FREE_FAILURES,
    LONGEST_SECONDS,
    Failures,
    Record,
    counted_as,
    fail,
)


def after(failures: int, now: float = 1000.0) -> tuple[Record, float]:
    """A record after so many failures that counted, each as early as possible, and the time then."""
    record = Record()
    for _ in range(failures):
        now = max(now, record.locked_until)
        record, wait = fail(record, now)
        assert wait is None
    return record, now


def test_the_first_failures_lock_nobody_out() -> None:
    record, now = after(FREE_FAILURES - 1)

    assert fail(record, now)[1] is None


def test_the_lock_out_doubles_and_has_an_end() -> None:
    locks = [record.locked_until - now for record, now in (after(n) for n in range(FREE_FAILURES, FREE_FAILURES + 12))]

    assert locks[:4] == [1, 2, 4, 8]
    assert locks[-1] == LONGEST_SECONDS


def test_failing_for_days_is_counted_like_failing_for_an_hour() -> None:
    record, now = after(1200)

    assert record.locked_until - now == LONGEST_SECONDS


def test_a_failure_within_a_lock_out_says_how_long_and_does_not_lengthen_it() -> None:
    record, now = after(FREE_FAILURES + 3)
    same, wait = fail(record, now + 1)

    assert same == record
    assert wait == pytest.approx(record.locked_until - now - 1)


def test_quiet_time_forgets() -> None:
    record, _ = after(FREE_FAILURES + 5)
    fresh, wait = fail(record, record.locked_until + FORGOTTEN_SECONDS + 1)

    assert wait is None
    assert fresh.failures == 1


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_host_in_ipv6_is_its_network(address: str, key: str) -> None:
    assert counted_as(address) == key


async def test_a_flood_of_addresses_is_bounded_and_does_not_clear_a_hot_one() -> None:
    table = Failures(max_addresses=100)
    for _ in range(FREE_FAILURES + 3):
        await table.fail("192.0.2.1", 1000.0)
    for number in range(300):
        await table.fail(f"10.0.{number // 256}.{number % 256}", 1001.0)

    assert len(table) == 100
    assert await table.fail("192.0.2.1", 1000.5) is not None
