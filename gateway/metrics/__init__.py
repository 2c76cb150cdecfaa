"""Every metric, in one place. Requests are told by their trail alone, so metrics and audit log cannot disagree.

Labels are bounded, whatever strangers send: tenants and credentials come from the settings, reasons and codes
from closed lists, operations and resources from what was understood. No user, path, network address or token
is ever a label; "none" stands for what is not known, "other" for what is too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from http import HTTPStatus
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from gateway.exchange import Delivery, Outcome, Trail, Unparsed

PREFIX = "scim_gateway"
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
    "tls_handshakes": ("result", "TLS handshakes by result: ok, or what went wrong."),
    "tls_reloads": ("result", "Changed certificates that were taken, or refused (and the old one kept)."),
}

# Else each counter and histogram comes with a second series that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's omission


class _Tally(Collector):
    """A counter that somebody else keeps; read when the metrics are."""

    def __init__(self, name: str, counts: Mapping[str, int]) -> None:
        self._name = name
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        label, documentation = _TALLIES[self._name]
        family = CounterMetricFamily(f"{PREFIX}_{self._name}", documentation, labels=(label,))
        for value, count in tuple(self._counts.items()):
            family.add_metric((value,), count)
        yield family


class Metrics:
    """The metrics of one instance, in a registry of their own. The public attributes are gauges that others set.

    Those that every request adds to are kept as their cached `labels`: looking labels up costs more than counting.
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
        self._count_upstream(registry)
        self._count_records(registry)
        self._gauge_tenants(registry)
        self._gauge_instance(registry)

    def set_credentials(self, expiries: Mapping[tuple[str, str], float | None], tenants: Iterable[str]) -> None:
        """What the settings say now: the tenants, and when each (tenant, credential) ends (Unix seconds; None: never).

        Forgets credentials that are gone, so that no alert waits for one; counters of a tenant that is gone stay.
        """
        self._tenants |= frozenset(tenants)
        self._credential_expiry.clear()
        for names, expiry in expiries.items():
            if expiry is not None:
                self._credential_expiry.labels(*names).set(expiry)
        for names in self._credentials - expiries.keys():
            self._credential_last_used.remove(*names)
        self._last_use_of.cache_clear()
        self._credentials = frozenset(expiries)

    def follow(
        self, name: Literal["connections_rejected", "tls_handshakes", "tls_reloads"], counts: Mapping[str, int]
    ) -> None:
        """Show a counter that somebody else keeps, by label value; its keys must come from a closed list."""
        self._registry.register(_Tally(name, counts))

    def observe(self, trail: Trail) -> None:
        """Count a request that has its answer."""
        tenant = self._tenant(trail.tenant_name)
        kind = self._kind(trail, tenant)
        seconds = sum(trail.seconds.values())
        waited_seconds = trail.seconds.get("read", 0.0)  # for the client
        self._requests_of(*kind).inc()
        self._duration_of(kind[1], kind[2]).observe(seconds)
        if trail.delivery:
            waited_seconds += sum(attempt.seconds for attempt in trail.delivery.attempts)
            self._observe_delivery(trail, trail.delivery, tenant)
        self._overhead.observe(max(0.0, seconds - waited_seconds))
        self._request_bytes.observe(trail.body_bytes)
        if trail.answer:
            self._response_bytes.observe(len(trail.answer.body))
        self._observe_caller(trail, tenant, trail.reason.slug if trail.reason else "")

    def observe_unparsed(self, unparsed: Unparsed) -> None:
        """Count bytes that never became a request."""
        self._requests_of(NONE, NONE, NONE, _code(unparsed.reason.status)).inc()
        self._rejected.labels(unparsed.reason.slug).inc()

    def observe_record(self, event: str, *, written: bool, seconds: float) -> None:
        """Count an event that was to go on record; `event` as in the audit log's lines."""
        self._audit_events_of(event, "written" if written else "failed").inc()
        self._audit_write.observe(seconds)

    def observe_suppressed(self) -> None:
        """Count a stranger's refusal that gets no line of its own in the audit log."""
        self._suppressed.inc()

    def render(self) -> tuple[bytes, str]:
        """The metrics in Prometheus's text format, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

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
            self._rejected.labels(slug).inc()
        if trail.client:
            self._authentications_of(tenant, "accepted").inc()
            self._rate_limits_of(tenant, slug if slug in _RATE_LIMIT else "admitted").inc()
            self._last_use_of(tenant, trail.client.credential).set(trail.request.received_at)
        elif slug.startswith("credential-") or slug in _AUTHENTICATION:
            self._authentications_of(tenant, slug).inc()

    def _observe_delivery(self, trail: Trail, delivery: Delivery, tenant: str) -> None:
        for attempt in delivery.attempts:
            code = attempt.stage.value if attempt.status is None else _code(attempt.status)
            self._upstream_requests_of(tenant, code).inc()
            self._upstream_duration_of(tenant).observe(attempt.seconds)
        if trail.operation and trail.operation.writes and delivery.outcome is Outcome.UNKNOWN:
            self._outcome_unknown.labels(tenant).inc()

    def _count_requests(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace=PREFIX, registry=registry)
        histogram = partial(Histogram, namespace=PREFIX, registry=registry)
        self._requests_of = cache(
            counter(
                "requests_total",
                "Requests by what they asked for and were answered.",
                ("tenant", "resource", "operation", "code"),
            ).labels
        )
        self._duration_of = cache(
            histogram(
                "request_duration_seconds",
                "Time from a request's head to its answer.",
                ("resource", "operation"),
                buckets=_SECONDS,
            ).labels
        )
        self._overhead = histogram(
            "request_overhead_seconds",
            "The gateway's own share of a request's time: without waiting for the client's body or the upstream.",
            buckets=_OWN_SECONDS,
        )
        self._request_bytes = histogram("request_size_bytes", "Size of a request's body.", buckets=_BYTES)
        self._response_bytes = histogram("response_size_bytes", "Size of an answer's body.", buckets=_BYTES)
        self._rejected = counter(
            "requests_rejected_total",
            "Requests that did not get what they asked for, by reason (docs/refusals.md).",
            ("reason",),
        )
        self._authentications_of = cache(
            counter(
                "auth_attempts_total",
                "Authentications by result: accepted, or the reason why not.",
                ("tenant", "result"),
            ).labels
        )
        self._rate_limits_of = cache(
            counter(
                "ratelimit_decisions_total",
                "Decisions on a tenant's limits: admitted, rate-exceeded, no-place.",
                ("tenant", "decision"),
            ).labels
        )

    def _count_upstream(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace=PREFIX, registry=registry)
        self._upstream_requests_of = cache(
            counter(
                "upstream_requests_total",
                "Attempts at the upstream by its status, or how far they came: not-sent, sent (and then no answer).",
                ("tenant", "code"),
            ).labels
        )
        self._upstream_duration_of = cache(
            Histogram(
                "upstream_request_duration_seconds",
                "Time an attempt at the upstream took.",
                ("tenant",),
                namespace=PREFIX,
                registry=registry,
                buckets=_SECONDS,
            ).labels
        )
        self._outcome_unknown = counter(
            "upstream_outcome_unknown_total",
            "Writes that were sent and of which nobody knows whether the upstream executed them.",
            ("tenant",),
        )

    def _count_records(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace=PREFIX, registry=registry)
        self._audit_events_of = cache(
            counter(
                "audit_events_total", "Events for the audit log: written, or failed to be.", ("event", "result")
            ).labels
        )
        self._audit_write = Histogram(
            "audit_write_duration_seconds",
            "Time until an event was on disk for good, or given up.",
            namespace=PREFIX,
            registry=registry,
            buckets=_OWN_SECONDS,
        )
        self._suppressed = counter(
            "strangers_suppressed_total", "Refusals of strangers that are in the audit log as a count only."
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
        self._last_use_of = cache(self._credential_last_used.labels)
        self.requests_in_flight = gauge("requests_in_flight", "Requests under way.", ("tenant",))
        self.upstream_up = gauge(
            "upstream_up", "Whether the upstream answers (1) or not (0), also at rest.", ("tenant",)
        )
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
        self.draining = gauge("draining", "Whether the instance is being stopped (1).")
        self.event_loop_lag = gauge("event_loop_lag_seconds", "How late the event loop came to its last measurement.")


def _code(status: int) -> str:
    return _CODES.get(status, OTHER)
