"""Every metric, in one place. Requests are told by their trail alone, so metrics and audit log cannot disagree.

Labels are bounded, whatever strangers send: tenants and credentials come from the settings, reasons and codes
from closed lists, operations and resources from what was understood. No user, path, network address or token
is ever a label; "none" stands for what is not known, "other" for what is too much. The one exception is an exemplar
of a duration, which names a request by our own id (`trace_id`) and makes no series.

What an alert waits for begins at 0: Prometheus sees no increase in a counter that comes into being as 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from math import inf
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics

from gateway.exchange import Delivery, Outcome, Stage, Trail, Unparsed
from gateway.metrics.families import PREFIX, Families, Family
from gateway.metrics.gauges import NODE_STATES, Gauges
from gateway.refusal import Reason

__all__ = ["NODE_STATES", "PREFIX", "Family", "Metrics"]

NONE = "none"
OTHER = "other"
OPENMETRICS = "application/openmetrics-text"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # a client waits 60 s at most
_OWN_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 5)
_BYTES = (256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216)
_CODES = {status.value: str(status.value) for status in HTTPStatus} | {499: "499"}
_AUTHENTICATION = ("source-forbidden", "too-many-failures")
_AUTHENTICATIONS = (
    "accepted", *(r.slug for r in Reason if r.slug.startswith("credential-") or r.slug in _AUTHENTICATION)
)  # fmt: skip
_RATE_LIMIT = frozenset({"rate-exceeded", "no-place"})
_EVENTS = ("intent", "outcome", "refusal", "unparsed", "connection", "notice", "interrupted", "suppressed")

_Followed = Literal["connections_rejected", "proxy_headers", "tls_handshakes", "tls_reloads", "webhook_events"]

# Else each counter and histogram comes with a second series that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's omission


class Metrics:
    """The metrics of one instance, in a registry of their own.

    Those that every request adds to are `collectors` of our own; `gauges` are the library's, and others set them.
    """

    def __init__(self, tenants: Iterable[str], *, version: str, max_kinds: int = 10_000) -> None:
        """At most `max_kinds` kinds of requests are told apart; no honest client comes near."""
        self._max_kinds = max_kinds
        self._tenants: frozenset[str] = frozenset()
        self._kinds: set[tuple[str, str, str, str]] = set()  # tenant, resource, operation, code
        self._credentials: frozenset[tuple[str, str]] = frozenset()
        self._last_uses: dict[tuple[str, str], float] = {}  # shown when the metrics are asked for
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        Info("build", "The version that runs.", namespace=PREFIX, registry=self._registry).info({"version": version})
        self._families = families = Families(self._registry)
        self._count_requests(families)
        self._count_callers(families)
        self._count_upstream(families)
        self._count_records(families)
        self._count_instance(families)
        self.gauges = Gauges(families)
        self._begin_at_zero(tenants)

    @property
    def families(self) -> tuple[Family, ...]:
        """What each family of ours is, in the order of their making; without build_info and those of the process."""
        return tuple(self._families.made)

    def set_credentials(self, expiries: Mapping[tuple[str, str], float | None], tenants: Iterable[str]) -> None:
        """What the settings say now: the tenants; and their credentials, as `show_credentials` takes them.

        Forgets what is gone, so that no alert waits for it; counters of what is gone stay. Whoever calls sets the
        gauges of what is there before anybody can ask for them.
        """
        self._begin_at_zero(tenants)
        self.gauges.forget_the_settings()
        self.show_credentials(expiries)

    def show_credentials(self, expiries: Mapping[tuple[str, str], float | None]) -> None:
        """When each (tenant, credential) ends (Unix seconds; None: never). One that is gone is forgotten."""
        gauges = self.gauges
        gauges.credential_expiry.clear()
        for names, expiry in expiries.items():
            gauges.credential_expiry.labels(*names).set(inf if expiry is None else expiry)
        for names in self._credentials - expiries.keys():
            gauges.credential_last_used.remove(*names)
            self._last_uses.pop(names, None)
        self._credentials = frozenset(expiries)

    @property
    def requests(self) -> Mapping[tuple[str, ...], int]:
        """How many there were, by tenant, resource, operation and code."""
        return self._requests

    def recall_uses(self, uses: Mapping[tuple[str, str], float]) -> None:
        """When credentials were used last (Unix seconds), by tenant and name: also before the start."""
        self._last_uses.update(uses)

    def follow(self, name: _Followed, counts: Mapping[str, int]) -> None:
        """Show a counter that somebody else keeps, by label value; its keys must come from a closed list."""
        self._followed[name].counts = counts

    def observe(self, trail: Trail) -> None:
        """Count a request that has its answer."""
        tenant = self._tenant(trail.tenant_name)
        kind = self._kind(trail, tenant)
        seconds = sum(trail.seconds.values())
        waited_seconds = trail.seconds.get("read", 0.0)  # for the client
        self._requests[kind] += 1
        self._duration.of[kind[1:3]].observe_request(seconds, trail.request.id, trail.request.received_at + seconds)
        if trail.delivery:
            waited_seconds += sum(attempt.seconds for attempt in trail.delivery.attempts)
            self._observe_delivery(trail, trail.delivery, tenant)
        self._overhead.of[()].observe(max(0.0, seconds - waited_seconds))
        self._request_bytes.of[()].observe(trail.body_bytes)
        if trail.answer:
            self._response_bytes.of[()].observe(len(trail.answer.body))
        if trail.judgement is not None:
            self._guard_decisions[tenant, trail.judgement.loss or NONE, trail.judgement.verdict.value] += 1
        if trail.operation and trail.operation.writes and trail.outcome is Outcome.UNKNOWN:
            self._outcome_unknown[tenant,] += 1
        self._observe_caller(trail, tenant, trail.reason)

    def observe_unparsed(self, unparsed: Unparsed) -> None:
        """Count bytes that never became a request."""
        self._requests[NONE, NONE, NONE, _code(unparsed.reason.status)] += 1
        self._rejected[unparsed.reason.slug,] += 1

    def observe_record(self, event: str, *, written: bool, seconds: float) -> None:
        """Count an event that was to go on record; `event` as in the audit log's lines."""
        self._audit_events[event, "written" if written else "failed"] += 1
        self._audit_write.of[()].observe(seconds)

    def observe_suppressed(self) -> None:
        """Count a stranger's refusal or connection that gets no line of its own in the audit log."""
        self._suppressed[()] += 1

    def observe_lag(self, seconds: float) -> None:
        """Count how late the event loop came to something that was due."""
        self._lag.of[()].observe(seconds)

    def observe_transition(self, tenant: str, node: str, state: str) -> None:
        """A node of an upstream came to a state, or became the primary."""
        if state in NODE_STATES:
            self._transitions[tenant, node, state] += 1
        else:
            self._moves[tenant, node] += 1

    def show_sink(self, name: str, counts: Mapping[str, int], *, lag_lines: int, oldest_seconds: float) -> None:
        """How far a way out of the audit log is; `counts` by result, from a closed list."""
        for result, count in counts.items():
            self._sink_events[name, result] = count
        self.gauges.sink_lag.labels(name).set(lag_lines)
        self.gauges.sink_oldest.labels(name).set(oldest_seconds)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics and their media type: OpenMetrics, with exemplars, for who says so; else Prometheus's format."""
        for names, used_at in self._last_uses.items():
            if self._credentials and names not in self._credentials:
                continue  # by a request that was under way when a reload took the credential away
            self.gauges.credential_last_used.labels(*names).set(used_at)
        if OPENMETRICS in accept:
            body = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]  # the library's omission
            return body, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def _begin_at_zero(self, tenants: Iterable[str]) -> None:
        self._tenants |= frozenset(tenants)
        for tenant in self._tenants:
            for counts in (self._failed, self._outcome_unknown):
                counts[tenant,] += 0
            for stage in Stage:
                self._retries[tenant, stage.value] += 0
            for result in _AUTHENTICATIONS:
                self._authentications[tenant, result] += 0

    def _tenant(self, name: str | None) -> str:
        if name is None:
            return NONE
        return name if name in self._tenants else OTHER

    def _kind(self, trail: Trail, tenant: str) -> tuple[str, str, str, str]:
        operation = trail.operation
        resource, name = (operation.address.endpoint or "root", operation.name) if operation else (NONE, NONE)
        kind = (tenant, resource, name, _code(trail.answer.status) if trail.answer else NONE)
        if kind in self._kinds:
            return kind
        if len(self._kinds) >= self._max_kinds:
            return (OTHER, OTHER, OTHER, OTHER)
        self._kinds.add(kind)
        return kind

    def _observe_caller(self, trail: Trail, tenant: str, reason: Reason | None) -> None:
        slug = reason.slug if reason else ""
        if slug:
            self._rejected[slug,] += 1
        if trail.client:
            self._authentications[tenant, "accepted"] += 1
            self._rate_limits[tenant, slug if slug in _RATE_LIMIT else "admitted"] += 1
            self._last_uses[tenant, trail.client.credential] = trail.request.received_at
            if _let_down(trail, reason):
                self._failed[tenant,] += 1
        elif slug in _AUTHENTICATIONS:
            self._authentications[tenant, slug] += 1

    def _observe_delivery(self, trail: Trail, delivery: Delivery, tenant: str) -> None:
        for number, attempt in enumerate(delivery.attempts):
            code = attempt.stage.value if attempt.status is None else _code(attempt.status)
            self._upstream_requests[tenant, code] += 1
            self._upstream_duration.of[tenant,].observe_request(
                attempt.seconds, trail.request.id, trail.request.received_at + attempt.seconds
            )
            if number:
                self._retries[tenant, delivery.attempts[number - 1].stage.value] += 1

    def _count_requests(self, families: Families) -> None:
        self._requests = families.tally(
            "requests",
            "Requests by what they asked for and were answered.",
            ("tenant", "resource", "operation", "code"),
        )
        self._failed = families.tally(
            "requests_failed",
            "Requests of a known client that failed through no fault of its own; without those that the guard holds.",
            ("tenant",),
        )
        self._duration = families.spread(
            "request_duration_seconds",
            "Time from a request's head to its answer.",
            _SECONDS,
            ("resource", "operation"),
        )
        self._overhead = families.spread(
            "request_overhead_seconds",
            "The gateway's own share of a request's time: without waiting for the client's body or the upstream.",
            _OWN_SECONDS,
        )
        self._request_bytes = families.spread("request_size_bytes", "Size of a request's body.", _BYTES)
        self._response_bytes = families.spread("response_size_bytes", "Size of an answer's body.", _BYTES)

    def _count_callers(self, families: Families) -> None:
        self._rejected = families.tally(
            "requests_rejected",
            "Requests that did not get what they asked for, by reason (docs/refusals.md).",
            ("reason",),
        )
        for reason in Reason:
            self._rejected[reason.slug,] = 0
        self._authentications = families.tally(
            "auth_attempts", "Authentications by result: accepted, or the reason why not.", ("tenant", "result")
        )
        self._rate_limits = families.tally(
            "ratelimit_decisions",
            "Decisions on a tenant's limits: admitted, rate-exceeded, no-place.",
            ("tenant", "decision"),
        )
        self._guard_decisions = families.tally(
            "guard_decisions",
            "Writes that the guard weighed, by how they take access and what it said of them.",
            ("tenant", "loss", "verdict"),
        )

    def _count_upstream(self, families: Families) -> None:
        self._upstream_requests = families.tally(
            "upstream_requests",
            "Attempts at the upstream by its status, or how far they came: not-sent, sent (and then no answer).",
            ("tenant", "code"),
        )
        self._upstream_duration = families.spread(
            "upstream_request_duration_seconds", "Time an attempt at the upstream took.", _SECONDS, ("tenant",)
        )
        self._retries = families.tally(
            "upstream_retries",
            "Attempts after a first one, by how far the one before came: not-sent, sent, answered.",
            ("tenant", "after"),
        )
        self._transitions = families.tally(
            "upstream_node_transitions",
            "Changes of a node's state, by the state that it came to.",
            ("tenant", "node", "state"),
        )
        self._moves = families.tally(
            "upstream_primary_changes",
            "How often a node took over as the one that gets the requests.",
            ("tenant", "node"),
        )
        self._outcome_unknown = families.tally(
            "upstream_outcome_unknown",
            "Writes that were sent and of which nobody knows whether the upstream executed them.",
            ("tenant",),
        )

    def _count_records(self, families: Families) -> None:
        self._audit_events = families.tally(
            "audit_events", "Events for the audit log: written, or failed to be.", ("event", "result")
        )
        for event in _EVENTS:
            self._audit_events[event, "failed"] = 0
        self._audit_write = families.spread(
            "audit_write_duration_seconds", "Time until an event was on disk for good, or given up.", _OWN_SECONDS
        )
        self._suppressed = families.tally(
            "strangers_suppressed", "Refusals and connections of strangers that are in the audit log as a count only."
        )
        self._suppressed[()] = 0
        self._sink_events = families.tally(
            "audit_sink_events",
            "Lines of the audit log by sink: sent (also once more), or gone from the disk before they could be.",
            ("sink", "result"),
        )

    def _count_instance(self, families: Families) -> None:
        self._lag = families.spread(
            "event_loop_lag_seconds", "How late the event loop came to what was due, once a second.", _OWN_SECONDS
        )
        self._followed = {
            "connections_rejected": families.followed(
                "connections_rejected", "Connections that were closed at once, by reason.", "reason"
            ),
            "proxy_headers": families.followed(
                "proxy_headers",
                "Connections by their PROXY header: proxied, local, none at all, or what was wrong.",
                "result",
            ),
            "tls_handshakes": families.followed(
                "tls_handshakes", "TLS handshakes by result: ok, or what went wrong.", "result"
            ),
            "tls_reloads": families.followed(
                "tls_reloads",
                "Changed certificates of [listen] that were taken, or refused (and the old one kept).",
                "result",
            ),
            "webhook_events": families.followed(
                "webhook_events", "Events for the webhook: delivered, failed, dropped.", "result"
            ),
        }


def _let_down(trail: Trail, reason: Reason | None) -> bool:
    """Whether a client that did nothing wrong has to come back or give up, and no person is asked to decide on it."""
    if reason is not None:
        return reason.unavailable and not reason.waits_for_a_person
    return trail.answer is not None and trail.answer.status >= 500


def _code(status: int) -> str:
    return _CODES.get(status, OTHER)
