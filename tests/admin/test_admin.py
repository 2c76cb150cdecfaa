from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
import trustme

from gateway.admin import Admin, Check, names_this_listener
from gateway.metrics import Metrics
from gateway.server.tls import Certificates, certificates_of_metrics
from gateway.settings.models import AdminSection, MetricsSection
from tests.ports import unused_port
from tests.server.building import write_pair


class Console:
    """An operator's view of a listener, byte by byte."""

    def __init__(self) -> None:
        self.checks: Mapping[str, Check] = {"audit": Check(True, "writable"), "listener": Check(True)}
        self.admin = Admin(AdminSection(address="127.0.0.1:0"), Metrics(["jira"], version="1"), lambda: self.checks)

    async def ask(
        self, path: str, method: str = "GET", host: str = "127.0.0.1", accept: str = "*/*"
    ) -> tuple[int, str, str]:
        """Status, head and body of an answer."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        return await self.send(head.encode())

    async def send(self, request: bytes) -> tuple[int, str, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin.port)
        writer.write(request)
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split(" ")[1]), head, body


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    console = Console()
    await console.admin.start()
    yield console
    await console.admin.stop()


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_a_process_that_answers_lives_whatever_is_broken(console: Console, path: str) -> None:
    console.checks = {"audit": Check(False)}

    status, _, body = await console.ask(path)
    assert (status, body) == (200, "ok\n")


async def test_a_socket_that_somebody_else_opened_is_served_instead_of_the_address() -> None:
    console = Console()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        console.admin = Admin(AdminSection(address="192.0.2.1:1"), Metrics([], version="1"), dict, listening)
        await console.admin.start()

        assert console.admin.port == listening.getsockname()[1]
        assert (await console.ask("/livez"))[0] == 200
        await console.admin.stop()


async def test_an_instance_is_ready_when_every_check_that_counts_is_ok(console: Console) -> None:
    assert (await console.ask("/readyz"))[::2] == (200, "ready\n")


async def test_readyz_lists_every_check_when_asked(console: Console) -> None:
    assert (await console.ask("/readyz?verbose"))[::2] == (200, "[+]audit ok: writable\n[+]listener ok\nready\n")


async def test_an_instance_that_is_not_ready_says_why_without_being_asked(console: Console) -> None:
    console.checks = {"audit": Check(False, "No space left\n[+]forged ok"), "listener": Check(True)}

    status, _, body = await console.ask("/readyz")
    assert status == 503
    assert body == "[-]audit failed: No space left [+]forged ok\n[+]listener ok\nnot ready\n"


async def test_an_upstream_that_is_away_is_shown_and_leaves_the_instance_ready(console: Console) -> None:
    console.checks = {"upstream jira": Check(False, "unreachable", counts=False)}

    status, _, body = await console.ask("/readyz?verbose")
    assert status == 200
    assert body == "[!]upstream jira failed: unreachable (ready all the same)\nready\n"


async def test_readyz_speaks_json_too(console: Console) -> None:
    console.checks = {"audit": Check(False, "disk full"), "upstream jira": Check(False, counts=False)}

    status, head, body = await console.ask("/readyz", accept="application/json")
    assert status == 503
    assert "application/json" in head
    assert json.loads(body) == {
        "ready": False,
        "checks": {
            "audit": {"ok": False, "counts": True, "text": "disk full"},
            "upstream jira": {"ok": False, "counts": False, "text": ""},
        },
    }


async def test_metrics_are_served_in_prometheus_format(console: Console) -> None:
    status, head, body = await console.ask("/metrics")

    assert status == 200
    assert "Content-Type: text/plain; version=0.0.4" in head
    assert 'scim_gateway_build_info{version="1"} 1.0' in body


async def test_openmetrics_is_spoken_to_whoever_asks_for_it(console: Console) -> None:
    _, head, body = await console.ask("/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert "Content-Type: application/openmetrics-text; version=1.0.0" in head
    assert body.endswith("# EOF\n")


def listeners(**section: object) -> tuple[Admin, Certificates | None]:
    """An admin listener, and one for the metrics on a port of its own."""
    elsewhere = MetricsSection.model_validate({"address": "127.0.0.1:0", **section})
    certificates = certificates_of_metrics(elsewhere)
    tls = certificates.front if certificates else None
    admin = AdminSection(address="127.0.0.1:0")
    return Admin(admin, Metrics(["jira"], version="1"), dict, elsewhere=elsewhere, tls=tls), certificates


async def fetch(url: str, trusted: ssl.SSLContext | None = None, host: str | None = None) -> tuple[int, str]:
    headers = {"Host": host} if host else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, ssl=trusted or True, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_metrics_on_an_address_of_their_own_are_nowhere_else() -> None:
    admin, _ = listeners()
    await admin.start()
    try:
        assert "scim_gateway_build_info" in (await fetch(f"http://127.0.0.1:{admin.metrics_port}/metrics"))[1]
        assert (await fetch(f"http://127.0.0.1:{admin.metrics_port}/readyz"))[0] == 404
        assert (await fetch(f"http://127.0.0.1:{admin.port}/metrics"))[0] == 404
        assert "metrics.address" in (await fetch(f"http://127.0.0.1:{admin.port}/"))[1]
        assert (await fetch(f"http://127.0.0.1:{admin.metrics_port}/metrics", host="evil.example"))[0] == 421
    finally:
        await admin.stop()


async def test_metrics_over_tls_take_up_a_renewed_certificate(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    trusted = [ssl.create_default_context(), ssl.create_default_context()]
    for authority, context in zip((first, second), trusted, strict=True):
        authority.configure_trust(context)
    write_pair(first, tmp_path)
    admin, certificates = listeners(certificate_file=tmp_path / "fullchain.pem", key_file=tmp_path / "key.pem")
    assert certificates is not None
    await admin.start()
    url = f"https://localhost:{admin.metrics_port}/metrics"
    try:
        assert (await fetch(url, trusted[0]))[0] == 200
        # The certificate keeps names that are rebound away, so Prometheus may use any name that it is for.
        assert (await fetch(url, trusted[0], host="scim-1.example.com:9464"))[0] == 200
        write_pair(second, tmp_path)
        await certificates.look()

        assert (await fetch(url, trusted[1]))[0] == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await fetch(url, trusted[0])
    finally:
        await admin.stop()


async def test_an_address_that_is_taken_is_named_with_its_setting_and_nothing_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        admin, _ = listeners(address=f"127.0.0.1:{port}")
        said = rf"metrics\.address: 127\.0\.0\.1:{port}: Address already in use; .*ss -ltnp"
        with pytest.raises(OSError, match=said):
            await admin.start()

        with socket.socket() as door:
            assert door.connect_ex(("127.0.0.1", admin.port)) != 0


async def test_the_index_names_what_is_here(console: Console) -> None:
    _, _, body = await console.ask("/")

    assert all(path in body for path in ("/livez", "/readyz", "/metrics"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/readyz", "/metrics"])
async def test_nothing_can_be_changed_here(console: Console, path: str, method: str) -> None:
    assert (await console.ask(path, method))[0] == 405


async def test_head_gets_no_body(console: Console) -> None:
    assert (await console.ask("/livez", "HEAD"))[::2] == (200, "")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:9443", "[::1]", "[::1]:9443", "10.1.2.3", "localhost", "LOCALHOST:9443", "gateway:9443"],
)
async def test_addresses_and_plain_names_may_be_called(console: Console, host: str) -> None:
    assert (await console.ask("/livez", host=host))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9443",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "evil.example.",
        "a:b:c",
        "[evil]:x:1",
        "",
    ],
)
async def test_a_name_that_can_be_rebound_reads_nothing(console: Console, host: str) -> None:
    status, _, body = await console.ask("/metrics", host=host)

    assert status in (400, 421)
    assert "scim_gateway_" not in body


def test_the_configured_name_may_be_called() -> None:
    assert names_this_listener("Admin.example.com:9443", "admin.example.com")
    assert not names_this_listener("other.example.com:9443", "admin.example.com")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    ],
)
async def test_no_answer_names_its_software_or_may_be_framed_or_kept(console: Console, request_bytes: bytes) -> None:
    _, head, body = await console.send(request_bytes)

    assert "server:" not in head.lower()
    assert "aiohttp" not in head + body
    assert "Cache-Control: no-store" in head
    assert "X-Content-Type-Options: nosniff" in head
    assert "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'" in head


async def test_the_port_is_free_again_after_a_stop() -> None:
    section = AdminSection(address=f"127.0.0.1:{unused_port()}")
    for _ in range(2):
        admin = Admin(section, Metrics([], version="1"), dict)
        await admin.start()
        assert section.address.endswith(f":{admin.port}")
        await admin.stop()
