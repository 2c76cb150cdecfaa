"""Writes the dashboard: `python grafana/generate.py`. A test holds script and JSON together, and runs every query.

Panels stand in `ROWS` as they stand on the page; where each lies, and its id, follows from that. What a panel is, is in
`grafana/panels.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana.panels import (
    DATASOURCE,
    GOOD_AT_LEAST,
    GOOD_BELOW,
    Column,
    Json,
    Panel,
    Query,
    Row,
    heatmap,
    laid_out,
    series,
    stat,
    states,
    table,
)

FILE = Path(__file__).parent / "scim-gateway.json"

I = '{job="$job", instance=~"$instance"}'  # noqa: E741 - of an instance; it stands in every second line
T = '{job="$job", instance=~"$instance", tenant=~"$tenant"}'
KNOWN = '{job="$job", instance=~"$instance", operation!="none"}'
ACCEPTED = '{job="$job", instance=~"$instance", tenant=~"$tenant", result="accepted"}'
M = "scim_gateway_"
DAY = 86400.0


def rate(metric: str, labels: str, by: str = "") -> str:
    """The rate of a counter, summed up."""
    return f"{_sum(by)} (rate({M}{metric}{labels}[$__rate_interval]))"


def increase(metric: str, labels: str, by: str = "") -> str:
    """By how much a counter has grown, summed up."""
    return f"{_sum(by)} (increase({M}{metric}{labels}[$__rate_interval]))"


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"


def quantiles(metric: str, labels: str) -> tuple[Query, ...]:
    """The median, and what one in 20 and one in 100 exceed."""
    buckets = rate(f"{metric}_bucket", labels, "le")
    return tuple(Query(f"histogram_quantile({q}, {buckets})", f"p{q * 100:.0f}") for q in (0.5, 0.95, 0.99))


def failed_share(window: str) -> str:
    """Of the requests of known clients."""
    failed, all_of_them = f"{M}requests_failed_total{T}", f"{M}auth_attempts_total{ACCEPTED}"
    return f"sum (increase({failed}[{window}])) / (sum (increase({all_of_them}[{window}])) > 0)"


def left(metric: str, labels: str, by: str) -> Query:
    """Until something ends, for a table."""
    return Query(f"min by ({by}) ({M}{metric}{labels}) - time()", instant=True)


IS_IT_WELL = Row(
    "Is it well?",
    stat("Not failed, 30 days", "The share of requests of known clients that did not fail through the gateway's or the application's fault. Promised: 99.9 %.",
         f"1 - {failed_share('30d')}", "percentunit", (GOOD_AT_LEAST, 0.999), decimals=3),
    stat("Error budget left, 30 days", "How much of the permitted 0.1 % of failed requests is left; below 0 the promise is broken.",
         f"1 - ({failed_share('30d')}) / 0.001", "percentunit", (GOOD_AT_LEAST, 0.25)),
    stat("Failing now", "The share of requests of known clients that fail at the moment.",
         failed_share("$__rate_interval"), "percentunit", (GOOD_BELOW, 0.001), decimals=2),
    stat("Requests", "Requests a second, strangers included.", rate("requests_total", I), "reqps"),
    stat("p99", "One in a hundred requests takes longer. A client waits 60 s at most.",
         f"histogram_quantile(0.99, {rate('request_duration_seconds_bucket', KNOWN, 'le')})", "s", (GOOD_BELOW, 2.5)),
    stat("Alerts", "How many alerts of the gateway fire.", 'count(ALERTS{alertname=~"Scim.*", alertstate="firing"}) or vector(0)', "short", (GOOD_BELOW, 1)),
    stat("Application", "0: an application does not answer its probe.", f"min ({M}upstream_up{T})", "bool_on_off", (GOOD_AT_LEAST, 1)),
    stat("Held waves", "Waves of lost access that wait for a person: scim-gateway guard list.", f"sum ({M}guard_holds{T})", "short", (GOOD_BELOW, 1)),
    stat("Audit log", "Off: the audit log cannot be written, and nothing is served that cannot be recorded.", f"min ({M}audit_up{I})", "bool_on_off", (GOOD_AT_LEAST, 1)),
    stat("Audit lag", "The oldest line that a receiver of the audit log has not got.", f"max ({M}audit_oldest_unshipped_seconds{I})", "s", (GOOD_BELOW, 600)),
    stat("First certificate to end", "Renew it before.", f"min ({M}tls_certificate_expiry_timestamp_seconds{I}) - time()", "s", (GOOD_AT_LEAST, 14 * DAY)),
    stat("First credential to end", "Give the client its successor before.", f"min ({M}credential_expiry_timestamp_seconds{T}) - time()", "s", (GOOD_AT_LEAST, 14 * DAY)),
)  # fmt: skip

CLIENT_TO_GATEWAY = Row(
    "Client to gateway",
    series("Requests by operation", "What clients do; none: what was refused before it was understood.", "reqps",
           Query(rate("requests_total", T, "operation"), "{{operation}}"), stacked=True),
    series("Answers by status", "429 to Okta means: come back later. 4xx without it is the client's or a stranger's.", "reqps",
           Query(rate("requests_total", T, "code"), "{{code}}"), stacked=True),
    series("Failed by tenant", "Requests of known clients that failed through no fault of theirs.", "reqps",
           Query(rate("requests_failed_total", T, "tenant"), "{{tenant}}")),
    heatmap("Duration", "How long requests take. The points are single requests: the audit log has the line of each trace_id.",
            rate("request_duration_seconds_bucket", KNOWN, "le")),
    series("Duration of known clients' requests", "From a request's head to its answer.", "s",
           *quantiles("request_duration_seconds", KNOWN), exemplars=True),
    series("Under way", "Requests at this moment, by tenant; limits.concurrent is the most.", "short",
           Query(f"sum by (tenant) ({M}requests_in_flight{T})", "{{tenant}}")),
    series("Refused, by reason", "docs/refusals.md says what to do about each.", "reqps",
           Query(f"{rate('requests_rejected_total', I, 'reason')} > 0", "{{reason}}"), stacked=True),
    series("Sizes of bodies, p95", "Of requests and of answers.", "bytes",
           Query(f"histogram_quantile(0.95, {rate('request_size_bytes_bucket', I, 'le')})", "requests"),
           Query(f"histogram_quantile(0.95, {rate('response_size_bytes_bucket', I, 'le')})", "answers")),
    series("Order of writes", "Resources that are being written to, and writes that wait for their turn on one.", "short",
           Query(f"sum ({M}turns_held{I})", "written to"), Query(f"sum ({M}turns_waiting{I})", "waiting")),
)  # fmt: skip

GATEWAY_TO_APPLICATION = Row(
    "Gateway to application",
    series("Attempts by status", "What the application answers; not-sent: no connection, sent: no answer.", "reqps",
           Query(rate("upstream_requests_total", T, "code"), "{{code}}"), stacked=True),
    heatmap("Duration of attempts", "How long the application takes for one attempt.", rate("upstream_request_duration_seconds_bucket", T, "le")),
    series("Is it us or them?", "What one in a hundred requests exceeds: the application's time, and the gateway's own.", "s",
           Query(f"histogram_quantile(0.99, {rate('upstream_request_duration_seconds_bucket', T, 'le')})", "application"),
           Query(f"histogram_quantile(0.99, {rate('request_overhead_seconds_bucket', I, 'le')})", "gateway")),
    states("Nodes", "The state of each node of each application.",
           Query(f"max by (tenant, node, state) ({M}upstream_node_state{T}) == 1", "{{tenant}} {{node}} {{state}}")),
    series("Does it answer?", "1: the application answers its probe, which also comes at night.", "short",
           Query(f"min by (tenant) ({M}upstream_up{T})", "{{tenant}}")),
    series("Second attempts, unknown outcomes", "Attempts after a first one, by how far that came; writes of which nobody knows whether they were carried out.", "short",
           Query(increase("upstream_retries_total", T, "after"), "after {{after}}"),
           Query(increase("upstream_outcome_unknown_total", T), "outcome unknown")),
    series("Nodes that come and go", "Changes of state, and how often another node took over.", "short",
           Query(increase("upstream_node_transitions_total", T, "tenant, node, state"), "{{tenant}} {{node}} {{state}}"),
           Query(increase("upstream_primary_changes_total", T, "tenant, node"), "{{tenant}} {{node}} took over")),
    table("Which node gets the requests", "The primary of each tenant.", (Column("tenant", "Tenant"), Column("node", "Node")),
          Query(f"max by (tenant, node) ({M}upstream_node_primary{T}) == 1", instant=True)),
)  # fmt: skip

GUARD = Row(
    "Guard",
    series("Writes that were weighed", "By how they take access and what the guard said; would-hold and exempt passed.", "reqps",
           Query(rate("guard_decisions_total", T, "loss, verdict"), "{{loss}} {{verdict}}"), stacked=True),
    series("What waits for a person", "Waves, writes, and those whose client gives up soon. docs/guard.md says how to decide.", "short",
           Query(f"sum by (tenant) ({M}guard_holds{T})", "{{tenant}} waves"), Query(f"sum by (tenant) ({M}guard_held_writes{T})", "{{tenant}} writes"),
           Query(f"sum by (tenant) ({M}guard_held_writes_near_their_end{T})", "{{tenant}} near their end")),
    series("Can it count, and whom", "1: the ledger works. The number of people decides what is a wave in a small directory.", "short",
           Query(f"min ({M}guard_up{I})", "can count"), Query(f"max by (tenant) ({M}guard_directory_people{T})", "{{tenant}} people")),
    series("Events to the webhook", "failed and dropped: whoever relies on it hears nothing.", "short",
           Query(increase("webhook_events_total", I, "result"), "{{result}}")),
)  # fmt: skip

SECURITY = Row(
    "Security",
    series("Authentications", "accepted, or why not.", "reqps", Query(f"{rate('auth_attempts_total', T, 'result')} > 0", "{{result}}"), stacked=True),
    series("Limits", "rate-exceeded and no-place: the client comes back later.", "reqps", Query(rate("ratelimit_decisions_total", T, "decision"), "{{decision}}")),
    series("TLS handshakes", "Other than ok is mostly scanners; client-distrusts-certificate is the chain or the name.", "short",
           Query(increase("tls_handshakes_total", I, "result"), "{{result}}")),
    series("PROXY headers", "What balancers announce; other than proxied and local is a balancer that does not, or a forgery.", "short",
           Query(f"{increase('proxy_headers_total', I, 'result')} or vector(0)", "{{result}}")),
    series("Turned away", "Connections above listen.max_connections, and strangers who are in the audit log as a count only.", "short",
           Query(increase("connections_rejected_total", I, "reason"), "{{reason}}"),
           Query(increase("strangers_suppressed_total", I), "strangers, counted only")),
    series("Lists of networks", "How many networks each feed has; refused: its present file is not believed.", "short",
           Query(f"max by (feed) ({M}source_feed_networks{I})", "{{feed}}"), Query(f"max by (feed) ({M}source_feed_refused{I})", "{{feed}} refused")),
    table("Age of the lists", "Since their files were written.", (Column("feed", "Feed"), Column("Value", "Age", "s")),
          Query(f"time() - min by (feed) ({M}source_feed_written_timestamp_seconds{I})", instant=True)),
)  # fmt: skip

AUDIT = Row(
    "Audit log",
    series("Events", "What goes on record; failed: it could not be, and the client was told to come back.", "cps",
           Query(rate("audit_events_total", I, "event, result"), "{{event}} {{result}}"), stacked=True),
    series("Time until it is on disk", "Every write waits twice for it.", "s", *quantiles("audit_write_duration_seconds", I)),
    series("Waiting", "Events that wait to be on disk.", "short", Query(f"sum ({M}audit_waiting_events{I})", "events")),
    series("Sent to receivers", "gone: lines that were removed from disk before they could be sent.", "cps",
           Query(rate("audit_sink_events_total", I, "sink, result"), "{{sink}} {{result}}")),
    series("Behind", "Lines that a receiver has not got.", "short", Query(f"max by (sink) ({M}audit_sink_lag_lines{I})", "{{sink}}")),
    series("Oldest line that was not sent", "Its age, by receiver.", "s", Query(f"max by (sink) ({M}audit_oldest_unshipped_seconds{I})", "{{sink}}")),
    series("Since it was signed", "At most some five minutes while lines come.", "s", Query(f"time() - min ({M}audit_checkpoint_timestamp_seconds{I})", "age of the last checkpoint")),
    series("Lines that are signed", "How many lines the last checkpoint stands for.", "short", Query(f"sum by (instance) ({M}audit_lines{I})", "{{instance}}")),
    series("Room on the disks", "Of the audit directory and of the state directory.", "bytes", Query(f"min by (directory) ({M}disk_free_bytes{I})", "{{directory}}")),
)  # fmt: skip

ENDS = Row(
    "Certificates and credentials",
    table("Certificates", "listen and metrics: the gateway's own; tenants.NAME and audit.syslog: what it shows others.",
          (Column("certificate", "Certificate"), Column("Value", "Ends in", "s", ends=True)), left("tls_certificate_expiry_timestamp_seconds", I, "certificate")),
    table("Credentials", "What clients show; those without an end never end.",
          (Column("tenant", "Tenant"), Column("credential", "Credential"), Column("Value", "Ends in", "s", ends=True)),
          left("credential_expiry_timestamp_seconds", T, "tenant, credential")),
    table("Last use of credentials", "As each instance remembers it.", (Column("tenant", "Tenant"), Column("credential", "Credential"), Column("Value", "Not used for", "s")),
          Query(f"time() - max by (tenant, credential) ({M}credential_last_used_timestamp_seconds{T})", instant=True)),
    series("Renewals", "Changed files of certificates that were taken or refused, and certificates whose files cannot be used now.", "short",
           Query(increase("tls_reloads_total", I, "result"), "{{result}}"),
           Query(f"max by (certificate) ({M}tls_certificate_refused{I})", "{{certificate}} refused")),
)  # fmt: skip

PROCESS = Row(
    "Process",
    series("CPU", "Of one core.", "percentunit", Query(f"rate(process_cpu_seconds_total{I}[$__rate_interval])", "{{instance}}")),
    series("Memory", "Resident.", "bytes", Query(f"process_resident_memory_bytes{I}", "{{instance}}")),
    series("Open files", "Against the most that the system allows.", "short", Query(f"process_open_fds{I}", "{{instance}} open"), Query(f"process_max_fds{I}", "{{instance}} most")),
    series("Event loop", "How late it comes to what is due, p99.", "s",
           Query(f"histogram_quantile(0.99, {rate('event_loop_lag_seconds_bucket', I, 'instance, le')})", "{{instance}}")),
    series("Connections and tasks", "Open connections of clients; tasks of the event loop.", "short",
           Query(f"{M}connections{I}", "{{instance}} connections"), Query(f"{M}tasks{I}", "{{instance}} tasks")),
    series("Garbage collections", "By generation.", "cps", Query(f"sum by (generation) (rate(python_gc_collections_total{I}[$__rate_interval]))", "{{generation}}")),
    series("Settings and stops", "0: the settings read last were refused; draining 1: the instance is being stopped.", "short",
           Query(f"{M}config_last_reload_successful{I}", "{{instance}} settings taken"), Query(f"{M}draining{I}", "{{instance}} draining")),
    table("Versions", "What runs where.", (Column("instance", "Instance"), Column("version", "Version")),
          Query(f"max by (instance, version) ({M}build_info{I})", instant=True)),
    collapsed=True,
)  # fmt: skip

ROWS = (IS_IT_WELL, CLIENT_TO_GATEWAY, GATEWAY_TO_APPLICATION, GUARD, SECURITY, AUDIT, ENDS, PROCESS)

ANNOTATIONS = {
    "Settings taken": f"{M}config_last_reload_success_timestamp_seconds{I} * 1000",
    "Instance started": f"process_start_time_seconds{I} * 1000",
}


def panels() -> tuple[Panel, ...]:
    """All of them."""
    return tuple(panel for row in ROWS for panel in row.panels)


def dashboard() -> dict[str, Json]:
    """The dashboard as Grafana imports it (schema 39, Grafana 11)."""
    return {
        "uid": "scim-gateway",
        "title": "SCIM gateway",
        "description": "Provisioning through the SCIM gateway: is it well, and if not, is it the client, the gateway or the application?",
        "tags": ["scim-gateway"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [*_variables()]},
        "annotations": {"list": [_annotation(name, expression) for name, expression in ANNOTATIONS.items()]},
        "links": [],
        "panels": laid_out(ROWS),
    }


def _variables() -> tuple[Json, ...]:
    datasource: Json = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return (
        datasource,
        _variable("job", "Job", f"label_values({M}build_info, job)", many=False),
        _variable("instance", "Instance", f'label_values({M}build_info{{job="$job"}}, instance)', many=True),
        _variable("tenant", "Tenant", f'label_values({M}requests_failed_total{{job="$job"}}, tenant)', many=True),
    )


def _variable(name: str, label: str, query: str, *, many: bool) -> Json:
    everything: dict[str, Json] = {"includeAll": True, "multi": True, "allValue": ".*"} if many else {}
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        **everything,
    }


def _annotation(name: str, expression: str) -> Json:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expression,
        "useValueForTime": "on",
        "step": "30s",
        "titleFormat": name,
        "textFormat": "{{instance}}",
        "iconColor": "blue",
    }


def text() -> str:
    """What the file holds."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
