"""One node of an upstream: its connections, its breaker, its health, and one attempt at asking it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from gateway.caller import Caller, patience
from gateway.exchange import Attempt, Stage
from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding import breaker
from gateway.stages.forwarding.answers import WireAnswer
from gateway.stages.forwarding.connection import Lost, UpstreamConnection
from gateway.stages.forwarding.failures import explain
from gateway.stages.forwarding.health import Health
from gateway.stages.forwarding.pool import Connect, Origin, Pool, connect_tcp
from gateway.state.queues import Queue

CONNECT_SECONDS = 5.0  # name, TCP and TLS together; a node that needs longer is as good as gone


@dataclass(frozen=True, slots=True)
class Limits:
    """What one node may be asked for, and how long it may take."""

    connections: int
    max_answer_bytes: int
    first_byte_seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One attempt, and either the answer as it came, or the reason why there is none."""

    attempt: Attempt
    answer: WireAnswer | None
    reason: Reason | None = None
    stale: bool = False  # it met a connection that its peer had given up: no fault, and worth a fresh one


class Node:
    """One node. To be made inside the running loop."""

    def __init__(self, origin: Origin, limits: Limits, *, fingerprint: object, connect: Connect = connect_tcp) -> None:
        """`fingerprint` is all that the node depends on: a reload keeps a node whose is the same."""
        self.origin, self.limits, self.fingerprint = origin, limits, fingerprint
        self.name = origin.node  # host:port, for records and metrics
        # Written by the upstream that owns it:
        self.owner: object = None
        self.drained = False
        self.breaker = breaker.Breaker()
        self.health = Health()
        self.probe_at = 0.0  # loop seconds
        self.is_probed = False
        self.pool = Pool(origin, connect=connect)
        self._loop = asyncio.get_running_loop()
        self._free = limits.connections
        self._waiting = Queue()

    @property
    def state(self) -> breaker.State:
        return breaker.State.DRAINED if self.drained else self.breaker.state

    @property
    def admits(self) -> bool:
        """Whether a request may be sent now."""
        return not self.drained and self.breaker.admits

    async def ask(
        self, request: bytes, caller: Caller, *, latest_start: float, until: float, is_read: bool = False
    ) -> Asked:
        """Send a request once, over a free connection; never raises for the node's faults. Moments are loop seconds.

        It is not begun after `latest_start`, nor when its caller has hung up; once begun, it runs to its end. A read
        (GET) needs no proof that nobody saw it before it goes over a fresh connection, and is given up early, for
        another node may answer it; a write is waited for as long as there is time, for nobody else may have it.
        """
        started, stage, connection = time.perf_counter(), Stage.NOT_SENT, None
        try:
            await self._take_place(caller, latest_start)
            try:
                if self.drained or self.breaker.state is breaker.State.OPEN:
                    raise Refusal(Reason.UPSTREAM_UNREACHABLE, note="it went out of service meanwhile")
                connection = self.pool.take() or await self._connect(caller, latest_start)
                if not connection.was_used and self.origin.tls is None and not connection.is_fit():
                    connection.abort()  # TLS has words of its own to say before any answer
                    raise Refusal(Reason.UPSTREAM_BROKEN, note="it spoke, or hung up, before anything was sent")
                self._check_may_begin(connection, caller, latest_start)
                stage = Stage.SENT
                answer = await connection.ask(
                    request,
                    self.limits.max_answer_bytes,
                    self._loop.time() + self.limits.first_byte_seconds if is_read else until,
                    until,
                    proof=not is_read,
                )
                self.pool.give_back(connection)
            finally:
                self._give_place_back()
        except (Refusal, Lost, OSError) as error:
            if isinstance(error, Lost) and error.unsent:
                stage = Stage.NOT_SENT
            safe = isinstance(error, Lost) and (error.unsent or is_read)
            stale = safe and connection is not None and connection.was_used
            return replace(self._failed(started, stage, error), stale=stale)
        return Asked(self._attempt(started, Stage.ANSWERED, answer.status, ""), answer)

    async def ask_without_a_place(self, request: bytes, within_seconds: float) -> Asked:
        """Probe over a connection of its own: no client's request waits for it, nor it for theirs."""
        started, stage = time.perf_counter(), Stage.NOT_SENT
        until = self._loop.time() + within_seconds
        try:
            connection = await self.pool.connect(min(within_seconds, CONNECT_SECONDS))
            stage = Stage.SENT
            answer = await connection.ask(request, self.limits.max_answer_bytes, until, until)
            connection.abort()
        except (Refusal, Lost, OSError) as error:
            return self._failed(started, stage, error)
        return Asked(self._attempt(started, Stage.ANSWERED, answer.status, ""), answer)

    def _failed(self, started: float, stage: Stage, error: Refusal | Lost | OSError) -> Asked:
        if isinstance(error, Refusal):
            return Asked(self._attempt(started, stage, None, error.note), None, error.reason)
        reason, note = explain(error, stage)
        return Asked(self._attempt(started, stage, None, note), None, reason)

    def _attempt(self, started: float, stage: Stage, status: int | None, note: str) -> Attempt:
        return Attempt(self.name, time.perf_counter() - started, stage, status, note)

    def _check_may_begin(self, connection: UpstreamConnection, caller: Caller, latest_start: float) -> None:
        if not caller.is_gone and self._loop.time() <= latest_start:
            return
        connection.abort()
        if caller.is_gone:
            raise Refusal(Reason.CLIENT_GONE, note="before anything was sent")
        raise Refusal(Reason.QUEUE_TIMEOUT, note="too little time was left to begin")

    async def _connect(self, caller: Caller, latest_start: float) -> UpstreamConnection:
        async with patience(caller, latest_start, "a connection"):
            return await self.pool.connect(CONNECT_SECONDS)

    async def _take_place(self, caller: Caller, until: float) -> None:
        """Wait for one of the node's places, in order of arrival."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        async with patience(caller, until, "a free connection"):
            await self._waiting.wait(self._give_place_back)

    def turn_waiting_away(self) -> None:
        """The node is out of service: whoever waits for a place looks for another node now."""
        while self._waiting.admit_next():
            self._free -= 1  # each gives a place back that it never had

    def _give_place_back(self) -> None:
        if not self._waiting.admit_next():
            self._free += 1
