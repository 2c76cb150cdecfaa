"""Behind a real HAProxy: the shipped configuration with either version of the header, and one that ends TLS itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.deploy.balancers import ENDS_TLS, SHIPPED, call, haproxy, passing_tls_through, without_the_host
from tests.houses import House, house
from tests.ports import unused_port
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until

LIST = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0,
                    "Resources": []})  # fmt: skip
OKTA, STRANGER = "127.0.0.9", "127.0.0.8"  # HAProxy itself calls from 127.0.0.1
SOURCES = {"sources": [f"{OKTA}/32"]}
BEHIND = {"proxy_protocol": "required", "trusted_proxies": ["127.0.0.1/32"]}


async def status(of: House, port: int, address: str, **fields: str) -> int:
    """Of a request that comes from an address by way of a port; 0 for none."""
    headers = {"Authorization": f"Bearer {of.token}", "Host": f"localhost:{of.port}", **fields}
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        with suppress(aiohttp.ClientConnectionError):
            async with session.get(f"https://localhost:{port}{of.path}/Users", ssl=of.trusting()) as response:
                return response.status
    return 0


def seen(of: House, event: str) -> list[dict[str, Any]]:
    return [line for line in of.audit_lines() if line["event"] == event]


def test_haproxy_takes_the_shipped_configuration(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(without_the_host(SHIPPED.read_text()))
    ran = call("-c", "-f", str(file))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "WARNING" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("version", [1, 2])
async def test_clients_are_themselves_and_health_checks_are_no_failures(tmp_path: Path, version: int) -> None:
    port = unused_port()
    async with (
        scripted_upstream(answers(LIST)) as upstream,
        house(tmp_path, upstream.url, listen=BEHIND, **SOURCES) as built,
    ):
        with haproxy(tmp_path, passing_tls_through(port, built.port, version), port):
            headers = built.instance.listener.proxy_headers
            await until(lambda: headers["local"] >= 3)
            assert await status(built, port, OKTA) == 200
            assert await status(built, port, STRANGER) == 403
            await until(lambda: headers["local"] >= 6)

            assert headers["proxied"] == 2
            assert set(headers) == {"proxied", "local"}
            assert [line["address"] for line in seen(built, "outcome")] == [OKTA]
            assert [line["address"] for line in seen(built, "refusal")] == [STRANGER]
            assert not seen(built, "connection")


async def test_whoever_gets_past_the_balancer_is_turned_away_and_on_record(tmp_path: Path) -> None:
    async with (
        scripted_upstream(answers(LIST)) as upstream,
        house(tmp_path, upstream.url, listen=BEHIND, **SOURCES) as built,
    ):
        assert await status(built, built.port, OKTA) == 0
        await until(lambda: seen(built, "connection"))

        assert [(line["address"], line["failure"]) for line in seen(built, "connection")] == [(OKTA, "proxy-untrusted")]
        assert not [request for request in upstream.requests if request.all("Authorization")]  # a probe has none


async def test_a_balancer_that_sends_no_header_is_told_by_name(tmp_path: Path) -> None:
    port = unused_port()
    async with scripted_upstream(answers(LIST)) as upstream, house(tmp_path, upstream.url, listen=BEHIND) as built:
        text = passing_tls_through(port, built.port, 2).replace("send-proxy-v2 check-send-proxy", "")
        with haproxy(tmp_path, text, port):
            assert await status(built, port, OKTA) == 0
            await until(lambda: seen(built, "connection"))

        assert {line["failure"] for line in seen(built, "connection")} == {"proxy-header-missing"}


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
async def test_behind_a_proxy_that_ends_tls_nobody_makes_up_an_address(tmp_path: Path, header: str) -> None:
    port = unused_port()
    behind = {"forwarded_header": header, "trusted_proxies": ["127.0.0.1/32"]}
    async with (
        scripted_upstream(answers(LIST)) as upstream,
        house(tmp_path, upstream.url, listen=behind, **SOURCES) as built,
    ):
        pem, ca = tmp_path / "haproxy.pem", built.ca_file
        listen = built.instance.settings.listen
        pem.write_bytes(listen.certificate_file.read_bytes() + listen.key_file.read_bytes())
        with haproxy(tmp_path, ENDS_TLS.format(port=port, pem=pem, gateway_port=built.port, ca=ca), port):
            forged = {"X-Forwarded-For": OKTA, "Forwarded": f"for={OKTA}"}
            assert await status(built, port, OKTA) == 200
            assert await status(built, port, STRANGER) == 403
            assert await status(built, port, STRANGER, **forged) == 403

        assert [line["address"] for line in seen(built, "refusal")] == [STRANGER] * 2
        assert [request.all("X-Forwarded-For") for request in upstream.requests if request.all("Authorization")] == [[]]
