"""One tenant's upstream: its nodes, which of them a request goes to, and to which next.

One node is the primary and gets every request, for the application caches per node. When it is out of service
another one becomes the primary, and stays it: moving back would cost a cold cache once more.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.caller import Caller
from gateway.exchange import Attempt, Delivery, Stage, version_of
from gateway.refusal import Reason, Refusal
from gateway.scim.versions import Version
from gateway.settings.models import Tenant
from gateway.settings.values import host_and_port
from gateway.stages.forwarding import breaker, health
from gateway.stages.forwarding.answers import Verdict, WireAnswer, decode_body, judge, length_is_known
from gateway.stages.forwarding.health import ProbeResult, probe_problem
from gateway.stages.forwarding.node import Asked, Limits, Node
from gateway.stages.forwarding.pool import Connect, Origin, connect_tcp
from gateway.stages.forwarding.requests import UpstreamRequest, probe_request, upstream_authorization
from gateway.stages.forwarding.retries import may_go_to_another_node, speaks_against_its_node
from gateway.stages.forwarding.tls import upstream_context

log = logging.getLogger(__name__)

PROBE_SECONDS = 15.0  # between two probes of a node that serves
DOUBT_SECONDS = 2.0  # after one that reached nobody
PROBE_LIMIT_SECONDS = 10.0
PRIMARY = "primary"


@dataclass(frozen=True, slots=True)
class Transition:
    """A node's state changed; or it became the primary, and `after` says so."""

    tenant_name: str
    node: str
    before: str
    after: str
    why: str


class Upstream:
    """Where one tenant's operations go. To be made inside the running loop; whoever made it closes it."""

    def __init__(self, tenant_name: str, tenant: Tenant, nodes: tuple[Node, ...], primary: str = "") -> None:
        """`primary` names the node to begin with.

        Raises:
            ValueError: the credential was not read from its file.
        """
        self.tenant_name, self.tenant, self.nodes = tenant_name, tenant, nodes
        self.authorization = upstream_authorization(tenant)  # fails now rather than at the first request
        self.on_transition: Callable[[Transition], None] = lambda _: None
        self._hosts = {node.name: _host_field(url) for node, url in zip(nodes, tenant.upstream, strict=True)}
        self._primary = next((node for node in nodes if node.name == primary), nodes[0])
        self._loop = asyncio.get_running_loop()
        self._jitter = random.random
        self._closed = False
        self._under_way = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def take_over(self) -> None:
        """Own the nodes from now on, and drain those that the settings say; nothing here can fail."""
        for node, url in zip(self.nodes, self.tenant.upstream, strict=True):
            node.owner = self
            before, node.drained = node.state, url in self.tenant.upstream_drained
            if node.drained:
                node.turn_waiting_away()
            if node.state is not before:
                self._tell(node, before.value, node.state.value, "the settings say so")
        spare = next((node for node in self.nodes if node.state is breaker.State.CLOSED), None)
        if self._primary.drained and spare is not None:
            self._move_to(spare)

    @property
    def primary(self) -> Node:
        return self._primary

    @property
    def healthy(self) -> bool | None:
        """Whether somebody serves; None until anything is known."""
        known = [node.health.healthy for node in self.nodes if node.admits]
        if not known:
            return False
        return True if True in known else None if None in known else False

    async def deliver(self, request: UpstreamRequest, caller: Caller, latest_start: float, until: float) -> Delivery:
        """Take a request to a node, and where that is safe to another one. Never raises for what the nodes do.

        The moments are loop seconds: nothing is begun after the first, everything is over at the second.
        """
        attempts: list[Attempt] = []
        tried: set[str] = set()
        verdict: Verdict | None = None
        while (node := self._choose(tried)) is not None:
            pauses = node.breaker.pauses
            asked = await self._ask(node, request, caller, latest_start, until)
            attempts.append(asked.attempt)
            if asked.stale and sum(attempt.stage is Stage.SENT for attempt in attempts) <= 1:
                node.pool.close_idle()  # they went the same way: the next one is fresh
                continue
            verdict = _verdict(request.method, asked, node.limits.max_answer_bytes, version_of(self.tenant))
            attempts[-1] = _corrected(asked.attempt, verdict)
            if verdict.reason is None or node.breaker.pauses == pauses:  # else it failed before the pause did its work
                self._note_request(node, verdict, asked.attempt.status)
            tried.add(node.name)
            if not may_go_to_another_node(request.method, attempts, verdict.reason):
                break
            if self._loop.time() >= latest_start:
                break
        if verdict is None:
            return Delivery(tuple(attempts), None, Reason.UPSTREAM_UNREACHABLE, self._why_nobody())
        return Delivery(tuple(attempts), verdict.answer, verdict.reason, verdict.note)

    def reserve(self) -> None:
        """Keep the nodes open until `release`, for a reload may come while a body is read.

        Raises:
            Refusal: STOPPING after `aclose`.
        """
        if self._closed:
            raise Refusal(Reason.STOPPING, note="the upstream's connections are closed")
        self._under_way += 1
        self._unused.clear()

    def release(self) -> None:
        """To be called once for each `reserve`."""
        self._under_way -= 1
        if not self._under_way:
            self._unused.set()

    def nodes_to_probe(self) -> list[Node]:
        """The nodes of which it is time to ask whether they serve."""
        now = self._loop.time()
        due = [node for node in self.nodes if breaker.probe_is_due(node.breaker, node.probe_at, now)]
        return [node for node in due if not node.is_probed and node.owner is self]

    async def probe(self, node: Node) -> ProbeResult:
        """Ask a node without a credential whether it is there; its health and its breaker take note. Never raises."""
        if self._closed:
            return ProbeResult(False, False, 0.0, "the upstream's connections are closed")
        node.is_probed = True
        node.probe_at = self._loop.time() + PROBE_SECONDS
        try:
            request = probe_request(self.tenant).as_bytes(self._hosts[node.name])
            asked = await node.ask_without_a_place(request, PROBE_LIMIT_SECONDS)
        finally:
            node.is_probed = False
        result = _probe_result(asked, node.limits.max_answer_bytes)
        seconds = PROBE_SECONDS if result.reachable else DOUBT_SECONDS
        node.probe_at = self._loop.time() + seconds * (0.8 + 0.4 * self._jitter())
        node.health = health.after_probe(node.health, result, time.time())
        # A node that is merely silent may be slow, and serve those who wait; it loses its place only to another one.
        silent = asked.attempt.stage is not Stage.NOT_SENT and not self._has_another(node)
        after = breaker.after_probe(
            node.breaker,
            self._loop.time(),
            self._jitter(),
            reachable=result.reachable or silent,
            healthy=result.healthy,
        )
        self._set_breaker(node, after, result.note or "a probe was answered well")
        node.pool.close_stale()
        return result

    async def aclose(self, within_seconds: float = 60) -> None:
        """Wait for requests under way, at most so long, then close the nodes that no other upstream has taken over."""
        self._closed = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_seconds):
                    await self._unused.wait()
        finally:
            for node in self.nodes:
                if node.owner is self:
                    node.pool.close()

    # ------------------------------------------------------------------------------------------------

    async def _ask(
        self, node: Node, request: UpstreamRequest, caller: Caller, latest_start: float, until: float
    ) -> Asked:
        is_trial = node.breaker.state is breaker.State.HALF_OPEN
        node.breaker = breaker.began(node.breaker)
        try:
            return await node.ask(
                request.as_bytes(self._hosts[node.name]),
                caller,
                latest_start=latest_start,
                until=until,
                is_read=request.method == "GET",
            )
        finally:
            if is_trial:
                node.breaker = breaker.ended(node.breaker)

    def _has_another(self, node: Node) -> bool:
        return any(other.admits for other in self.nodes if other is not node)

    def _choose(self, tried: set[str]) -> Node | None:
        """The primary if it admits a request, else the next that does; who is in service becomes the primary."""
        if not tried and self._primary.admits:
            return self._primary
        start = self.nodes.index(self._primary)
        for node in (*self.nodes[start:], *self.nodes[:start]):
            if node.name not in tried and node.admits:
                if not self._primary.admits and node.state is breaker.State.CLOSED:
                    self._move_to(node)
                return node
        return None

    def _move_to(self, node: Node) -> None:
        left, self._primary = self._primary, node
        self._tell(node, "spare", PRIMARY, f"{left.name} is {left.state.value}")

    def _note_request(self, node: Node, verdict: Verdict, status: int | None) -> None:
        node.health = health.after_request(node.health, verdict.reason, verdict.note, time.time())
        if node.drained or verdict.reason in (Reason.CLIENT_GONE, Reason.QUEUE_TIMEOUT):
            return
        if speaks_against_its_node(verdict.reason, status):
            after = breaker.after_failure(node.breaker, self._loop.time(), self._jitter())
        else:
            after = breaker.after_success(node.breaker)
        self._set_breaker(node, after, verdict.note if verdict.reason else "it answered")

    def _set_breaker(self, node: Node, after: breaker.Breaker, why: str) -> None:
        if after is node.breaker:
            return
        before, node.breaker = node.breaker, after
        if before.state is after.state or node.drained:
            return
        if after.state is breaker.State.OPEN:
            node.pool.close_idle()
            node.turn_waiting_away()
        self._tell(node, before.state.value, after.state.value, why)

    def _tell(self, node: Node, before: str, after: str, why: str) -> None:
        bad = after in (breaker.State.OPEN.value, breaker.State.HALF_OPEN.value)
        log.log(
            logging.WARNING if bad else logging.INFO,
            "a node of the upstream is now %s (before: %s): %s",
            after,
            before,
            why,
            extra={"tenant": self.tenant_name, "node": node.name},
        )
        self.on_transition(Transition(self.tenant_name, node.name, before, after, why))

    def _why_nobody(self) -> str:
        return "no node is in service: " + ", ".join(map(_described, self.nodes))


def _described(node: Node) -> str:
    return f"{node.name} {node.state.value}" + (f" ({node.health.note})" if node.health.note else "")


def open_upstreams(
    tenants: Mapping[str, Tenant],
    old: Mapping[str, Upstream] | None = None,
    *,
    connect: Connect = connect_tcp,
    on_transition: Callable[[Transition], None] = lambda _: None,
) -> dict[str, Upstream]:
    """An upstream for each tenant, by name; nodes of `old` that are what the settings say go on with all they know.

    Whoever calls closes the old upstreams. Reads the TLS files.

    Raises:
        OSError: a TLS file cannot be read.
        ValueError: a credential was not read from its file. In either case `old` is as it was.
    """
    opened = {}
    for name, tenant in tenants.items():
        before = (old or {}).get(name)
        kept = {node.fingerprint: node for node in before.nodes} if before else {}
        tls, files = upstream_context(tenant), _files(tenant)
        nodes = tuple(_node(url, tenant, tls, files, kept, connect) for url in tenant.upstream)
        opened[name] = Upstream(name, tenant, nodes, before.primary.name if before else "")
    for upstream in opened.values():
        upstream.on_transition = on_transition
        upstream.take_over()
    return opened


def _node(
    url: str,
    tenant: Tenant,
    tls: ssl.SSLContext | None,
    files: tuple[str | None, ...],
    kept: Mapping[object, Node],
    connect: Connect,
) -> Node:
    limits = Limits(tenant.limits.connections, tenant.limits.max_answer_bytes, tenant.limits.first_byte_seconds)
    fingerprint = (url, limits, files)
    if fingerprint in kept:
        return kept[fingerprint]
    host, port = host_and_port(url)
    origin = Origin(host, port, tls if url.startswith("https:") else None)
    return Node(origin, limits, fingerprint=fingerprint, connect=connect)


def _files(tenant: Tenant) -> tuple[str | None, ...]:
    """Digests of the TLS files' content: they are renewed under the same names."""
    return tuple(
        None if file is None else _digest(file)
        for file in (tenant.upstream_ca_file, tenant.upstream_certificate_file, tenant.upstream_key_file)
    )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _host_field(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _verdict(method: str, asked: Asked, max_bytes: int, version: Version) -> Verdict:
    """What one attempt came to."""
    if asked.answer is None:
        return Verdict(None, asked.reason, asked.attempt.note)
    try:
        return _judged(method, asked.answer, max_bytes, version)
    except Refusal as refusal:
        return Verdict(None, refusal.reason, refusal.note)


def _corrected(attempt: Attempt, verdict: Verdict) -> Attempt:
    """An answer that turned out to be cut or malformed is none: then nobody knows what became of the request."""
    if attempt.stage is not Stage.ANSWERED or verdict.reason not in (Reason.UPSTREAM_BROKEN, Reason.UPSTREAM_TOO_LARGE):
        return attempt
    return replace(attempt, stage=Stage.SENT, status=None, note=verdict.note)


def _probe_result(asked: Asked, max_bytes: int) -> ProbeResult:
    seconds = asked.attempt.seconds
    if asked.answer is None:
        return ProbeResult(False, False, seconds, asked.attempt.note)
    try:
        problem = probe_problem(asked.answer.status, asked.answer.fields, decode_body(asked.answer, max_bytes))
    except Refusal as refusal:
        problem = refusal.note
    return ProbeResult(True, not problem, seconds, problem)


def _judged(method: str, answer: WireAnswer, max_bytes: int, version: Version) -> Verdict:
    verdict = judge(method, answer.status, answer.fields, decode_body(answer, max_bytes), version)
    if not length_is_known(answer.status, answer.fields) and (
        verdict.reason is Reason.UPSTREAM_NOT_SCIM or (verdict.reason is None and not answer.body)
    ):
        # A body that ended with the connection is whole only if it is a complete JSON object, or of no interest.
        raise Refusal(Reason.UPSTREAM_BROKEN, note=f"status {answer.status}, without a length and perhaps cut")
    return verdict
