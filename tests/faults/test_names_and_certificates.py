"""Nodes whose certificate is wrong, and names that move, or have no address."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.faults.scenes import Node, Play, Scene, Seen, not_reached, scene, serve


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))


CERTIFICATES: dict[str, Callable[[trustme.CA], trustme.LeafCert]] = {
    "expired": expired,
    "for another name": lambda authority: authority.issue_cert("elsewhere.example"),
    "by an unknown authority": lambda _: trustme.CA().issue_cert("127.0.0.1"),
}


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("issue", CERTIFICATES.values(), ids=CERTIFICATES)
async def test_a_node_with_a_bad_certificate_gets_no_byte_of_a_request(
    issue: Callable[[trustme.CA], trustme.LeafCert], nodes: int, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "inside.pem")
    tls = {0: context_of(issue(authority)), 1: context_of(authority.issue_cert("127.0.0.1"))}
    plays: tuple[Play, ...] = (serve, serve)
    async with scene(tmp_path, *plays[:nodes], tls=tls, upstream_ca_file=tmp_path / "inside.pem") as it:
        replies = await it.ask_each()
        seen = {method: it.seen(reply) for method, reply in replies.items()}
        notes = [it.record(reply.request_id)["attempts"][0]["note"] for reply in replies.values()]

    assert seen == {method: not_reached(method, nodes) for method in seen}
    assert all("certificate does not verify" in note for note in notes)


Names = dict[str, list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A name server: names and their present addresses; others are looked up as ever."""
    known: Names = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **options: Any) -> list[Any]:
        if host not in known:
            return real(host, port, **options)
        if not known[host]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@dataclass(frozen=True, slots=True)
class Door:
    """Another address that leads to a node."""

    port: int
    writers: list[asyncio.StreamWriter]

    def close_connections(self) -> None:
        while self.writers:
            self.writers.pop().close()


@asynccontextmanager
async def door_to(node: Node, address: str) -> AsyncIterator[Door]:
    writers: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        host, _, port = node.name.partition(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(forward, address, 0)
    try:
        yield Door(server.sockets[0].getsockname()[1], writers)
    finally:
        server.close()


async def test_a_name_that_moves_is_followed_and_one_without_address_sends_nothing(
    tmp_path: Path, names: Names
) -> None:
    names["app.internal"] = []
    async with scene(tmp_path / "application", serve) as inside:
        node = inside.nodes[0]
        async with (
            door_to(node, "127.0.0.2") as door,
            scene(tmp_path, f"http://app.internal:{door.port}", limits={"budget_seconds": 5}) as it,
        ):
            it.nodes[0].acts = node.acts
            await _follow(it, names, door)


async def _follow(it: Scene, names: Names, door: Door) -> None:
    nowhere = it.seen(await it.ask("POST"))
    names["app.internal"] = ["127.0.0.2"]
    there = it.seen(await it.ask("POST"))
    names["app.internal"] = ["127.0.0.3", "127.0.0.2"]  # the first one is dead
    door.close_connections()
    beside = it.seen(await it.ask("POST"))

    assert nowhere == Seen(429, "upstream-unreachable", "not-executed", ((0, "not-sent", None),), (0,))
    assert there == beside == Seen(201, None, "executed", ((0, "answered", 201),), (1,))
