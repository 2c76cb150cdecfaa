"""Sources: networks, feeds, and feeds that are not to be believed."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.feeds import FeedInvalid, read_feed
from gateway.stages.identity.sources import Networks, networks_of, refuse_shrunken
from tests.settings.test_feeds import service_tags, tag

FEED = {"us_cell_1": ["192.0.2.0/25", "198.51.100.7/32"], "emea_cell_1": ["203.0.113.0/26"]}


def feed(cells: dict[str, list[str]]) -> bytes:
    return json.dumps({cell: {"ip_ranges": ranges} for cell, ranges in cells.items()}).encode()


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("192.0.2.1", True),
        ("192.0.2.127", True),
        ("192.0.2.128", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("203.0.113.1", False),
        ("10.1.2.3", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("unknown", False),
    ],
)
def test_an_address_is_in_the_networks_that_are_named(address: str, inside: bool) -> None:
    networks = networks_of(("okta:us_cell_1", "10.0.0.0/8", "2001:db8::/32"), {"okta": read_feed(feed(FEED))})

    assert networks is not None
    assert (address in networks) is inside


@pytest.mark.parametrize(("network", "address"), [("::/1", "192.0.2.1"), ("10.0.0.0/8", "::a00:1")])
def test_a_network_of_one_version_holds_no_address_of_the_other(network: str, address: str) -> None:
    networks = networks_of((network,), {})

    assert networks is not None
    assert address not in networks


def test_a_tag_may_have_a_dot_in_its_name_and_networks_of_both_versions() -> None:
    content = service_tags(
        tag("AzureActiveDirectory.WestEurope", "192.0.2.0/25", "2001:db8::/48"), tag("Other", "10.0.0.0/8")
    )
    networks = networks_of(("azure:AzureActiveDirectory.WestEurope",), {"azure": read_feed(content)})

    assert networks is not None
    assert [address in networks for address in ("192.0.2.1", "2001:db8::1", "10.0.0.1")] == [True, True, False]


def test_no_sources_mean_from_anywhere_and_a_missing_cell_means_from_nowhere() -> None:
    nowhere = networks_of(("okta:gone",), {"okta": read_feed(feed(FEED))})

    assert networks_of((), {}) is None
    assert nowhere is not None
    assert "192.0.2.1" not in nowhere


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=20), st.integers(0, 2**32 - 1))
def test_a_lookup_agrees_with_the_standard_library(pairs: list[tuple[int, int]], number: int) -> None:
    networks = [ip_network((start, length), strict=False) for start, length in pairs]
    address = ip_address(number)

    assert (str(address) in Networks.of(networks)) == any(address in network for network in networks)


def test_what_is_no_cell_is_passed_over() -> None:
    content = json.loads(feed(FEED)) | {"comment": "x", "new": {"other": 1}, "list": [1]}

    assert set(read_feed(json.dumps(content).encode())) == set(FEED)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        feed({"a": []}),
        feed({"a": ["10.0.0.1/8"]}),
        feed({"a": ["nonsense"]}),
        feed({"a": ["okta:us_cell_1"]}),
        feed({"a": ["::ffff:192.0.2.0/121"]}),  # compared as IPv4, so it would match nobody
        b'{"a": {"ip_ranges": [true]}}',  # a number would be an address, 0.0.0.1
        b'{"a": {"ip_ranges": [3221225985]}}',
    ],
)
def test_a_feed_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(FeedInvalid):
        read_feed(content)


@pytest.mark.parametrize(
    ("new", "refused"),
    [
        ({"us_cell_1": ["192.0.2.0/25"], "emea_cell_1": ["203.0.113.0/26"]}, False),
        ({"us_cell_1": ["192.0.2.0/25", "198.51.100.7/32"]}, False),
        ({"emea_cell_1": ["203.0.113.0/26"]}, True),
        ({"emea_cell_1": ["203.0.113.0/26", "192.0.2.0/25", "10.0.0.0/8"]}, True),  # the cell in use is gone
        ({"us_cell_1": ["192.0.2.0/25"]}, True),
    ],
)
def test_a_feed_that_lost_more_than_half_is_refused(new: dict[str, list[str]], refused: bool) -> None:
    old = read_feed(feed(FEED))
    if not refused:
        refuse_shrunken(old, read_feed(feed(new)), ("us_cell_1",))
        return
    with pytest.raises(FeedInvalid, match="shrank"):
        refuse_shrunken(old, read_feed(feed(new)), ("us_cell_1",))
