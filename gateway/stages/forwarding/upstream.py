"""One tenant's upstream: its address, its credential, its connections, and one attempt at asking it.

aiohttp's `ClientSession` is left out on purpose. It follows redirects, resends on its own, keeps cookies and
invents fields; its parts below it, a request over a connection, do none of this and say how far they came.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientConnectionError, ClientError, ClientRequest, ClientResponse, ClientTimeout
from aiohttp.connector import Connection
from yarl import URL

from gateway.exchange import Attempt, Delivery, Stage
from gateway.refusal import Reason, Refusal
from gateway.settings.models import Tenant
from gateway.stages.forwarding.answers import WireAnswer, check_head, decode_body, judge
from gateway.stages.forwarding.failures import explain
from gateway.stages.forwarding.health import Health, ProbeResult, probe_problem
from gateway.stages.forwarding.pool import IDLE_SECONDS, LIFE_SECONDS, StrictConnector, StrictHandler
from gateway.stages.forwarding.requests import UpstreamRequest, probe_request, upstream_authorization
from gateway.stages.forwarding.tls import upstream_context
from gateway.wire.fields import Fields

CONNECT_SECONDS = 5.0  # name, TCP and TLS together; a node that needs longer is as good as gone
PROBE_SECONDS = 10.0
_PROBE_PLACES = 1  # the clients' places are counted by admission; a probe shall not wait for one

_INVENTED = ("Content-Type",)  # by aiohttp, unless told not to; the others that it invents are given


@dataclass(frozen=True, slots=True)
class _Asked:
    """One attempt, and either the answer without content coding, or the reason why there is none."""

    attempt: Attempt
    answer: WireAnswer | None
    reason: Reason | None = None


class Upstream:
    """Where one tenant's operations go. To be made inside the running loop; reads the TLS files.

    Raises:
        OSError: a TLS file cannot be read.
        ValueError: the credential was not read from its file.
    """

    def __init__(self, tenant: Tenant, idle_seconds: float = IDLE_SECONDS, life_seconds: float = LIFE_SECONDS) -> None:
        self.tenant = tenant
        self.health = Health()  # written by Forwarding only
        self._fingerprint = _fingerprint(tenant)
        self._origin = URL(tenant.upstream[0])
        upstream_authorization(tenant)  # fails now rather than at the first request
        self._pool = StrictConnector(
            limit=tenant.limits.concurrent + _PROBE_PLACES,
            tls=upstream_context(tenant),
            max_answer_bytes=tenant.limits.max_answer_bytes,
            idle_seconds=idle_seconds,
            life_seconds=life_seconds,
        )
        self._under_way = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def node(self) -> str:
        """host:port, for records and metrics."""
        return f"{self._origin.host_subcomponent}:{self._origin.port}"

    def suits(self, tenant: Tenant) -> bool:
        """Whether this upstream is what `tenant` describes, TLS files' content included: a reload may keep it."""
        return not self._pool.closed and self._fingerprint == _fingerprint(tenant)

    async def deliver(self, request: UpstreamRequest, within_seconds: float) -> Delivery:
        """Send a request once and judge what comes back. Never raises for what the upstream does.

        Raises:
            Refusal: STOPPING after `aclose`; TARGET_MALFORMED.
        """
        asked = await self._ask(request, within_seconds)
        if asked.answer is None:
            return Delivery((asked.attempt,), None, asked.reason, asked.attempt.note)
        verdict = judge(request.method, asked.answer.status, asked.answer.fields, asked.answer.body)
        return Delivery((asked.attempt,), verdict.answer, verdict.reason, verdict.note)

    async def probe(self) -> ProbeResult:
        """Ask without a credential whether anybody is there. Never raises for it, being called in a loop."""
        try:
            asked = await self._ask(probe_request(self.tenant), PROBE_SECONDS)
        except Refusal as refusal:
            return ProbeResult(False, False, 0, refusal.note)
        if asked.answer is None:
            return ProbeResult(False, False, asked.attempt.seconds, asked.attempt.note)
        problem = probe_problem(asked.answer.status, asked.answer.fields, asked.answer.body)
        return ProbeResult(True, not problem, asked.attempt.seconds, problem)

    async def aclose(self, within_seconds: float = 60) -> None:
        """Wait for requests under way, at most so long, then close every connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._unused.wait()
        await self._pool.close()

    async def _ask(self, request: UpstreamRequest, within_seconds: float) -> _Asked:
        loop = asyncio.get_running_loop()
        started, stage = loop.time(), Stage.NOT_SENT
        message, max_bytes = self._message(request), self.tenant.limits.max_answer_bytes
        try:
            async with self.in_use(), asyncio.timeout(within_seconds), self._connection(message) as connection:
                stage = Stage.SENT
                answer = await _exchange(message, connection, max_bytes)
            answer = WireAnswer(answer.version, answer.status, answer.fields, decode_body(answer, max_bytes))
            _check_is_whole(request.method, answer)
        except (ClientError, OSError) as error:
            reason, note = explain(error, stage)
            return _Asked(Attempt(self.node, loop.time() - started, stage, None, note), None, reason)
        except Refusal as refusal:
            if refusal.reason is Reason.STOPPING:
                raise
            return _Asked(Attempt(self.node, loop.time() - started, stage, None, refusal.note), None, refusal.reason)
        return _Asked(Attempt(self.node, loop.time() - started, Stage.ANSWERED, answer.status), answer)

    def _message(self, request: UpstreamRequest) -> ClientRequest:
        url = URL(f"{self._origin.scheme}://{self._origin.host_port_subcomponent}{request.target}", encoded=True)
        if url.host_port_subcomponent != self._origin.host_port_subcomponent or url.raw_path_qs != request.target:
            # SECURITY: what was judged is what is sent, and to whom.
            raise Refusal(Reason.TARGET_MALFORMED, note="the target reads otherwise as a URL")
        return ClientRequest(
            request.method,
            url,
            headers=request.fields,
            skip_auto_headers=_INVENTED,
            data=io.BytesIO(request.body) if request.body else None,  # a write without one still says Content-Length: 0
            loop=asyncio.get_running_loop(),
        )

    @asynccontextmanager
    async def _connection(self, message: ClientRequest) -> AsyncIterator[Connection]:
        """A connection for one exchange; unless a complete answer gave it back to the pool, it is closed."""
        connection = await self._pool.connect(message, traces=[], timeout=ClientTimeout(connect=CONNECT_SECONDS))
        try:
            handler = connection.protocol
            if not isinstance(handler, StrictHandler) or not handler.is_fit():
                msg = "closed, or spoken on, before anything was sent"
                raise ClientConnectionError(msg)
            handler.expect_answer()
            yield connection
        finally:
            connection.close()

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """Until the block ends, `aclose` waits.

        Raises:
            Refusal: STOPPING after `aclose`.
        """
        if self._pool.closed:
            raise Refusal(Reason.STOPPING, note="the upstream's connections are closed")
        self._under_way += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._unused.set()


def open_upstreams(tenants: dict[str, Tenant], old: dict[str, Upstream] | None = None) -> dict[str, Upstream]:
    """An upstream for each tenant, by name; those of `old` that still suit go on with their connections.

    Whoever calls closes the old ones that are not in the result, once nobody uses them.
    """
    before = old or {}
    kept = {name: before[name] for name, tenant in tenants.items() if name in before and before[name].suits(tenant)}
    return {name: kept.get(name) or Upstream(tenant) for name, tenant in tenants.items()}


async def _exchange(message: ClientRequest, connection: Connection, max_bytes: int) -> WireAnswer:
    response = await message.send(connection)
    await response.start(connection)
    answer = _head(response)
    check_head(answer, max_bytes)
    return WireAnswer(answer.version, answer.status, answer.fields, await _read_body(response, max_bytes))


def _head(response: ClientResponse) -> WireAnswer:
    assert response.version is not None  # noqa: S101 - set by start()
    pairs = tuple(
        (n.decode("ascii", "surrogateescape"), v.decode("ascii", "surrogateescape")) for n, v in response.raw_headers
    )
    return WireAnswer((response.version.major, response.version.minor), response.status, Fields(pairs))


async def _read_body(response: ClientResponse, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            raise Refusal(Reason.UPSTREAM_TOO_LARGE, note=f"status {response.status}, more than {max_bytes} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _check_is_whole(method: str, answer: WireAnswer) -> None:
    """A body that ended with the connection is whole only if it is a complete JSON object, or of no interest."""
    if answer.length_is_known:
        return
    verdict = judge(method, answer.status, answer.fields, answer.body)
    if verdict.reason is Reason.UPSTREAM_NOT_SCIM or (verdict.reason is None and not answer.body):
        raise Refusal(Reason.UPSTREAM_BROKEN, note=f"status {answer.status}, without a length and perhaps cut")


def _fingerprint(tenant: Tenant) -> tuple[object, ...]:
    """Everything a connection depends on, with the TLS files' content: they are renewed under the same names."""
    files = (tenant.upstream_ca_file, tenant.upstream_certificate_file, tenant.upstream_key_file)
    limits = (tenant.limits.concurrent, tenant.limits.max_answer_bytes)
    secrets = (tenant.upstream_token, tenant.upstream_username, tenant.upstream_password)
    return (tenant.upstream, tenant.path, tenant.upstream_path, limits, secrets, *(_digest(file) for file in files))


def _digest(file: Path | None) -> str | None:
    return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
