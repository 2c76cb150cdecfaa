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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.exchange import Answer, ReadBody, Request, Trail, Unparsed
from gateway.refusal import Reason, Refusal
from gateway.stages.admission import Admission
from gateway.stages.forwarding import Forwarding
from gateway.stages.identity import Identity
from gateway.stages.inspection import inspect, survey
from gateway.stages.recording import Recording
from gateway.stages.reply import present, present_refusal, present_unparsed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, built from one immutable snapshot of the settings; a reload builds another pipeline."""

    identity: Identity
    admission: Admission
    forwarding: Forwarding
    recording: Recording
    body_seconds: float  # a body arrives within this time

    async def serve(self, request: Request, read_body: ReadBody) -> Answer:
        """Answer one request. Its outcome is on record before this returns; never raises a Refusal."""
        trail = Trail(request)
        try:
            answer = await self._carry(request, read_body, trail)
        except Refusal as refusal:
            trail.refusal = refusal
            answer = present_refusal(refusal, trail)
        except asyncio.CancelledError:
            trail.refusal = Refusal(Reason.STOPPING, note="cut short while the gateway stopped")
            await asyncio.shield(self._conclude(trail, present_refusal(trail.refusal, trail)))
            raise
        except Exception as error:
            log.exception("request %s failed inside the gateway", request.id)
            trail.refusal = Refusal(Reason.GATEWAY_FAULT, note=type(error).__name__)
            answer = present_refusal(trail.refusal, trail)
        return await asyncio.shield(self._conclude(trail, answer))

    async def refuse_unparsed(self, unparsed: Unparsed) -> Answer:
        """Answer bytes that never became a request, and put them on record: the pipeline's second door."""
        await self.recording.record_unparsed(unparsed)
        return present_unparsed(unparsed)

    async def _carry(self, request: Request, read_body: ReadBody, trail: Trail) -> Answer:
        with _timed(trail, "identify"):
            place = self.identity.locate(request)
            trail.tenant_name, trail.tenant = place.tenant_name, place.tenant
            trail.client = client = await self.identity.identify(request, place)
        async with self.admission.admit(client), self.forwarding.reserve(client):
            with _timed(trail, "inspect"):
                outline = survey(request, client)
            body = b""
            if outline.has_body:
                with _timed(trail, "read"):
                    body = await read_body(client.tenant.limits.max_body_bytes, self.body_seconds)
            trail.body_bytes = len(body)
            with _timed(trail, "inspect"):
                trail.operation = operation = inspect(outline, body, request, client)
            if operation.writes:
                with _timed(trail, "record"):
                    await self.recording.record_intent(trail)
            with _timed(trail, "forward"):
                trail.delivery = delivery = await self.forwarding.forward(operation, client, request)
        return present(delivery, operation, trail)

    async def _conclude(self, trail: Trail, answer: Answer) -> Answer:
        """Put the outcome on record; an answer that cannot be recorded is not given."""
        trail.answer = answer
        try:
            with _timed(trail, "record"):
                await self.recording.record_outcome(trail)
        except Refusal as refusal:
            trail.refusal = refusal
            trail.answer = present_refusal(refusal, trail)
        self.recording.observe(trail)
        return trail.answer


@contextmanager
def _timed(trail: Trail, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        trail.seconds[stage] = trail.seconds.get(stage, 0.0) + time.perf_counter() - started
