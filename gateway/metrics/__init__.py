"""Every metric, in one place. Requests are told by their trail alone, so metrics and audit log cannot disagree.

Labels are bounded, whatever strangers send: tenants and credentials come from the settings, reasons and codes
from closed lists, operations and resources from what was understood. No user, path, network address or token
is ever a label; "none" stands for what is not known, "other" for what is too much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway.exchange import Delivery, Outcome, Trail, Unparsed
from gateway.metrics.collectors import FollowedTally, Spread, Tally

PREFIX = "scim_gateway"
NODE_STATES = ("in-service", "out-of-service", "on-trial", "drained")
NONE = "none"
OTHER = "other"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # a client waits 60 s at most
_OWN_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 5)
_BYTES = (256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216)
_CODES = {status.value: str(status.value) for status in HTTPStatus} | {499: "499"}
_AUTHENTICATION = frozenset({"source-forbidden", "too-many-failures"})
_RATE_LIMIT = frozenset({"rate-exceeded", "no-place"})

_TALLIES = {
    "connections_rejected": ("reason", "Connections that were closed at once, by reason."),
    "proxy_headers": ("result", "Connections by their PROXY header: proxied, local, none at all, or what was wrong."),
    "tls_handshakes": ("result", "TLS handshakes by result: ok, or what went wrong."),
    "tls_reloads": ("result", "Changed certificates that were taken, or refused (and the old one kept)."),
}

# Else each counter and histogram comes with a second series that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's omission


class Metrics:
    """The metrics of one instance, in a registry of their own. The public attributes are gauges that others set.

    Those that every request adds to are `collectors` of our own; the rest are the library's.
    """

    def __init__(self, tenants: Iterable[str], *, version: str, max_kinds: int = 10_000) -> None:
        """At most `max_kinds` kinds of requests are told apart; no honest client comes near."""
        self._max_kinds = max_kinds
        self._tenants = frozenset(tenants)
        self._kinds: set[tuple[str, str, str, str]] = set()  # tenant, resource, operation, code
        self._credentials: frozenset[tuple[str, str]] = frozenset()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        Info("build", "The version that runs.", namespace=PREFIX, registry=registry).info({"version": version})
        self._count_requests(registry)
        self._count_guard(registry)
        self._count_upstream(registry)
        self._count_records(registry)
        self._gauge_tenants(registry)
        self._gauge_instance(registry)

    def set_credentials(self, expiries: Mapping[tuple[str, str], float | None], tenants: Iterable[str]) -> None:
        """What the settings say now: the tenants; and their credentials, as `show_credentials` takes them.

        Forgets nodes that are gone, so that no alert waits for one; counters of what is gone stay.
        """
        self._tenants |= frozenset(tenants)
        for of_the_settings in (self._node_state, self._node_primary, self.upstream_up):
            of_the_settings.clear()  # what is gone shall not be shown; the rest is, within a second
        self.show_credentials(expiries)

    def show_credentials(self, expiries: Mapping[tuple[str, str], float | None]) -> None:
        """When each (tenant, credential) ends (Unix seconds; None: never). One that is gone is forgotten."""
        self._credential_expiry.clear()
        for names, expiry in expiries.items():
            if expiry is not None:
                self._credential_expiry.labels(*names).set(expiry)
        for names in self._credentials - expiries.keys():
            self._credential_last_used.remove(*names)
            self._last_uses.pop(names, None)
        self._credentials = frozenset(expiries)

    @property
    def requests(self) -> Mapping[tuple[str, ...], int]:
        """How many there were, by tenant, resource, operation and code."""
        return self._requests

    def recall_uses(self, uses: Mapping[tuple[str, str], float]) -> None:
        """When credentials were used last (Unix seconds), by tenant and name: also before the start."""
        self._last_uses.update(uses)

    def follow(
        self,
        name: Literal["connections_rejected", "proxy_headers", "tls_handshakes", "tls_reloads"],
        counts: Mapping[str, int],
    ) -> None:
        """Show a counter that somebody else keeps, by label value; its keys must come from a closed list."""
        label, documentation = _TALLIES[name]
        self._registry.register(FollowedTally(f"{PREFIX}_{name}", documentation, label, counts))

    def observe(self, trail: Trail) -> None:
        """Count a request that has its answer."""
        tenant = self._tenant(trail.tenant_name)
        kind = self._kind(trail, tenant)
        seconds = sum(trail.seconds.values())
        waited_seconds = trail.seconds.get("read", 0.0)  # for the client
        self._requests[kind] += 1
        self._duration.of[kind[1:3]].observe(seconds)
        if trail.delivery:
            waited_seconds += sum(attempt.seconds for attempt in trail.delivery.attempts)
            self._observe_delivery(trail, trail.delivery, tenant)
        self._overhead.of[()].observe(max(0.0, seconds - waited_seconds))
        self._request_bytes.of[()].observe(trail.body_bytes)
        if trail.answer:
            self._response_bytes.of[()].observe(len(trail.answer.body))
        if trail.judgement is not None:
            self._guard_decisions[tenant, trail.judgement.loss or NONE, trail.judgement.verdict.value] += 1
        self._observe_caller(trail, tenant, trail.reason.slug if trail.reason else "")

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

    def render(self) -> tuple[bytes, str]:
        """The metrics in Prometheus's text format, and its media type."""
        for names, used_at in self._last_uses.items():
            if self._credentials and names not in self._credentials:
                continue  # by a request that was under way when a reload took the credential away
            self._credential_last_used.labels(*names).set(used_at)
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def observe_transition(self, tenant: str, node: str, state: str) -> None:
        """A node of an upstream came to a state, or became the primary."""
        if state in NODE_STATES:
            self._transitions[tenant, node, state] += 1
        else:
            self._moves[tenant, node] += 1

    def show_node(self, tenant: str, node: str, state: str, *, is_primary: bool) -> None:
        """What a node is now."""
        for known in NODE_STATES:
            self._node_state.labels(tenant, node, known).set(known == state)
        self._node_primary.labels(tenant, node).set(is_primary)

    def show_sink(self, name: str, counts: Mapping[str, int], *, lag_lines: int, oldest_seconds: float) -> None:
        """How far a way out of the audit log is; `counts` by result, from a closed list."""
        for result, count in counts.items():
            self._sink_events[name, result] = count
        self._sink_lag.labels(name).set(lag_lines)
        self._sink_oldest.labels(name).set(oldest_seconds)

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

    def _observe_caller(self, trail: Trail, tenant: str, slug: str) -> None:
        if slug:
            self._rejected[slug,] += 1
        if trail.client:
            self._authentications[tenant, "accepted"] += 1
            self._rate_limits[tenant, slug if slug in _RATE_LIMIT else "admitted"] += 1
            self._last_uses[tenant, trail.client.credential] = trail.request.received_at
        elif slug.startswith("credential-") or slug in _AUTHENTICATION:
            self._authentications[tenant, slug] += 1

    def _observe_delivery(self, trail: Trail, delivery: Delivery, tenant: str) -> None:
        for attempt in delivery.attempts:
            code = attempt.stage.value if attempt.status is None else _code(attempt.status)
            self._upstream_requests[tenant, code] += 1
            self._upstream_duration.of[tenant,].observe(attempt.seconds)
        if trail.operation and trail.operation.writes and delivery.outcome is Outcome.UNKNOWN:
            self._outcome_unknown[tenant,] += 1

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self._requests = _tally(
            registry,
            "requests",
            "Requests by what they asked for and were answered.",
            ("tenant", "resource", "operation", "code"),
        )
        self._duration = _spread(
            registry,
            "request_duration_seconds",
            "Time from a request's head to its answer.",
            _SECONDS,
            ("resource", "operation"),
        )
        self._overhead = _spread(
            registry,
            "request_overhead_seconds",
            "The gateway's own share of a request's time: without waiting for the client's body or the upstream.",
            _OWN_SECONDS,
        )
        self._request_bytes = _spread(registry, "request_size_bytes", "Size of a request's body.", _BYTES)
        self._response_bytes = _spread(registry, "response_size_bytes", "Size of an answer's body.", _BYTES)
        self._rejected = _tally(
            registry,
            "requests_rejected",
            "Requests that did not get what they asked for, by reason (docs/refusals.md).",
            ("reason",),
        )
        self._authentications = _tally(
            registry,
            "auth_attempts",
            "Authentications by result: accepted, or the reason why not.",
            ("tenant", "result"),
        )
        self._rate_limits = _tally(
            registry,
            "ratelimit_decisions",
            "Decisions on a tenant's limits: admitted, rate-exceeded, no-place.",
            ("tenant", "decision"),
        )

    def _count_guard(self, registry: CollectorRegistry) -> None:
        self._guard_decisions = _tally(
            registry,
            "guard_decisions",
            "Writes that the guard weighed, by how they take access and what it said of them.",
            ("tenant", "loss", "verdict"),
        )
        gauge = partial(Gauge, namespace=PREFIX, registry=registry)
        self.guard_holds = gauge("guard_holds", "Waves that wait for a person's decision.", ("tenant",))
        self.guard_held_writes = gauge("guard_held_writes", "Writes that wait for a decision.", ("tenant",))
        self.guard_last_attempts = gauge(
            "guard_held_writes_near_their_end", "Held writes whose client gives up soon.", ("tenant",)
        )
        self.guard_directory_people = gauge(
            "guard_directory_people", "People in the directory, as far as the guard knows.", ("tenant",)
        )
        self.guard_up = gauge("guard_up", "Whether the guard can count (1); else whatever takes access waits (0).")

    def _count_upstream(self, registry: CollectorRegistry) -> None:
        self._upstream_requests = _tally(
            registry,
            "upstream_requests",
            "Attempts at the upstream by its status, or how far they came: not-sent, sent (and then no answer).",
            ("tenant", "code"),
        )
        self._upstream_duration = _spread(
            registry,
            "upstream_request_duration_seconds",
            "Time an attempt at the upstream took.",
            _SECONDS,
            ("tenant",),
        )
        self._transitions = _tally(
            registry,
            "upstream_node_transitions",
            "Changes of a node's state, by the state that it came to.",
            ("tenant", "node", "state"),
        )
        self._moves = _tally(
            registry,
            "upstream_primary_changes",
            "How often a node took over as the one that gets the requests.",
            ("tenant", "node"),
        )
        self._outcome_unknown = _tally(
            registry,
            "upstream_outcome_unknown",
            "Writes that were sent and of which nobody knows whether the upstream executed them.",
            ("tenant",),
        )

    def _count_records(self, registry: CollectorRegistry) -> None:
        self._audit_events = _tally(
            registry, "audit_events", "Events for the audit log: written, or failed to be.", ("event", "result")
        )
        self._audit_write = _spread(
            registry,
            "audit_write_duration_seconds",
            "Time until an event was on disk for good, or given up.",
            _OWN_SECONDS,
        )
        self._suppressed = _tally(
            registry,
            "strangers_suppressed",
            "Refusals and connections of strangers that are in the audit log as a count only.",
        )
        self._suppressed[()] = 0
        gauge = partial(Gauge, namespace=PREFIX, registry=registry)
        self.audit_checkpoint_at = gauge("audit_checkpoint_timestamp_seconds", "When the audit log was signed last.")
        self.audit_lines = gauge("audit_lines", "Lines of the audit log that the last checkpoint stands for.")
        self._sink_events = _tally(
            registry,
            "audit_sink_events",
            "Lines of the audit log by sink: sent (also once more), or gone from the disk before they could be.",
            ("sink", "result"),
        )
        self._sink_lag = gauge(
            "audit_sink_lag_lines", "Lines of the audit log that a sink has not sent yet.", ("sink",)
        )
        self._sink_oldest = gauge(
            "audit_oldest_unshipped_seconds", "Age of the oldest line that a sink has not sent yet.", ("sink",)
        )

    def _gauge_tenants(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, namespace=PREFIX, registry=registry)
        credential = ("tenant", "credential")
        self._credential_expiry = gauge(
            "credential_expiry_timestamp_seconds", "When a client's credential ends.", credential
        )
        self._credential_last_used = gauge(
            "credential_last_used_timestamp_seconds", "When a client's credential was accepted last.", credential
        )
        self._last_uses: dict[tuple[str, str], float] = {}  # shown when the metrics are asked for
        self.requests_in_flight = gauge("requests_in_flight", "Requests under way.", ("tenant",))
        self.upstream_up = gauge(
            "upstream_up", "Whether the upstream answers (1) or not (0), also at rest.", ("tenant",)
        )
        self._node_state = gauge(
            "upstream_node_state",
            "The state of an upstream's node (1).",
            ("tenant", "node", "state"),
        )
        self._node_primary = gauge("upstream_node_primary", "Whether a node gets the requests (1).", ("tenant", "node"))
        self.turns_held = gauge("turns_held", "Resources that are being written to.")
        self.turns_waiting = gauge("turns_waiting", "Writes that wait for their turn on a resource.")
        self.source_feed_networks = gauge("source_feed_networks", "Networks in a feed of source addresses.", ("feed",))
        self.source_feed_refused = gauge(
            "source_feed_refused",
            "Whether a feed's file is refused (1) and the networks of before are kept.",
            ("feed",),
        )

    def _gauge_instance(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, namespace=PREFIX, registry=registry)
        self.connections = gauge("connections", "Open connections of clients.")
        self.certificate_expiry = gauge(
            "tls_certificate_expiry_timestamp_seconds", "When a certificate in use ends.", ("certificate",)
        )
        self.reload_succeeded = gauge(
            "config_last_reload_successful", "Whether the last reading of the settings was taken (1) or refused (0)."
        )
        self.reload_succeeded_at = gauge(
            "config_last_reload_success_timestamp_seconds", "When settings were taken last."
        )
        self.tasks = gauge("tasks", "Tasks of the event loop: one a connection, and a few.")
        self.draining = gauge("draining", "Whether the instance is being stopped (1).")
        self.event_loop_lag = gauge("event_loop_lag_seconds", "How late the event loop came to its last measurement.")


def _tally(
    registry: CollectorRegistry, name: str, documentation: str, labels: tuple[str, ...] = ()
) -> defaultdict[tuple[str, ...], int]:
    return Tally(f"{PREFIX}_{name}", documentation, labels, registry).counts


def _spread(
    registry: CollectorRegistry,
    name: str,
    documentation: str,
    bounds: tuple[float, ...],
    labels: tuple[str, ...] = (),
) -> Spread:
    return Spread(f"{PREFIX}_{name}", documentation, labels, bounds, registry)


def _code(status: int) -> str:
    return _CODES.get(status, OTHER)
