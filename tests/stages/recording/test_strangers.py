from __future__ import annotations

import pytest

from gateway.audit.chain import Link, linked
from gateway.audit.lines import suppressed_line
from gateway.stages.recording import strangers
from gateway.stages.recording.strangers import LINES_PER_ADDRESS, LINES_PER_WINDOW, MAX_ADDRESSES, OTHERS, Strangers
from tests.audit.trails import LONGEST_OF_STRANGERS


def lines_for(state: Strangers, address: str, refusals: int) -> int:
    return sum(state.may_have_a_line(address) for _ in range(refusals))


def test_an_address_gets_so_many_lines_and_then_a_count() -> None:
    state = Strangers()

    assert lines_for(state, "198.51.100.7", 50) == LINES_PER_ADDRESS
    assert state.take_suppressed(60.0) == {"198.51.100.7": 50 - LINES_PER_ADDRESS}


def test_one_address_does_not_use_up_the_lines_of_another() -> None:
    state = Strangers()
    lines_for(state, "198.51.100.7", 1000)

    assert lines_for(state, "198.51.100.8", 3) == 3


def test_a_new_minute_brings_new_lines() -> None:
    state = Strangers(began_at=100.0)
    lines_for(state, "198.51.100.7", 50)

    assert not state.window_is_over(159.9)
    assert state.window_is_over(160.0)
    state.take_suppressed(160.0)
    assert not state.window_is_over(219.9)
    assert lines_for(state, "198.51.100.7", 1) == 1


def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    state = Strangers()
    given = sum(state.may_have_a_line(f"2001:db8::{number:x}") for number in range(1, 101))

    assert given == LINES_PER_ADDRESS
    assert state.take_suppressed(60.0) == {"2001:db8::/64": 100 - LINES_PER_ADDRESS}


def test_a_flood_from_everywhere_fills_neither_disk_nor_memory() -> None:
    state = Strangers()
    refusals = 100 * MAX_ADDRESSES
    given = sum(state.may_have_a_line(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(refusals))
    suppressed = state.take_suppressed(60.0)

    assert given <= LINES_PER_WINDOW
    assert len(suppressed) <= MAX_ADDRESSES + 1
    assert given + sum(suppressed.values()) == refusals
    assert suppressed[OTHERS] > 0


def test_all_addresses_together_have_a_limit_too() -> None:
    state = Strangers()
    given = sum(lines_for(state, f"198.51.100.{number}", LINES_PER_ADDRESS) for number in range(256))

    assert given == LINES_PER_WINDOW


def test_a_count_that_was_given_back_is_not_lost() -> None:
    state = Strangers()
    lines_for(state, "198.51.100.7", 50)
    for origin, count in state.take_suppressed(60.0).items():
        state.add_suppressed(origin, count)

    assert state.take_suppressed(120.0) == {"198.51.100.7": 30}


@pytest.mark.parametrize("address", ["198.51.100.7", "2001:db8::1", "::1", "fe80::1%eth0", ""])
def test_no_address_upsets_the_table(address: str) -> None:
    assert strangers.Strangers().may_have_a_line(address)


def test_a_day_of_the_worst_flood_takes_less_than_two_gigabytes() -> None:
    count = suppressed_line(f"2001:db8{':ffff' * 2}::/64", 10**6, now=0.0, instance="gw-1.dmz.bank.example")
    counts = linked(Link(10**9), [count] * (MAX_ADDRESSES + 1))[0]
    a_minute = LINES_PER_WINDOW * LONGEST_OF_STRANGERS + len(counts)

    assert a_minute * 60 * 24 < 2e9
