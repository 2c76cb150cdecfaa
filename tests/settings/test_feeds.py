"""Feeds of networks: both forms are read, told apart by their content, and nothing else passes for one."""

from __future__ import annotations

import json
from ipaddress import ip_network

import pytest

from gateway.settings.feeds import MAX_FEED_BYTES, FeedInvalid, cells_like, read_feed
from tests.worlds import FIXTURES


def tag(name: object, *prefixes: object) -> dict[str, object]:
    """As Microsoft writes one."""
    properties = {"changeNumber": 1, "region": "", "platform": "Azure", "addressPrefixes": list(prefixes)}
    return {"name": name, "id": name, "properties": properties}


def service_tags(*tags: object) -> bytes:
    return json.dumps({"changeNumber": 300, "cloud": "Public", "values": list(tags)}).encode()


def test_oktas_own_form_is_read() -> None:
    cells = read_feed((FIXTURES / "okta-ip-ranges.sample.json").read_bytes())

    assert set(cells) == {"us_cell_1", "emea_cell_1", "preview_cell_1"}


def test_azures_own_form_is_read() -> None:
    feed = read_feed((FIXTURES / "azure-service-tags.sample.json").read_bytes())

    assert set(feed) == {"AzureActiveDirectory", "AzureActiveDirectory.ServiceEndpoint", "AzureSQL.WestEurope"}
    assert feed["AzureActiveDirectory"] == (ip_network("198.51.100.0/25"), ip_network("2001:db8:1006::/48"))


def test_a_file_with_a_byte_order_mark_is_read() -> None:
    assert set(read_feed(b"\xef\xbb\xbf" + service_tags(tag("A", "192.0.2.0/24")))) == {"A"}


def test_a_cell_of_okta_may_be_called_values() -> None:
    assert set(read_feed(b'{"values": {"ip_ranges": ["192.0.2.0/24"]}}')) == {"values"}


def test_what_is_no_tag_is_passed_over() -> None:
    content = service_tags(
        tag("A", "192.0.2.0/24"), tag(7, "192.0.2.0/24"), {"name": "B"}, {"name": "C", "properties": 1}, 1
    )

    assert set(read_feed(content)) == {"A"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "holds no networks"),
        (b'{"values": []}', "holds no networks"),
        (service_tags(tag("A")), "holds no networks"),
        (service_tags(tag("A", "192.0.2.0/24"), tag("A", "10.0.0.0/8")), "A twice"),
        (service_tags(tag("A", "192.0.2.1/24")), "under A that is no network"),
        (service_tags(tag("A", "192.0.2.0/24", 3221225985)), "under A that is no network"),
        (service_tags(tag("A", "192.0.2.0/24", "okta:us_cell_1")), "under A that is no network"),
        (b" " * (MAX_FEED_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_is_no_feed_is_refused_with_the_reason(content: bytes, says: str) -> None:
    with pytest.raises(FeedInvalid, match=says):
        read_feed(content)


def test_of_few_cells_all_are_named_but_those_without_networks() -> None:
    feed = read_feed(service_tags(tag("B", "192.0.2.0/24"), tag("A", "192.0.2.0/24"), tag("Empty")))

    assert cells_like("gone", feed) == "A, B"


@pytest.mark.parametrize("asked", ["azureactivedirectory", "AzureActiveDirectry", "AzureActiveDirectory.WestEurop"])
def test_of_many_tags_those_spelled_most_alike_are_named(asked: str) -> None:
    names = ["AzureActiveDirectory", "AzureActiveDirectory.WestEurope", *(f"Storage.Region{n}" for n in range(100))]
    shown = cells_like(asked, read_feed(service_tags(*(tag(name, "192.0.2.0/24") for name in names))))

    assert "AzureActiveDirectory" in shown.replace(".WestEurope", "").split(", ")[0]
    assert shown.endswith("others")


def test_of_many_tags_some_are_named_even_if_none_is_alike() -> None:
    feed = read_feed(service_tags(*(tag(f"Storage.Region{n}", "192.0.2.0/24") for n in range(10))))

    assert cells_like("zzz", feed).count("Storage.Region") == 8
    assert cells_like("zzz", feed).endswith(" and 2 others")
