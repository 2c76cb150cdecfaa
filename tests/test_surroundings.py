"""What lies around an instance: each thing is found, and what cannot be looked at is left out."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
import trustme

from gateway import surroundings
from gateway.settings.models import Settings, SourceFeed
from tests import worlds
from tests.houses import house
from tests.test_metrics import samples
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until

ENDS = datetime.datetime(2031, 5, 6, tzinfo=datetime.UTC)


def settings_in(directory: Path, **changes: object) -> Settings:
    plain = worlds.settings()
    gateway = plain.gateway.model_copy(update={"state_directory": directory})
    return plain.model_copy(update={"gateway": gateway, **changes})


def write_pair(directory: Path) -> dict[str, Path]:
    """A client certificate that ends at ENDS, and its key."""
    leaf = trustme.CA().issue_cert("gateway.test", not_after=ENDS)
    files = {"certificate_file": directory / "client.pem", "key_file": directory / "client.key"}
    files["certificate_file"].write_bytes(leaf.cert_chain_pems[0].bytes())
    files["key_file"].write_bytes(leaf.private_key_pem.bytes())
    return files


def test_room_is_found_where_there_is_a_disk_and_nowhere_else(tmp_path: Path) -> None:
    audit = worlds.settings().audit.model_copy(update={"directory": tmp_path / "gone"})
    found = surroundings.look(settings_in(tmp_path, audit=audit))

    assert found.free_bytes.keys() == {"state"}
    assert found.free_bytes["state"] > 0


def test_a_feed_is_as_old_as_its_file(tmp_path: Path) -> None:
    (tmp_path / "there.json").touch()
    os.utime(tmp_path / "there.json", (1.7e9, 1.7e9))
    sources = {name: SourceFeed(file=tmp_path / f"{name}.json") for name in ("there", "gone")}

    assert surroundings.look(settings_in(tmp_path, sources=sources)).written_at == {"there": 1.7e9}


@pytest.mark.parametrize(("content", "known"), [("", True), ("garbage", False), (None, False)])
def test_a_client_certificate_towards_an_upstream_ends_when_it_says(
    tmp_path: Path, content: str | None, known: bool
) -> None:
    file = write_pair(tmp_path)["certificate_file"]
    if content:
        file.write_text(content)
    elif content is None:
        file.unlink()
    tenant = worlds.settings().tenants["jira"].model_copy(update={"upstream_certificate_file": file})
    found = surroundings.upstream_certificates(settings_in(tmp_path, tenants={"jira": tenant}))

    assert found == ({"tenants.jira": ENDS.timestamp()} if known else {})


async def test_an_instance_shows_its_disks_feeds_and_certificates(tmp_path: Path) -> None:
    feed = tmp_path / "ranges.json"
    feed.write_text('{"us_cell_1": {"ip_ranges": ["127.0.0.0/8"]}}')
    os.utime(feed, (1.7e9, 1.7e9))
    pair = write_pair(tmp_path)
    syslog = {"address": "127.0.0.1:1", **pair}
    async with (
        scripted_upstream(answers(json_answer({}))) as upstream,
        house(tmp_path, upstream.url, audit={"syslog": syslog}, feeds={"okta": {"file": feed}}) as it,
    ):
        metrics = it.instance.metrics
        await until(lambda: "source_feed_written_timestamp_seconds{feed=okta}" in samples(metrics))
        found = samples(metrics)

        assert found["source_feed_written_timestamp_seconds{feed=okta}"] == 1.7e9
        assert found["disk_free_bytes{directory=audit}"] > 0
        assert found["tls_certificate_expiry_timestamp_seconds{certificate=audit.syslog}"] == ENDS.timestamp()
        assert found["tls_certificate_refused{certificate=audit.syslog}"] == 0
        assert found["tls_certificate_refused{certificate=listen}"] == 0

        pair["certificate_file"].write_text("half a file")
        surroundings.show(it.instance, surroundings.look(it.instance.settings))
        assert samples(metrics)["tls_certificate_refused{certificate=audit.syslog}"] == 1


async def test_the_certificate_for_an_upstream_is_that_of_the_settings_in_use(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    files = {f"upstream_{name}": file for name, file in pair.items()}
    shown = "tls_certificate_expiry_timestamp_seconds{certificate=tenants.jira}"
    async with (
        scripted_upstream(answers(json_answer({}))) as upstream,
        house(tmp_path, upstream.url, **files) as it,
    ):
        metrics, old = it.instance.metrics, it.instance.settings
        assert samples(metrics)[shown] == ENDS.timestamp()

        async def reread() -> Settings:
            jira = old.tenants["jira"].model_copy(update=dict.fromkeys(files))
            return old.model_copy(update={"tenants": {"jira": jira}})

        it.instance._reread = reread
        it.instance.request_reload()
        await until(lambda: shown not in samples(metrics))
        assert "tls_certificate_expiry_timestamp_seconds{certificate=listen}" in samples(metrics)
