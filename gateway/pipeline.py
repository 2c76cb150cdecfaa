"""The life of one request, top to bottom. Read this first.

The order below is a security property and therefore one function, never configuration: no byte of a
body is read before the caller is known, nothing leaves before it is understood as SCIM and allowed,
no write leaves before it is on record, and no answer before its outcome is.
docs/life-of-a-request.md tells the same story for people.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from gateway.caller import Caller
from gateway.exchange import Answer, Client, Delivery, Judgement, Operation, Request, Trail, Unparsed
from gateway.refusal import Reason, Refusal
from gateway.stages.admission import Admission, Ticket
from gateway.stages.forwarding import Forwarding, Upstream
from gateway.stages.guarding import Guarding
from gateway.stages.identity import Identity
from gateway.stages.inspection import inspect, survey
from gateway.stages.recording import Recording
from gateway.stages.reply import present, present_refusal, present_unparsed

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Held:
    """What a request holds while it is under way, and gives back when its outcome is on record."""

    ticket: Ticket | None = None
    upstream: Upstream | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, built from one immutable snapshot of the settings; a reload builds another pipeline."""

    identity: Identity
    admission: Admission
    guarding: Guarding
    forwarding: Forwarding
    recording: Recording
    body_seconds: float  # a body arrives within this time
    settings: str = ""  # the digest of the snapshot, for the record

    async def serve(self, request: Request, caller: Caller) -> Answer:
        """Answer one request. Its outcome is on record before this returns; never raises a Refusal."""
        trail = Trail(request, settings=self.settings)
        held = Held()
        try:
            answer = await self._carry(request, caller, trail, held)
        except Refusal as refusal:
            trail.refusal = refusal
            trail.wave_waits = self.guarding.wave_waits(trail.tenant_name)
            answer = present_refusal(refusal, trail)
        except asyncio.CancelledError:
            trail.refusal = Refusal(Reason.STOPPING, note="cut short while the gateway stopped")
            await asyncio.shield(self._conclude(trail, held, present_refusal(trail.refusal, trail)))
            raise
        except Exception as error:
            log.exception("request %s failed inside the gateway", request.id)
            trail.refusal = Refusal(Reason.GATEWAY_FAULT, note=type(error).__name__)
            answer = present_refusal(trail.refusal, trail)
        return await self._conclude(trail, held, answer)

    async def refuse_unparsed(self, unparsed: Unparsed) -> Answer:
        """Answer bytes that never became a request, and put them on record: the pipeline's second door."""
        await self.recording.record_unparsed(unparsed)
        return present_unparsed(unparsed)

    async def _carry(self, request: Request, caller: Caller, trail: Trail, held: Held) -> Answer:
        trail.enter("identify", time.perf_counter())
        place = self.identity.locate(request)
        trail.tenant_name, trail.tenant = place.tenant_name, place.tenant
        trail.client = client = await self.identity.identify(request, place)
        held.ticket = await self.admission.admit(client)
        held.upstream = self.forwarding.reserve(client)
        trail.enter("inspect", time.perf_counter())
        outline = survey(request, client)
        body = b""
        if outline.has_body:
            trail.enter("read", time.perf_counter())
            body = await caller.read_body(client.tenant.limits.max_body_bytes, self.body_seconds)
            trail.body_bytes = len(body)
            trail.enter("inspect", time.perf_counter())
        trail.operation = operation = inspect(outline, body, request, client)
        if operation.writes:
            trail.enter("turn", time.perf_counter())
            await self.admission.take_turn(held.ticket, operation, client, caller)
            trail.enter("guard", time.perf_counter())
            trail.judgement = await self._judge(operation, client, request, caller, held.ticket)
            if trail.judgement is not None and (refusal := trail.judgement.refusal()) is not None:
                raise refusal
            trail.enter("record", time.perf_counter())
            await self.recording.record_intent(trail)
        trail.enter("forward", time.perf_counter())
        trail.delivery = delivery = await self.forwarding.forward(operation, client, request.id, caller)
        trail.enter("present", time.perf_counter())
        return present(delivery, operation, trail)

    async def _judge(
        self, operation: Operation, client: Client, request: Request, caller: Caller, ticket: Ticket
    ) -> Judgement | None:
        async def ask(target: str) -> Delivery:
            return await self.forwarding.ask(client.tenant_name, target, request.id, caller)

        return await self.guarding.weigh(operation, client, ticket.turn, request.id, ask)

    async def _conclude(self, trail: Trail, held: Held, answer: Answer) -> Answer:
        """Put the outcome on record, and let the next one in; an answer that cannot be recorded is not given."""
        trail.answer = answer
        trail.enter("record", time.perf_counter())
        try:
            await self.recording.record_outcome(trail)
        except Refusal as refusal:
            trail.refusal = refusal
            trail.answer = present_refusal(refusal, trail)
        finally:
            trail.enter("", time.perf_counter())
            try:
                self.recording.observe(trail)
                if trail.judgement is not None:
                    self.guarding.settle(trail)
            finally:  # or nobody would ever write to that resource again
                if held.upstream is not None:
                    held.upstream.release()
                if held.ticket is not None:
                    await self.admission.leave(held.ticket)
        return trail.answer
