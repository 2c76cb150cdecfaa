"""Feeds as files: taken when they change for the good, kept when they change for the bad, and never silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.feeds import FeedInvalid
from gateway.settings.models import Settings
from gateway.stages.identity.feeds import Feeds
from tests.settings.test_feeds import service_tags, tag
from tests.stages.identity.test_sources import FEED, feed
from tests.worlds import settings, tenant


def settings_with(file: Path, source: str = "okta:us_cell_1") -> Settings:
    feed_name = source.partition(":")[0]
    return settings(tenants={"jira": tenant(sources=[source])}, sources={feed_name: {"file": file}})


def feeds(file: Path) -> Feeds:
    return Feeds.of(settings_with(file))


def allows(present: Feeds, address: str) -> bool:
    networks = present.networks("jira")
    assert networks is not None
    return address in networks


async def test_a_changed_feed_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "ranges.json"
    file.write_bytes(feed(FEED))
    present = feeds(file)
    file.write_bytes(feed(FEED | {"us_cell_1": ["192.0.2.0/25", "10.0.0.0/8"]}))
    await present.look()

    assert allows(present, "10.1.1.1")
    assert not present.states["okta"].refused


@pytest.mark.parametrize("content", [b"", b"{}", feed({"us_cell_1": ["10.0.0.0/8"]}), None])
async def test_a_bad_feed_keeps_the_old_one_says_so_once_and_heals(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "ranges.json"
    file.write_bytes(feed(FEED))
    present = feeds(file)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    for _ in range(3):
        await present.look()

    assert allows(present, "192.0.2.1")
    assert present.states["okta"].refused
    assert caplog.text.count("is refused and its old networks are kept") == 1
    file.write_bytes(feed(FEED | {"new": ["10.0.0.0/8"]}))
    await present.look()
    assert not present.states["okta"].refused


@pytest.mark.parametrize("content", [b"{}", feed({"us_cell_1": ["0.0.0.0/0"]})])
@pytest.mark.parametrize("looked", [True, False])
async def test_a_reload_believes_no_feed_that_was_refused(tmp_path: Path, content: bytes, looked: bool) -> None:
    file = tmp_path / "ranges.json"
    file.write_bytes(feed(FEED))
    before = feeds(file)
    file.write_bytes(content)
    if looked:
        await before.look()
    after = Feeds.of(settings_with(file), before)
    await after.look()

    assert allows(after, "192.0.2.1")
    assert not allows(after, "8.8.8.8")
    assert after.states["okta"].refused


def test_a_reload_that_names_another_file_takes_what_that_holds(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_bytes(feed(FEED))
    new.write_bytes(feed({"us_cell_1": ["10.0.0.0/8"]}))
    after = Feeds.of(settings_with(new), feeds(old))

    assert allows(after, "10.1.1.1")
    assert not allows(after, "192.0.2.1")


@pytest.mark.parametrize("content", [None, b"{}"])
def test_a_gateway_does_not_start_on_a_bad_feed(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ranges.json"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(FeedInvalid, match=r"sources\.okta\.file"):
        feeds(file)


async def test_azures_tags_are_taken_when_they_grow_and_refused_when_they_shrink(tmp_path: Path) -> None:
    file, name = tmp_path / "ServiceTags_Public.json", "AzureActiveDirectory.WestEurope"
    others = tag("Storage", *(f"10.{n}.0.0/16" for n in range(100)))
    file.write_bytes(service_tags(tag(name, "192.0.2.0/25"), others))
    present = Feeds.of(settings_with(file, f"azure:{name}"))
    file.write_bytes(service_tags(tag(name, "192.0.2.0/25", "2001:db8::/48", "198.51.100.0/25"), others))
    await present.look()
    assert allows(present, "2001:db8::1")

    file.write_bytes(service_tags(tag(name, "203.0.113.0/25"), others))
    await present.look()
    assert allows(present, "192.0.2.1")
    assert not allows(present, "203.0.113.1")
    assert present.states["azure"].refused == f"cell {name} shrank from 3 to 1 networks"
