"""The real pipeline before virtual nodes: every stage as in production, but for the sockets, the disk and the clock.

    report, gateway = played(application, lambda gateway: Okta(gateway.call, base_path=PATH).run(tasks))
    assert gateway.broken_promises() == []

What is on record is kept in memory, with the moment from which it was there.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from gateway.exchange import Request, RequestId
from gateway.journal import Journal, Line, written_out
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.rehearsal.messages import request_fields
from gateway.settings.models import Credential, Settings
from gateway.stages.admission import Admission
from gateway.stages.forwarding import Forwarding, Transition, open_upstreams
from gateway.stages.forwarding.connection import UpstreamConnection
from gateway.stages.forwarding.pool import Origin
from gateway.stages.guarding import Directories, GuardEvent, Guarding
from gateway.stages.identity import CredentialIndex, Feeds, Identity, own_authorities
from gateway.stages.recording import Recording
from gateway.state.credentials import Book, standings
from gateway.state.failures import Failures
from gateway.state.last_use import LastUse
from gateway.state.places import Places
from gateway.state.rates import Rates
from gateway.state.turns import Turns
from gateway.wire.fields import Fields
from tests.okta.application import Answer, Application
from tests.okta.clock import now, run_virtually
from tests.okta.keeper import MemoryKeeper
from tests.okta.promises import Asked, Entry, broken_promises
from tests.okta.sequences import AUTHORIZATION
from tests.okta.wire import VirtualNodes, virtual_nodes
from tests.worlds import PATH, FakeCaller, settings, sha256, tenant

NODES = ("node-1:5501", "node-2:5501")
RECORD_SECONDS = 0.002  # for a line to be durable
PROBE_TICK_SECONDS = 0.25
OTHER_PATH = "/scim/wiki00000000/v2"  # of a second tenant, before the same application
OTHER_AUTHORIZATION = "Bearer scimgw_another0another0another0another0another0another00_000000"

T = TypeVar("T")


class MemoryJournal(Journal):
    """Keeps lines in memory; each takes its time, and is written though nobody waits for it any more."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.entries: list[Entry] = []
        self.on_entry: Callable[[Entry], None] = lambda _: None  # told before whoever waits for the line goes on

    async def append(self, line: Line, *, vital: bool = False) -> None:
        loop = asyncio.get_running_loop()
        on_record: asyncio.Future[None] = loop.create_future()
        loop.call_later(RECORD_SECONDS, self._write, written_out(line), on_record)
        await on_record

    def _write(self, line: bytes, on_record: asyncio.Future[None]) -> None:
        entry = Entry(now(), json.loads(line))
        self.entries.append(entry)
        if not on_record.done():
            on_record.set_result(None)
        self.on_entry(entry)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request under way, and whoever waits for its answer."""

    caller: FakeCaller
    answer: asyncio.Task[Answer]


@dataclass(slots=True)
class VirtualGateway:
    """A pipeline with one tenant of two nodes; made by `virtual_gateway`."""

    application: Application
    nodes: VirtualNodes
    settings: Settings
    turns: Turns
    keeper: MemoryKeeper
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    places: Places = field(default_factory=Places)
    asked: dict[str, Asked] = field(default_factory=dict)  # by request id, in order of arrival
    closing_seconds: float = 0.0  # how long the upstream waited for requests under way, when there were none
    pipeline: Pipeline = field(init=False)
    told: list[GuardEvent] = field(default_factory=list)
    _recording: Recording = field(init=False)
    _metrics: Metrics = field(init=False)
    _ticker: asyncio.TimerHandle = field(init=False)
    _transitions: asyncio.Queue[Transition] = field(default_factory=asyncio.Queue)
    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)

    def __post_init__(self) -> None:
        clock = asyncio.get_running_loop().time
        upstreams = open_upstreams(self.settings.tenants, connect=self._connect)
        for upstream in upstreams.values():
            upstream.on_transition = self._transitions.put_nowait
        feeds, authorities = Feeds.of(self.settings), own_authorities(self.settings, 8443)
        credentials = CredentialIndex(standings(Book(), self.settings.tenants))
        self._metrics = Metrics(self.settings.tenants, version="0")
        self._recording = Recording(self.journal, self._metrics, instance="virtual", now=now, clock=clock)
        self.pipeline = Pipeline(
            identity=Identity(self.settings, authorities, feeds, credentials, Failures(), LastUse(), clock),
            admission=Admission(Rates(), self.places, self.turns, clock),
            guarding=self._guarding(),
            forwarding=Forwarding(upstreams),
            recording=self._recording,
            body_seconds=self.settings.listen.body_seconds,
        )

    def _guarding(self) -> Guarding:
        guarding = Guarding(self.keeper, Directories(asyncio.get_running_loop().time))
        guarding.on_event = self.told.append
        return guarding

    def crash(self) -> None:
        """What the guard has not kept is lost, as by kill -9; nothing else is."""
        self.keeper = self.keeper.after_a_crash()
        self.pipeline = replace(self.pipeline, guarding=self._guarding())

    @property
    def record(self) -> list[Entry]:
        return self.journal.entries

    @property
    def transitions(self) -> list[tuple[str, str]]:
        """On record: a node and what it came to be."""
        notices = [entry.said["details"] for entry in self.record if entry.said.get("notice") == "node-state"]
        return [(str(each["node"]), str(each["after"])) for each in notices if isinstance(each, dict)]

    @property
    def statuses(self) -> Counter[int | None]:
        """Of all answers; None for those that nobody waited for."""
        return Counter(each.status for each in self.asked.values())

    def end(self, request_id: str) -> tuple[object, object]:
        """What is on record of a request: its outcome, and the reason if it was not answered by the application."""
        lines = [entry.said for entry in self.record if entry.said.get("request") == request_id]
        (said,) = [said for said in lines if said["event"] != "intent"]
        return said["outcome"], said.get("reason")

    def with_outcome(self, outcome: str) -> set[str]:
        """The ids of all writes that came to this, by the record."""
        return {
            str(entry.said["request"])
            for entry in self.record
            if entry.said.get("outcome") == outcome and entry.said.get("method") != "GET"
        }

    def leaks(self) -> list[str]:
        """What is held although nothing is under way."""
        ledger = self.keeper.ledger
        reservations = [] if ledger is None else [kind for kind, _, _ in ledger.rows() if kind == "flight"]
        held = {
            "turns": self.turns.held,
            "waiters for a turn": self.turns.waiting,
            "places": self.places.taken.total(),
            "reservations of the guard": len(reservations),
        }
        leaks = [f"{count} {what} leaked" for what, count in held.items() if count]
        return [*leaks, "the upstream is reserved"] if self.closing_seconds else leaks

    def broken_promises(self) -> list[str]:
        """Whatever does not fit together of what was asked, done, answered and put on record; nothing is under way."""
        return broken_promises(self.application, self.asked, self.record) + self.leaks()

    async def call(self, method: str, target: str, fields: Mapping[str, str], body: bytes) -> Answer:
        """As a client calls; one that is cancelled hangs up, and the gateway goes on as it sees fit."""
        visit = self.visit(method, target, fields, body)
        try:
            return await asyncio.shield(visit.answer)
        except asyncio.CancelledError:
            visit.caller.hang_up()
            raise

    def send(
        self,
        request_id: str,
        method: str,
        path: str,
        document: Mapping[str, object] | None = None,
        *,
        other_tenant: bool = False,
    ) -> Visit:
        """Begin a request; the path is what follows the tenant's."""
        body = b"" if document is None else json.dumps(document).encode()
        authorization, base = (OTHER_AUTHORIZATION, OTHER_PATH) if other_tenant else (AUTHORIZATION, PATH)
        fields = request_fields(authorization, has_body=bool(body)) | {"X-Request-Id": request_id}
        return self.visit(method, base + path, fields, body)

    def visit(self, method: str, target: str, fields: Mapping[str, str], body: bytes) -> Visit:
        """Begin a request with the id that it bears."""
        caller = FakeCaller(asyncio.get_running_loop().time(), body=body)
        request_id = fields["X-Request-Id"]
        asked = self.asked[request_id] = Asked(method, target, now())
        request = Request(
            id=RequestId(request_id),
            received_at=now(),
            address="198.51.100.7",
            method=method,
            target=target,
            version=(1, 1),
            fields=Fields((("Host", self.settings.gateway.public_host), *fields.items())),
            has_body=bool(body),
        )
        return Visit(caller, self._group.create_task(self._serve(request, caller, asked)))

    async def _serve(self, request: Request, caller: FakeCaller, asked: Asked) -> Answer:
        answer = await self.pipeline.serve(request, caller)
        asked.status, asked.answered_at = answer.status, now()
        return answer.status, dict(answer.fields), answer.body

    async def _connect(
        self, origin: Origin, make_protocol: Callable[[], UpstreamConnection], max_seconds: float
    ) -> UpstreamConnection:
        async with asyncio.timeout(max_seconds):
            _, protocol = await self.nodes.connect(make_protocol, origin.node)
        return protocol

    async def probe(self) -> None:
        """As an instance does; by a timer instead of a task, for it ticks a hundred thousand times in a day."""
        async with asyncio.TaskGroup() as probes:
            self._tick(probes)
            try:
                await asyncio.get_running_loop().create_future()  # until it is cancelled
            finally:
                self._ticker.cancel()

    def _tick(self, probes: asyncio.TaskGroup) -> None:
        for upstream in self.pipeline.forwarding.upstreams.values():
            for node in upstream.nodes_to_probe():
                probes.create_task(upstream.probe(node))
        self._ticker = asyncio.get_running_loop().call_later(PROBE_TICK_SECONDS, self._tick, probes)

    async def note_transitions(self) -> None:
        """As an instance does."""
        while True:
            change = await self._transitions.get()
            self._metrics.observe_transition(change.tenant_name, change.node, change.after)
            await self._recording.notice(
                "node-state",
                tenant=change.tenant_name,
                node=change.node,
                before=change.before,
                after=change.after,
                why=change.why,
            )


@asynccontextmanager
async def virtual_gateway(
    application: Application,
    *,
    limits: Mapping[str, float] | None = None,
    guard: Mapping[str, object] | None = None,
    turns: Turns | None = None,
    committed_share: float = 0.5,
    probes: bool = True,
) -> AsyncIterator[VirtualGateway]:
    """A gateway as long as the block lasts, and until what was asked of it has come to its end.

    `limits` and `guard` are the tenant's, where they are not to be the default; without `guard` there is none,
    and with it there is a second tenant, `wiki`, before the same application.
    Without `probes` days go by as fast as hours, for nodes that never fail.
    """
    random.seed(0)  # the breakers' pauses are jittered
    application.base_path = PATH
    the_tenant = tenant(
        upstream=[f"http://{node}" for node in NODES], limits=dict(limits or {}), guard=dict(guard or {"mode": "off"})
    )
    tenants = {"jira": the_tenant}
    if guard is not None:
        changes = {"path": OTHER_PATH, "upstream_path": PATH, "credentials": (_other_credential(),)}
        tenants["wiki"] = the_tenant.model_copy(update=changes)
    the_settings = settings(tenants={name: each.model_dump(mode="python") for name, each in tenants.items()})
    async with virtual_nodes(application, committed_share=committed_share) as nodes, asyncio.TaskGroup() as background:
        gateway = VirtualGateway(application, nodes, the_settings, turns or Turns(), MemoryKeeper())
        works = (gateway.note_transitions(), *((gateway.probe(),) if probes else ()))
        working = [background.create_task(work) for work in works]
        async with gateway._group:
            yield gateway
        await asyncio.sleep(1)  # the last notice is on record
        for task in working:
            task.cancel()
        began_at = asyncio.get_running_loop().time()
        await gateway.pipeline.forwarding.aclose()
        gateway.closing_seconds = asyncio.get_running_loop().time() - began_at


def _other_credential() -> Credential:
    return Credential(name="okta-wiki", token_sha256=sha256(OTHER_AUTHORIZATION.removeprefix("Bearer ")))


def played(
    application: Application,
    play: Callable[[VirtualGateway], Awaitable[T]],
    *,
    limits: Mapping[str, float] | None = None,
    guard: Mapping[str, object] | None = None,
    turns: Turns | None = None,
    committed_share: float = 0.5,
    probes: bool = True,
) -> tuple[T, VirtualGateway]:
    """Play something against a gateway, on a loop of its own: what came of it, and the gateway as it was left."""

    async def main() -> tuple[T, VirtualGateway]:
        options = virtual_gateway(
            application, limits=limits, guard=guard, turns=turns, committed_share=committed_share, probes=probes
        )
        async with options as gateway:
            result = await play(gateway)
        return result, gateway

    return run_virtually(main())
