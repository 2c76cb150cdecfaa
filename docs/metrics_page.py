"""The page on metrics: what each means comes from the registry, when to worry from here."""

from __future__ import annotations

from gateway.metrics import PREFIX, Family, Metrics

HEAD = """# Metrics

Generated from the registry (`gateway/metrics/`) by `docs/generate.py`. They are at `/metrics` of the admin listener, or with `[metrics]` on an
address of their own, with TLS if you give it a certificate (renewed files are taken up):

```toml
[metrics]
address = "0.0.0.0:9464"                                   # nothing else is served there
certificate_file = "/etc/scim-gateway/tls/metrics.pem"     # leave both out for plain HTTP
key_file = "/etc/scim-gateway/tls/metrics.key"             # mode 600
```

Without TLS, Prometheus must call it by IP address or by a name without a dot (any other Host gets 421, for a browser could be led there); with TLS by any name
that the certificate is for. [deploy/prometheus/](../deploy/prometheus/) has what scrapes, records and alerts; [grafana/](../grafana/) a dashboard;
[operations.md](operations.md) what to do about each alert.

**Labels are bounded.** Tenants, credentials, nodes, feeds and sinks come from the settings, reasons and operations from closed lists (refusals.md,
operations-by-name.md); what is more becomes `other`, what is not known `none`. No user, path, address or token is a label. A counter that an alert waits for begins at 0.

**From a slow request to its record:** whoever asks for OpenMetrics (Prometheus does, with `--enable-feature=exemplar-storage`) gets with each bucket of a duration
the last request in it: `trace_id` is the request's id, which the log, the audit log and the client's error text name too.

**An outage shows in `requests_failed`, not in 5xx:** Okta is told to come back with 429. It counts requests of known clients that failed through no fault of
theirs; divide by `auth_attempts_total{result="accepted"}`. What the guard holds is no failure.

Beside these: `scim_gateway_build_info{version}`, and Prometheus's usual `process_*` and `python_gc_*`.
"""

WORRY = {
    "requests_total": "Nothing at all in working hours: has the client stopped calling?",
    "requests_failed_total": "When ScimErrorBudgetBurnsFast or a sister of it fires.",
    "request_duration_seconds": "When ScimSlow fires, above 2.5 s; a client gives up after 60.",
    "request_overhead_seconds": "p99 above 50 ms: the gateway itself is slow (disk or CPU); compare with `audit_write_duration_seconds`.",
    "request_size_bytes": "Near `limits.max_body_bytes`, large groups will be refused.",
    "response_size_bytes": "Near `limits.max_answer_bytes`, long lists will be refused.",
    "requests_rejected_total": "By reason: [refusals.md](refusals.md). `upstream-credential`: ScimUpstreamCredentialRefused.",
    "auth_attempts_total": "When ScimAuthenticationFails fires. Strangers without a token are normal on the internet.",
    "ratelimit_decisions_total": "`rate-exceeded` or `no-place` for longer than an import: the limits are too small, or the upstream is slow.",
    "guard_decisions_total": "`hold` stays where `guard_holds` says; `would-hold` says what mode `hold` would do.",
    "upstream_requests_total": "5xx, `sent` and `not-sent` say how the upstream fails.",
    "upstream_request_duration_seconds": "Compare with `request_duration_seconds`: is it us or them?",
    "upstream_retries_total": "Steadily above 0: a node is ailing; see `upstream_node_state`.",
    "upstream_node_transitions_total": "A node that comes and goes.",
    "upstream_primary_changes_total": "Each costs the upstream a cold cache.",
    "upstream_outcome_unknown_total": "When ScimOutcomeUnknown fires: the client repeats it, and a person may have to look.",
    "audit_events_total": "`failed` above 0: ScimAuditStalled.",
    "audit_write_duration_seconds": "p99 above 50 ms: the audit disk is slow, and every write waits for it.",
    "strangers_suppressed_total": "A flood of strangers; they are counted and do no harm.",
    "audit_sink_events_total": "`gone` above 0: ScimAuditLinesGone.",
    "event_loop_lag_seconds": "p99 above 0.25 s: ScimGatewayBusy.",
    "connections_rejected_total": "`connections`: `listen.max_connections` is reached.",
    "proxy_headers_total": "Other than `proxied` and `local`: a balancer that does not send it, or somebody who forges it.",
    "tls_handshakes_total": "`client-distrusts-certificate`: the chain or the name is wrong. Most other failures are scanners.",
    "tls_reloads_total": "`refused`: ScimCertificateRefused.",
    "webhook_events_total": "`failed` or `dropped`: ScimWebhookFails, so nobody may know of a held wave.",
    "credential_expiry_timestamp_seconds": "When ScimCredentialEnds fires, 14 days before.",
    "credential_last_used_timestamp_seconds": "A credential that is not used any more can be removed.",
    "requests_in_flight": "Near `limits.concurrent`: the upstream is slow.",
    "turns_held": "-",
    "turns_waiting": "Many for minutes: the upstream is slow with one user or group.",
    "upstream_up": "When ScimUpstreamDown fires. It is probed, so it is true at night too.",
    "upstream_node_state": "When ScimUpstreamNodeOut fires: the others carry on, with nobody behind them.",
    "upstream_node_primary": "-",
    "guard_holds": "When ScimWaveHeld fires.",
    "guard_held_writes": "-",
    "guard_held_writes_near_their_end": "When ScimHeldTasksEndSoon fires.",
    "guard_directory_people": "Missing: the upstream has not told how many there are, so `people` alone is the limit.",
    "guard_up": "When ScimGuardCannotCount fires.",
    "audit_up": "When ScimAuditStalled fires: nothing is served that cannot be recorded.",
    "audit_waiting_events": "Above 100 for a while: the disk is slow.",
    "audit_checkpoint_timestamp_seconds": "When ScimAuditCheckpointOld fires.",
    "audit_lines": "-",
    "audit_sink_lag_lines": "How much is behind `audit_oldest_unshipped_seconds`.",
    "audit_oldest_unshipped_seconds": "When ScimAuditSinkLags fires.",
    "tls_certificate_expiry_timestamp_seconds": "When ScimCertificateEnds fires, 14 days before. `listen` and `metrics` are the gateway's own, `tenants.NAME` what it "
    "shows an upstream, `audit.syslog` what it shows the syslog server.",
    "tls_certificate_refused": "When ScimCertificateRefused fires: a renewed certificate cannot be used.",
    "source_feed_networks": "It halves, or doubles.",
    "source_feed_refused": "When ScimFeedRefused fires.",
    "source_feed_written_timestamp_seconds": "When ScimFeedStale fires, after 14 days: is it still fetched?",
    "disk_free_bytes": "When ScimDiskFills fires.",
    "connections": "Near `listen.max_connections`.",
    "config_last_reload_successful": "When ScimReloadFailed fires.",
    "config_last_reload_success_timestamp_seconds": "-",
    "tasks": "It grows although `connections` does not: please report it.",
    "draining": "-",
}  # fmt: skip

UNITS = "Histograms have `_bucket`, `_sum` and `_count`."


def metrics_page() -> str:
    """docs/metrics.md: every family, what it means and when to worry."""
    rows = ["| Metric | Labels | Means | When to worry |", "|---|---|---|---|"]
    rows += map(_row, sorted(Metrics((), version="").families, key=lambda family: family.name))
    return f"{HEAD}\n{UNITS} Each name begins with `{PREFIX}_`.\n\n" + "\n".join(rows) + "\n"


def _row(family: Family) -> str:
    name = family.name.removeprefix(f"{PREFIX}_")
    labels = ", ".join(f"`{label}`" for label in family.labels)
    kind = "" if family.kind != "histogram" else " (histogram)"
    return f"| `{name}`{kind} | {labels} | {family.documentation} | {WORRY[name]} |"
