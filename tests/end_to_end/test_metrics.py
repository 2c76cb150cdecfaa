"""Metrics of a whole gateway: strangers cannot make them grow, and what operators need of them is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings.models import MetricsSection, Settings
from tests.houses import House, house
from tests.ports import unused_port
from tests.test_metrics import samples
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import PATH, TOKEN

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "a"}
METHODS = ("GET", "POST", "PUT", "BREW", "PROPFIND")
FLOODS = 12


def strange(number: int, port: int) -> Iterator[bytes]:
    """What strangers and a careless client may vary, one request for each: every value differs with the number."""
    known = f"Bearer {TOKEN}"
    for method, target, authorization in (
        ("GET", f"/scim/t{number}/v2/Users", known),
        ("GET", f"/scim/../{number}", known),
        ("GET", f"{PATH}/Users", f"Bearer guessed-{number}"),
        ("GET", f"{PATH}/Users", f"Scheme{number} x"),
        ("GET", f"{PATH}/Things{number}", known),
        ("GET", f"{PATH}/Users/{number}", known),
        ("GET", f"{PATH}/Users?a{number}={number}", known),
        (f"M{number}", f"{PATH}/Users", known),
        (METHODS[number % len(METHODS)], f"{PATH}/Groups/{number}/members", known),
    ):
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: {authorization}\r\n"
        yield f"{head}X-Name-{number}: {number}\r\n\r\n".encode()


async def ask(it: House, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port, ssl=it.trusting(), server_hostname="localhost")
    writer.write(request)
    assert await reader.readuntil(b"\r\n\r\n")
    writer.close()


def counted(it: House) -> float:
    return sum(value for name, value in samples(it.instance.metrics).items() if name.startswith("requests_total"))


async def test_a_flood_of_strange_paths_tenants_methods_and_tokens_makes_no_series(tmp_path: Path) -> None:
    script = answers(*[json_answer(USER)] * 200)
    async with scripted_upstream(script) as upstream, house(tmp_path, upstream.url) as it:
        for number in range(len(METHODS)):
            for request in strange(number, it.port):
                await ask(it, request)
        await until(lambda: "upstream_up{tenant=jira}" in samples(it.instance.metrics))
        before, requests = set(samples(it.instance.metrics)), counted(it)
        for number in range(100, 100 + FLOODS):
            for request in strange(number, it.port):
                await ask(it, request)

        assert set(samples(it.instance.metrics)) == before
        assert counted(it) - requests == FLOODS * 9


async def test_what_a_reload_takes_away_is_not_shown_any_more(tmp_path: Path) -> None:
    feed = tmp_path / "ranges.json"
    feed.write_text(json.dumps({"us_cell_1": {"ip_ranges": ["127.0.0.0/8"]}}))
    async with (
        scripted_upstream(answers(json_answer(USER))) as upstream,
        house(tmp_path, upstream.url, feeds={"okta": {"file": feed}}) as it,
    ):
        metrics, old = it.instance.metrics, it.instance.settings
        await until(lambda: "source_feed_written_timestamp_seconds{feed=okta}" in samples(metrics))
        assert "guard_holds{tenant=jira}" in samples(metrics)

        async def reread() -> Settings:
            return old.model_copy(update={"tenants": {"wiki": old.tenants["jira"]}, "sources": {}})

        it.instance._reread = reread
        it.instance.request_reload()
        await until(lambda: "guard_holds{tenant=wiki}" in samples(metrics))
        gauges = ("guard_", "upstream_up", "upstream_node_state", "source_feed", "credential_expiry", "requests_in_f")
        shown = [name for name in samples(metrics) if name.startswith(gauges)]

    assert not [name for name in shown if "tenant=jira" in name or "feed=okta" in name]


async def test_a_start_that_fails_for_a_port_that_is_taken_is_on_record(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer(USER))) as upstream:
        taken = f"127.0.0.1:{upstream.port}"
        with pytest.RaisesGroup(OSError):
            async with house(tmp_path, upstream.url, metrics={"address": taken}):
                pass
    (log,) = (tmp_path / "audit").glob("*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (failed,) = [line for line in lines if line.get("notice") == "start-failed"]

    assert failed["details"]["why"].startswith(f"metrics.address: {taken}: Address already in use")


async def test_metrics_of_a_gateway_move_to_a_port_of_their_own(tmp_path: Path) -> None:
    port = unused_port()
    async with (
        scripted_upstream(answers(json_answer(USER))) as upstream,
        house(tmp_path, upstream.url, metrics={"address": f"127.0.0.1:{port}"}) as it,
    ):
        assert it.instance.metrics_port == port
        assert it.instance.admin_port != port


async def test_a_reload_that_moves_the_metrics_is_refused(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer(USER))) as upstream, house(tmp_path, upstream.url) as it:
        moved = MetricsSection(address=f"127.0.0.1:{unused_port()}")
        new = it.instance.settings.model_copy(update={"metrics": moved})

        async def reread() -> Settings:
            return new

        it.instance._reread = reread
        it.instance.request_reload()
        await until(lambda: it.instance.reload_problem)

        assert it.instance.reload_problem == "metrics cannot change while the instance runs: restart it"
