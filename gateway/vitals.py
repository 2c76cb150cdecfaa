"""The vital signs of an instance: the checks of /readyz, the gauges that show its state, and its status."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gateway.admin import Check
from gateway.stages.forwarding import Node, State, Upstream
from gateway.state.ledger import Figures

if TYPE_CHECKING:
    from gateway.app import Instance

_STALE_SECONDS = 14 * 86400.0  # days before its end at which a certificate is worth a word


def checks(instance: Instance) -> dict[str, Check]:
    """What /readyz says. An upstream that is away does not count: every instance would leave the balancer at once,
    and nobody would tell the client when to come back."""
    certificate, journal = instance.certificates, instance.journal
    found = {
        "draining": Check(not instance.draining, "being stopped" if instance.draining else ""),
        "listener": Check(instance.listener.accepting, f"port {instance.port}"),
        "certificate": Check(certificate.expires_at > time.time(), _certificate_text(certificate.expires_at)),
        "certificate-files": Check(not certificate.refused, certificate.refused, counts=False),
        "audit": Check(journal.problem is None, journal.problem or ""),
        "guard": Check(instance.keeper.problem is None, _guard_text(instance), counts=False),
        "settings": Check(not instance.reload_problem, instance.reload_problem, counts=False),
    }
    for sink in instance.sinks:
        text = sink.problem or (f"{sink.lag_lines} lines behind" if sink.lag_lines else "")
        found[f"audit sink {sink.name}"] = Check(not sink.problem, text, counts=False)
    for name, state in instance.feeds.states.items():
        found[f"feed {name}"] = Check(not state.refused, state.refused or f"{state.networks} networks", counts=False)
    for name, upstream in instance.upstreams.items():
        found[f"upstream {name}"] = Check(upstream.healthy is not False, _upstream_text(upstream), counts=False)
    return found


def _upstream_text(upstream: Upstream) -> str:
    return "; ".join(_node_text(upstream, node) for node in upstream.nodes)


def _node_text(upstream: Upstream, node: Node) -> str:
    health = node.health
    said = "not asked yet" if health.healthy is None else "answers" if health.healthy else health.note
    state = "" if node.state is State.CLOSED else f" ({node.state.value})"
    mark = "primary " if node is upstream.primary and len(upstream.nodes) > 1 else ""
    return f"{mark}{node.name}{state}: {said}"


def _guard_text(instance: Instance) -> str:
    ledger = instance.keeper.ledger
    if instance.keeper.problem is not None:
        return f"whatever takes access is put off: {instance.keeper.problem}"
    figures = [ledger.figures(name) for name in instance.settings.tenants] if ledger is not None else []
    holds, held = sum(f.open_holds for f in figures), sum(f.held for f in figures)
    waves = "1 wave waits" if holds == 1 else f"{holds} waves wait"
    return f"{waves} for a decision, with {held} writes: scim-gateway guard list" if holds else ""


def _certificate_text(expires_at: float) -> str:
    left = expires_at - time.time()
    day = time.strftime("%Y-%m-%d", time.gmtime(expires_at))
    return f"ends {day}" + (f", in {left / 86400:.0f} days: renew it" if left < _STALE_SECONDS else "")


def follow(instance: Instance) -> None:
    """Show what others count."""
    metrics = instance.metrics
    metrics.gauges.tasks.set_function(lambda: len(asyncio.all_tasks()))
    metrics.follow("tls_handshakes", instance.listener.handshakes)
    metrics.follow("connections_rejected", instance.listener.rejected)
    metrics.follow("proxy_headers", instance.listener.proxy_headers)
    metrics.follow("tls_reloads", instance.certificates.reloads)
    if instance.webhook is not None:
        metrics.follow("webhook_events", instance.webhook.counts)


def show(instance: Instance) -> None:
    """Set every gauge that is cheap to know to what is so now; about once a second."""
    metrics, gauges = instance.metrics, instance.metrics.gauges
    gauges.connections.set(instance.server.open_connections)
    gauges.audit_up.set(instance.journal.problem is None)
    gauges.audit_waiting.set(instance.journal.waiting)
    for name, pair in (("listen", instance.certificates), ("metrics", instance.metrics_certificates)):
        if pair is not None:
            gauges.show_certificate(name, pair.expires_at, refused=bool(pair.refused))
    for name in instance.settings.tenants:
        gauges.requests_in_flight.labels(name).set(instance.places.taken[name])
    for name, upstream in instance.upstreams.items():
        if upstream.healthy is not None:
            gauges.upstream_up.labels(name).set(upstream.healthy)
        for node in upstream.nodes:
            gauges.show_node(name, node.name, node.state.value, is_primary=node is upstream.primary)
    _show_guard(instance)
    for sink in instance.sinks:
        oldest_seconds = sink.oldest_seconds(time.time())
        metrics.show_sink(sink.name, sink.counts, lag_lines=sink.lag_lines, oldest_seconds=oldest_seconds)
    gauges.turns_held.set(instance.turns.held)
    gauges.turns_waiting.set(instance.turns.waiting)
    for name, state in instance.feeds.states.items():
        gauges.source_feed_networks.labels(name).set(state.networks)
        gauges.source_feed_refused.labels(name).set(bool(state.refused))


def _show_guard(instance: Instance) -> None:
    gauges, ledger = instance.metrics.gauges, instance.keeper.ledger
    gauges.guard_up.set(instance.keeper.problem is None)
    for name, tenant in instance.settings.tenants.items():
        size = instance.guarding.directories.size_of(name, tenant)
        if size is not None:
            gauges.guard_directory_people.labels(name).set(size)
        figures = ledger.figures(name) if ledger is not None else Figures()
        gauges.guard_holds.labels(name).set(figures.open_holds)
        gauges.guard_held_writes.labels(name).set(figures.held)
        gauges.guard_last_attempts.labels(name).set(figures.near_their_end)


def status(instance: Instance) -> str:
    """One line for `systemctl status`."""
    tenants = ", ".join(instance.settings.tenants)
    refused = f"; the settings read last are refused: {instance.reload_problem}" if instance.reload_problem else ""
    return " ".join(f"port {instance.port}, tenants {tenants}{refused}".split())
