"""A server on a real port with a fake pipeline behind it, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from gateway.caller import Caller
from gateway.exchange import Answer, Request, Unparsed
from gateway.refusal import Refusal
from gateway.server.http import HttpServer
from gateway.server.listener import Listener, listening_socket
from gateway.server.tls import Certificates
from gateway.settings.models import ListenSection

OK = Answer(200, (("Content-Type", "application/scim+json"),), b'{"id":"1"}')


@dataclass
class FakePipeline:
    """Remembers what it was asked; reads bodies when told to, and answers `answer`."""

    answer: Answer = OK
    reads: bool = True
    max_body_bytes: int = 1 << 20
    body_seconds: float = 0.3
    requests: list[Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    unparsed: list[Unparsed] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    waits: bool = False

    async def serve(self, request: Request, caller: Caller) -> Answer:
        self.requests.append(request)
        self.callers.append(caller)
        self.entered.set()
        if self.waits:
            await self.goes_on.wait()
        if not self.reads or not request.has_body:
            return self.answer
        try:
            self.bodies.append(await caller.read_body(self.max_body_bytes, self.body_seconds))
        except Refusal as refusal:
            self.refusals.append(refusal)
            return Answer(refusal.reason.status, (), b"{}")
        return self.answer

    async def refuse_unparsed(self, unparsed: Unparsed) -> Answer:
        self.unparsed.append(unparsed)
        return Answer(unparsed.reason.status, (), json.dumps({"status": str(unparsed.reason.status)}).encode())


@dataclass
class Served:
    """A running server, as tests see it."""

    pipeline: FakePipeline
    server: HttpServer
    listener: Listener
    certificates: Certificates
    trusting: ssl.SSLContext
    directory: Path

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.listener.port, ssl=self.trusting, server_hostname="localhost"
        )

    async def say(self, *pieces: bytes, within_seconds: float = 2.0) -> bytes:
        """Send pieces, and read until the server hangs up or is silent for 0.15 s after an answer."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await hear(reader, within_seconds)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def hear(reader: asyncio.StreamReader, within_seconds: float = 2.0) -> bytes:
    """Everything that comes until the end, or until nothing more comes."""
    heard = b""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(within_seconds):
            heard = await reader.read(65_536)
        while True:
            async with asyncio.timeout(0.15):
                piece = await reader.read(65_536)
            if not piece:
                return heard + b"<END>"
            heard += piece
    return heard


def write_pair(authority: trustme.CA, directory: Path, *names: str) -> None:
    """A new certificate and key into `directory`."""
    leaf = authority.issue_cert(*(names or ("localhost",)))
    (directory / "fullchain.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (directory / "key.pem").write_bytes(leaf.private_key_pem.bytes())


@asynccontextmanager
async def served(directory: Path, pipeline: FakePipeline | None = None, **listen: object) -> AsyncIterator[Served]:
    """A server until the block ends; `listen` are settings of the section [listen]."""
    authority = trustme.CA()
    write_pair(authority, directory)
    section = ListenSection.model_validate(
        {
            "address": "127.0.0.1:0",
            "certificate_file": directory / "fullchain.pem",
            "key_file": directory / "key.pem",
            **listen,
        }
    )
    fake = pipeline or FakePipeline()
    certificates = Certificates(section)
    server = HttpServer(section, lambda: fake)  # type: ignore[arg-type,return-value]  # a fake with the same two doors
    listener = Listener(listening_socket(section.address), server, certificates.front)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with asyncio.TaskGroup() as tasks:
        accepting = tasks.create_task(listener.run())
        try:
            yield Served(fake, server, listener, certificates, trusting, directory)
        finally:
            accepting.cancel()
            listener.close()
            await server.drain(0.2)
