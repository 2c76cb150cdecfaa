"""TLS towards the upstream: whom we believe, and how operators are told what is wrong. On real sockets."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.exchange import Delivery, Stage
from gateway.refusal import Reason
from gateway.stages.forwarding import open_upstreams
from tests.stages.forwarding.building import OK, assert_failed, make_operation, make_tenant, path_to
from tests.upstreams import Conversation, ScriptedUpstream, answers, http_answer, scripted_upstream

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class World:
    """A certificate authority, its file, and a client's certificate made by it."""

    ca: trustme.CA
    ca_file: Path
    client_file: Path

    def server(self, name: str = "127.0.0.1", expires: datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name, not_before=LONG_AGO, not_after=expires).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    directory = tmp_path_factory.mktemp("tls")
    world = World(trustme.CA(), directory / "ca.pem", directory / "client.pem")
    world.ca.cert_pem.write_to_path(world.ca_file)
    world.ca.issue_cert("gateway@example.com").private_key_and_cert_chain_pem.write_to_path(world.client_file)
    return world


async def ask(server: ssl.SSLContext, host: str = "127.0.0.1", **settings: Any) -> tuple[Delivery, ScriptedUpstream]:
    async with scripted_upstream(answers(OK), server) as upstream:
        async with path_to(make_tenant(f"https://{host}:{upstream.port}", **settings)) as path:
            delivery = await path.forward()
            if delivery.reason is None:
                await path.forward(make_operation("POST", body=b"{}"))
        return delivery, upstream


async def test_an_upstream_that_our_authority_certifies_is_asked_over_one_connection(world: World) -> None:
    delivery, upstream = await ask(world.server(), upstream_ca_file=world.ca_file)

    assert delivery.reason is None
    assert [seen.method for seen in upstream.requests] == ["GET", "POST"]
    assert len(upstream.received) == 1


@pytest.mark.parametrize(
    ("name", "expires", "note"),
    [
        ("other.internal", None, "mismatch"),
        ("127.0.0.2", None, "mismatch"),
        ("127.0.0.1", datetime(2021, 1, 1, tzinfo=UTC), "expired"),
    ],
)
async def test_a_wrong_certificate_gets_no_request(
    world: World, name: str, expires: datetime | None, note: str
) -> None:
    delivery, upstream = await ask(world.server(name, expires), upstream_ca_file=world.ca_file)

    assert_failed(delivery, Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)
    assert note in delivery.note
    assert not any(upstream.received)


@pytest.mark.parametrize("trust", ["the system's", "another authority's"])
async def test_an_unknown_authority_gets_no_request(world: World, trust: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {}
    if trust != "the system's":
        settings["upstream_ca_file"] = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(settings["upstream_ca_file"])
    delivery, upstream = await ask(world.server(), **settings)

    assert_failed(delivery, Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)
    assert "does not verify" in delivery.note
    assert not any(upstream.received)


async def test_tls_1_1_is_too_old(world: World) -> None:
    context = world.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    delivery, _ = await ask(context, upstream_ca_file=world.ca_file)

    assert_failed(delivery, Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)


async def test_plain_http_on_the_port_is_unreachable() -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.anything()
        await conversation.send(http_answer(400))

    async with (
        scripted_upstream(play) as upstream,
        path_to(make_tenant(f"https://127.0.0.1:{upstream.port}")) as path,
    ):
        delivery = await path.forward()

    assert_failed(delivery, Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)
    assert delivery.note == "it does not speak TLS; is it http://?"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown_where_one_is_demanded(world: World, version: ssl.TLSVersion) -> None:
    context = world.server()
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    world.ca.configure_trust(context)
    files: dict[str, Any] = {"upstream_certificate_file": world.client_file, "upstream_key_file": world.client_file}

    shown, _ = await ask(context, upstream_ca_file=world.ca_file, **files)
    hidden, upstream = await ask(context, upstream_ca_file=world.ca_file)

    assert shown.reason is None
    assert hidden.answer is None
    assert hidden.reason in (Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_BROKEN)
    assert not any(upstream.received)


async def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_upstreams({"jira": make_tenant("https://127.0.0.1:1", upstream_ca_file=tmp_path / "nowhere.pem")})


async def test_a_renewed_file_makes_another_node(world: World, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(world.ca_file.read_bytes())
    tenants = {"jira": make_tenant("https://127.0.0.1:1", upstream_ca_file=file)}
    first = open_upstreams(tenants)
    same = open_upstreams(tenants, first)
    trustme.CA().cert_pem.write_to_path(file)
    other = open_upstreams(tenants, same)

    assert same["jira"].nodes == first["jira"].nodes
    assert other["jira"].nodes != first["jira"].nodes
    for upstream in (first, same, other):
        await upstream["jira"].aclose()
