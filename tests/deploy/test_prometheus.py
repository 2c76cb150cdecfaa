"""A real Prometheus, set up as the example says, watches a gateway at work over TLS: what operators see of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.rehearsal.certificates import make_development_certificates
from grafana import generate
from grafana.panels import Panel
from tests.deploy import servers
from tests.houses import House, house
from tests.ports import unused_port
from tests.sinks.servers import Papers, serving
from tests.upstreams import answers, http_answer, json_answer, scripted_upstream
from tests.worlds import TOKEN, sha256

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "ada"}
LEAVER = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "value": {"active": False}}],
}
SETTINGS = {"$__rate_interval": "20s", "$job": "scim-gateway", "$instance": ".*", "$tenant": ".*"}
PATIENCE_SECONDS = 15
COUNTED = (
    "scim_gateway_event_loop_lag_seconds_count",
    'scim_gateway_webhook_events_total{result="delivered"}',
    'scim_gateway_tls_handshakes_total{result="ok"}',
    'scim_gateway_audit_sink_events_total{result="sent"}',
    'scim_gateway_upstream_requests_total{code="200"}',
    'scim_gateway_auth_attempts_total{result="credential-unknown"}',
)
WAVE = 6  # of ten people; the fourth is held


@dataclass(frozen=True, slots=True)
class Seen:
    """What Prometheus knew in the end."""

    yields: dict[str, list[dict[str, Any]]]  # by query of the dashboard, as Grafana would ask it
    counts: dict[str, list[dict[str, Any]]]  # by what must be above 0
    annotations: dict[str, list[dict[str, Any]]]
    alerts: dict[str, dict[str, Any]]
    exemplars: set[str]
    requests: set[str]  # the ids on record


def asked(expression: str) -> str:
    """An expression with what is chosen on the dashboard."""
    for variable, value in SETTINGS.items():
        expression = expression.replace(variable, value)
    return expression


def metrics_pair(directory: Path) -> dict[str, Path]:
    """Files of their own for the metrics' listener, to be spoiled."""
    made = make_development_certificates(directory / "metrics", ("localhost",))
    return {"certificate_file": made.certificate_file, "key_file": made.key_file}


@asynccontextmanager
async def gateway(directory: Path) -> AsyncIterator[House]:
    """Two nodes, of which the first is away; a guard, a syslog server, a feed, a webhook; metrics over TLS."""
    (directory / "ranges.json").write_text(json.dumps({"us_cell_1": {"ip_ranges": ["127.0.0.0/8"]}}))
    ends = (datetime.now(UTC) + timedelta(days=90)).isoformat()
    papers = Papers(directory)
    async with (
        serving(papers) as syslog,
        scripted_upstream(answers(json_answer(USER))) as upstream,
        scripted_upstream(answers(http_answer(200))) as receiver,
        house(
            directory,
            (f"http://127.0.0.1:{unused_port()}", upstream.url),
            credentials=[{"name": "okta-2027", "token_sha256": sha256(TOKEN), "expires": ends}],
            guard={"directory_size": 10},
            audit={"syslog": papers.section(syslog.port)},
            alerts={"webhook_url": receiver.url},
            feeds={"okta": {"file": directory / "ranges.json"}},
            metrics={"address": "127.0.0.1:0", **metrics_pair(directory)},
        ) as it,
    ):
        yield it


async def work(it: House) -> None:
    """What clients and strangers do: reads, a wave of leavers, a wrong token, an address of nobody."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        url, tls = it.base_url, it.trusting()
        for _ in range(20):
            async with client.get(f"{url}/Users/1", ssl=tls) as answer:
                assert answer.status == 200
        for number in range(WAVE):
            async with client.patch(f"{url}/Users/{number}", json=LEAVER, ssl=tls) as answer:
                assert answer.status in (200, 429)
        async with client.get(f"{url}/Users/1", headers={"Authorization": "Bearer guessed"}, ssl=tls) as answer:
            assert answer.status == 401


def configuration(directory: Path, it: House) -> Path:
    """The example, for this gateway, and quicker."""
    text = (DEPLOY / "prometheus.yml").read_text("utf-8")
    for old, new in (
        ('"scim-1.example.com:9464", "scim-2.example.com:9464"', f'"localhost:{it.instance.metrics_port}"'),
        ("/etc/prometheus/scim-gateway-ca.pem", str(it.directory / "metrics" / "ca.pem")),
        ("15s", "500ms"),
        ("127.0.0.1:9093", f"127.0.0.1:{unused_port()}"),
    ):
        assert old in text
        text = text.replace(old, new)
    shutil.copy(DEPLOY / "rules.yml", directory)
    (directory / "prometheus.yml").write_text(text)
    return directory / "prometheus.yml"


async def watch(directory: Path) -> Seen:
    """Let a gateway work under Prometheus's eyes until every query yields something, or for a while."""
    async with gateway(directory) as it:
        with servers.prometheus(directory, configuration(directory, it)) as prometheus:
            await prometheus.until('up{job="scim-gateway"} == 1')
            await work(it)
            await prometheus.until('ALERTS{alertname="ScimWaveHeld", alertstate="firing"}')
            panels = [query.expression for panel in generate.panels() for query in panel.queries]
            yields = await answered(prometheus, panels)
            (directory / "metrics" / "key.pem").write_text("half a file")
            await prometheus.until('scim_gateway_tls_certificate_refused{certificate="metrics"} == 1')
            return Seen(
                yields=yields,
                counts={name: prometheus.query(f"sum({name}) > 0") for name in COUNTED},
                annotations=await answered(prometheus, list(generate.ANNOTATIONS.values())),
                alerts={alert["labels"]["alertname"]: alert for alert in prometheus.ask("alerts")["alerts"]},
                exemplars=exemplars(prometheus),
                requests={line["request"] for line in it.audit_lines() if "request" in line},
            )


async def answered(prometheus: servers.Prometheus, expressions: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What each yields, once all of them yield something or PATIENCE_SECONDS are over."""
    found: dict[str, list[dict[str, Any]]] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found and all(found.values())):
                for expression in expressions:
                    found[expression] = await asyncio.to_thread(prometheus.query, asked(expression))
    return found


def exemplars(prometheus: servers.Prometheus) -> set[str]:
    """The ids of requests that durations are told with."""
    told = prometheus.ask(
        "query_exemplars",
        query="scim_gateway_request_duration_seconds_bucket",
        start=str(time.time() - 600),
        end=str(time.time() + 60),
    )
    return {exemplar["labels"]["trace_id"] for series in told for exemplar in series["exemplars"]}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return asyncio.run(watch(tmp_path_factory.mktemp("prometheus")))


@pytest.mark.parametrize("panel", generate.panels(), ids=lambda panel: panel.title)
def test_every_query_of_a_panel_yields_data(seen: Seen, panel: Panel) -> None:
    assert [query.expression for query in panel.queries if not seen.yields[query.expression]] == []


def test_every_annotation_has_its_moment(seen: Seen) -> None:
    for expression, found in seen.annotations.items():
        milliseconds = [float(sample["value"][1]) for sample in found]
        assert milliseconds, expression
        assert all(abs(at / 1000 - time.time()) < 86_400 for at in milliseconds), expression


def test_the_numbers_are_those_of_what_was_done(seen: Seen) -> None:
    (holds,) = seen.yields[next(query for query in seen.yields if query.startswith("sum (scim_gateway_guard_holds"))]
    (up,) = seen.yields[next(query for query in seen.yields if query.startswith("min (scim_gateway_upstream_up"))]

    assert (float(holds["value"][1]), float(up["value"][1])) == (1, 1)


@pytest.mark.parametrize("name", COUNTED)
def test_what_happened_is_counted(seen: Seen, name: str) -> None:
    assert seen.counts[name]


def test_a_held_wave_is_told_with_its_tenant_and_where_to_read_on(seen: Seen) -> None:
    alert = seen.alerts["ScimWaveHeld"]

    assert alert["annotations"]["summary"] == "jira: a wave of lost access is held and waits for a person"
    assert alert["annotations"]["runbook_url"].endswith("/operations.md#scimwaveheld")


def test_a_gateway_that_is_well_but_for_a_wave_wakes_nobody_for_anything_else(seen: Seen) -> None:
    firing = {name for name, alert in seen.alerts.items() if alert["state"] == "firing"}

    assert firing == {"ScimWaveHeld"}


def test_exemplars_lead_to_the_record(seen: Seen) -> None:
    assert seen.exemplars
    assert seen.exemplars <= seen.requests
