"""Whole chains to visit: a real gateway in this process, a real application, and whoever may stand between."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from gateway.doctor.cases import read_case
from gateway.doctor.checks import visit_all
from gateway.doctor.findings import Diagnosis, Finding, Grade
from gateway.doctor.visit import Case, Limits, Visit
from gateway.server.tls import server_context
from gateway.settings.reading import read_settings
from tests.doctor.authorities import write_good
from tests.end_to_end.processes import write_settings
from tests.houses import instance_running
from tests.ports import unused_port
from tests.worlds import PATH, TOKEN

# What a test claims of time it says itself.
SLOW_MACHINE = Limits(patience_seconds=20, connect_seconds=20, slow_seconds=30, slow_sync_seconds=30)
HOST = "127.0.0.1"  # a name may have more addresses than the gateway listens at


@dataclass(frozen=True, slots=True)
class Chain:
    """A gateway that runs, and how it is reached."""

    directory: Path
    port: int  # the public one: of whoever stands before the gateway, or its own
    path: str = PATH
    gateway_port: int = 0

    @property
    def base_url(self) -> str:
        return f"https://{HOST}:{self.port}{self.path}"

    @property
    def pair(self) -> tuple[Path, Path]:
        """Certificate and key, for whoever ends TLS."""
        return self.directory / "tls/fullchain.pem", self.directory / "tls/key.pem"

    @property
    def config(self) -> Path:
        return self.directory / "gateway.toml"

    @property
    def ca_file(self) -> Path:
        return self.directory / "tls/root.pem"

    def case(self) -> Case:
        return read_case(self.config)


async def findings(visit: Visit, *, with_test_user: bool = False) -> dict[str, Finding]:
    """Every finding by the name of its check."""
    diagnosis: Diagnosis = await visit_all(visit, with_test_user=with_test_user)
    return {found.check: found for found in diagnosis.findings}


def visit(chain: Chain, *, on_host: bool = True, token: str | None = TOKEN, limits: Limits | None = None) -> Visit:
    """A visit of a chain, trusting its authority alone."""
    return Visit(
        chain.base_url,
        token,
        ca_file=chain.ca_file,
        case=chain.case() if on_host else None,
        limits=limits or SLOW_MACHINE,
    )


def is_green(found: dict[str, Finding]) -> bool:
    return all(one.grade is Grade.OK for one in found.values())


# Who may stand before the gateway ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    target: str
    fields: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    status: int
    body: bytes
    fields: dict[str, str] = field(default_factory=dict)


Forward = Callable[[Call], Awaitable[Told]]
Between = Callable[[Call, Forward], Awaitable[Told]]


def asking(change: Callable[[Call], Call]) -> Between:
    """Requests are changed on their way."""

    async def between(call: Call, forward: Forward) -> Told:
        return await forward(change(call))

    return between


def saying(change: Callable[[Told], Told]) -> Between:
    """Answers are changed on their way."""

    async def between(call: Call, forward: Forward) -> Told:
        return change(await forward(call))

    return between


def instead(answer: Told, *, method: str = "") -> Between:
    """Requests, or those of one method, get the same answer and go no further."""

    async def between(call: Call, forward: Forward) -> Told:
        return answer if method in ("", call.method) else await forward(call)

    return between


def retarget(change: Callable[[str], str]) -> Between:
    return asking(lambda call: replace(call, target=change(call.target)))


@asynccontextmanager
async def tls_front(tls: ssl.SSLContext, between: Between, port: int, gateway_port: int) -> AsyncIterator[None]:
    """Ends TLS as a balancer does, and passes each request on to the gateway over TLS."""
    async with aiohttp.ClientSession() as session:

        async def forward(call: Call) -> Told:
            url = URL(f"https://127.0.0.1:{gateway_port}{call.target}", encoded=True)
            async with session.request(
                call.method, url, data=call.body or None, headers=call.fields, allow_redirects=False, ssl=False
            ) as answer:
                kept = {name: text for name, text in answer.headers.items() if name.lower() not in _HOP}
                return Told(answer.status, await answer.read(), kept)

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            fields = {name: text for name, text in request.headers.items() if name.lower() not in _HOP}
            told = await between(Call(request.method, request.raw_path, fields, await request.read()), forward)
            return web.Response(status=told.status, body=told.body or None, headers=told.fields)

        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
            yield
        finally:
            await runner.cleanup()


_HOP = ("content-length", "transfer-encoding", "connection")


@asynccontextmanager
async def chain_of(
    directory: Path,
    upstream: str | tuple[str, ...],
    *,
    between: Between | None = None,
    more: str = "",
    path_of_agent: str = "",
    behind_another: bool = False,
) -> AsyncIterator[Chain]:
    """A gateway before an upstream, with somebody before it if wished; `more` is appended to its settings.

    `behind_another`: whoever stands before it is started by the test.
    """
    public_port, port = unused_port(), unused_port()
    if between is None and not behind_another:
        port = public_port
    file = write_settings(directory, upstream, port, unused_port(), more=more)
    text = file.read_text().replace(f"https://localhost:{port}", f"https://{HOST}:{public_port}")
    if path_of_agent:
        text = text.replace(f'path = "{PATH}"', f'path = "{path_of_agent}"\nclient = "okta-agent"')
    file.write_text(text.replace("drain_seconds = 5", "drain_seconds = 0.1"))
    pair = write_good(directory / "tls", HOST)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(file))
        if between is not None:
            await stack.enter_async_context(tls_front(server_context(*pair), between, public_port, port))
        yield Chain(directory, public_port, path_of_agent or PATH, port)


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[None]:
    """The gateway of a settings file, in the running loop."""
    async with instance_running(read_settings(file, {})):
        yield


@asynccontextmanager
async def tls_server(tls: ssl.SSLContext, answer: bytes = b"") -> AsyncIterator[int]:
    """A server that is no gateway: shows its certificate, and gives one answer to whatever comes. Its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
