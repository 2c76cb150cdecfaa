"""Whether a node serves, from what real requests met and what probes found. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.refusal import Reason
from gateway.stages.forwarding.answers import is_scim
from gateway.wire.fields import Fields

FRESH_SECONDS = 1.0  # so exactly is it known when a request was last answered
SERVED_SECONDS = 60.0  # for so long after it answered a real request no probe speaks against it

# It answered; what is wrong concerns one request, or our haste.
_STILL_SERVES = (Reason.UPSTREAM_BUSY, Reason.UPSTREAM_TOO_LARGE)
_OF_NO_NODE = (Reason.CLIENT_GONE, Reason.QUEUE_TIMEOUT)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe found. Reachable: any complete answer. Healthy: one that a SCIM service gives to a stranger."""

    reachable: bool
    healthy: bool
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a node. `healthy` is None until anything is."""

    healthy: bool | None = None
    known_at: float = 0.0  # Unix seconds
    served_at: float | None = None  # Unix seconds: when a real request was last answered
    note: str = ""


def probe_problem(status: int, fields: Fields, body: bytes) -> str:
    """What speaks against an upstream that gave this answer to a question without a credential; "" for nothing.

    Kantega SSO answers 401 with a SCIM error; a service without authentication gives a list.
    """
    if not is_scim(fields, body):
        return f"status {status}, and not SCIM"
    return "" if status in (401, 403, 429) or 200 <= status <= 299 else f"status {status}"


def after_request(health: Health, reason: Reason | None, note: str, now: float) -> Health:
    """A real request's outcome always counts, whatever a probe said before; None: it was answered well."""
    if reason is not None and reason in _OF_NO_NODE:
        return health
    if reason is None or reason in _STILL_SERVES:
        fresh = health.healthy and health.served_at is not None and 0 <= now - health.served_at < FRESH_SECONDS
        return health if fresh else Health(True, now, now)
    return Health(False, now, health.served_at, f"{reason.slug}: {note}")


def after_probe(health: Health, probe: ProbeResult, now: float) -> Health:
    """A probe alone never speaks against an upstream that answered a real request just now."""
    serves = health.healthy and health.served_at is not None and now - health.served_at < SERVED_SECONDS
    if serves and not probe.healthy:
        return health
    if probe.healthy and not health.healthy and health.note.startswith(Reason.UPSTREAM_CREDENTIAL.slug):
        return health  # a probe bears no credential: it cannot know that ours is accepted again
    return Health(probe.healthy, now, health.served_at, probe.note)
