"""When each alert fires, and what comes closest to it and leaves people asleep: the data of test_rules.py.

Series are written as promtool takes them, a value a minute: "0x9 1x20" is ten times 0, then 1 twenty-one times; "0+5x9"
climbs by 5. The clock begins at 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DAY = 86400
NEVER = 1e15  # promtool takes no +Inf in a course
T = 'job="scim-gateway", instance="a:9464"'  # what Prometheus adds to everything it scrapes
J = f'{T}, tenant="jira"'
ALWAYS = "1x100"  # a metric that does not change

Series = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One alert at one moment, with series by which it fires and others by which it does not."""

    alert: str
    at: str
    fires: Series
    quiet: Series


def served(failed: str, accepted: str) -> Series:
    """A tenant's requests."""
    return {
        f"scim_gateway_requests_failed_total{{{J}}}": failed,
        f'scim_gateway_auth_attempts_total{{{J}, result="accepted"}}': accepted,
    }


def answered(within: str, all_of_them: str) -> Series:
    """Requests within 2.5 s, and all."""
    labels = f'{T}, resource="Users", operation="user.get"'
    return {
        f'scim_gateway_request_duration_seconds_bucket{{{labels}, le="2.5"}}': within,
        f"scim_gateway_request_duration_seconds_count{{{labels}}}": all_of_them,
    }


def lag(within_250_ms: str, all_of_them: str) -> Series:
    """How often the event loop came within a quarter of a second, and within half a one."""
    name = f"scim_gateway_event_loop_lag_seconds_bucket{{{T}, le="
    return {f'{name}"0.1"}}': within_250_ms, f'{name}"0.5"}}': all_of_them, f'{name}"+Inf"}}': all_of_them}


def one(name: str, labels: str, fires: str, quiet: str) -> tuple[Series, Series]:
    """The same series with two courses."""
    series = f"scim_gateway_{name}{{{labels}}}"
    return {series: fires}, {series: quiet}


def credentials(first: int, second: float, used_minutes_ago: int) -> Series:
    """Two of a tenant: when they end, and how long before the 20th minute the first was used."""
    name = f"scim_gateway_credential_{{}}_timestamp_seconds{{{{{J}, credential={{}}}}}}"
    return {
        name.format("expiry", '"old"'): f"{first}x100",
        name.format("expiry", '"new"'): f"{second:.0f}x100",
        name.format("last_used", '"old"'): f"{1200 - 60 * used_minutes_ago}x100",
    }


WRITTEN = f'scim_gateway_audit_events_total{{{T}, event="outcome", result="written"}}'
FAILED = f'scim_gateway_audit_events_total{{{T}, event="outcome", result="failed"}}'
SIGNED = f"scim_gateway_audit_checkpoint_timestamp_seconds{{{T}}}"
FREE = f'scim_gateway_disk_free_bytes{{{T}, directory="audit"}}'

CASES = (
    # 100 requests a minute, of which two fail, or one. All of 60 an hour fail, or of 48, which are too few to tell.
    Case("ScimErrorBudgetBurnsFast", "2h", served("0+2x200", "0+100x200"), served("0+1x200", "0+100x200")),
    Case("ScimErrorBudgetBurnsFast", "2h", served("0+1x200", "0+1x200"), served("0+0.5x200", "0+0.8x200")),
    # It is over within minutes of its cause.
    Case("ScimErrorBudgetBurnsFast", "1h30m", served("0+9x200", "0+99x200"), served("0+9x70 630x200", "0+99x200")),
    # It has begun not long ago: the short window is over, the long one is not.
    Case("ScimErrorBudgetBurnsFast", "2h", served("0x60 0+3x100", "0+100x200"), served("0x92 0+3x100", "0+100x200")),
    Case("ScimErrorBudgetBurns", "7h", served("0+7x500", "0+1000x500"), served("0+5x500", "0+1000x500")),
    Case("ScimErrorBudgetBurns", "7h", served("0+1x500", "0+1x500"), served("0+0.1x500", "0+0.1x500")),
    Case("ScimErrorBudgetBurns", "7h", served("0x60 0+10x400", "0+1000x500"), served("0x240 0+10x300", "0+1000x500")),
    Case("ScimErrorBudgetBurns", "7h", served("0+20x500", "0+1000x500"), served("0+20x380 7600x200", "0+1000x500")),
    Case(
        "ScimErrorBudgetBurnsSlowly", "10h",
        served("0+9x700", "0+1000x700"), served("0+20x200 4000x500", "0+1000x700"),
    ),
    Case("ScimErrorBudgetBurnsSlowly", "10h", served("0+2x700", "0+1000x700"), served("0x200 0+1.2x500", "0+1000x700")),
    Case("ScimErrorBudgetBurnsSlowly", "10h", served("0+2x700", "0+1000x700"), served("0+0.9x700", "0+1000x700")),
    Case("ScimSlow", "2h", answered("0+98x200", "0+100x200"), answered("0+99.5x200", "0+100x200")),
    Case("ScimSlow", "2h", answered("0+1x200", "0+2x200"), answered("0+0.3x200", "0+0.6x200")),
    Case("ScimUpstreamDown", "12m", *one("upstream_up", J, "1x8 0x20", "1x10 0x20")),
    Case(
        "ScimUpstreamNodeOut", "30m",
        *one("upstream_node_state", f'{J}, node="a:1", state="out-of-service"', "0x10 1x30", "0x20 1x30"),
    ),
    Case(
        "ScimUpstreamNodeOut", "30m",
        *one("upstream_node_state", f'{J}, node="a:1", state="out-of-service"', ALWAYS, "0x100"),
    ),
    Case(
        "ScimUpstreamCredentialRefused", "20m",
        *one("requests_rejected_total", f'{T}, reason="upstream-credential"', "0x15 1x20", "0x5 1x30"),
    ),
    Case(
        "ScimUpstreamCredentialRefused", "20m",
        {f'scim_gateway_requests_rejected_total{{{T}, reason="upstream-credential"}}': "0x15 1x20"},
        {f'scim_gateway_requests_rejected_total{{{T}, reason="upstream-timeout"}}': "0x15 1x20"},
    ),
    Case("ScimOutcomeUnknown", "20m", *one("upstream_outcome_unknown_total", J, "0x10 1x20", "1x40")),
    Case("ScimWaveHeld", "5m", *one("guard_holds", J, "0x3 1x9", "0x9")),
    Case("ScimHeldTasksEndSoon", "5m", *one("guard_held_writes_near_their_end", J, "0x3 1x9", "0x9")),
    Case("ScimGuardCannotCount", "10m", *one("guard_up", T, "1x7 0x9", "1x9 0x9")),
    Case(
        "ScimWebhookFails", "30m", *one("webhook_events_total", f'{T}, result="dropped"', "0x9 1x30", "0x100")
    ),
    Case(
        "ScimWebhookFails", "30m",
        {f'scim_gateway_webhook_events_total{{{T}, result="failed"}}': "0x9 1x30"},
        {f'scim_gateway_webhook_events_total{{{T}, result="delivered"}}': "0x9 1x30"},
    ),
    Case("ScimAuditStalled", "10m", *one("audit_up", T, "1x7 0x9", "1x9 0x9")),
    Case("ScimAuditStalled", "20m", {FAILED: "0+2x100"}, {FAILED: "0x5 5x100"}),
    # Signed at 0 s: under load it is late after 10 minutes, and told after ten more; at rest nothing is to be signed.
    Case("ScimAuditCheckpointOld", "25m", {SIGNED: "0x100", WRITTEN: "0+1x100"}, {SIGNED: "0x100", WRITTEN: "7x100"}),
    Case("ScimAuditCheckpointOld", "25m", {SIGNED: "0x99", WRITTEN: "0+1x99"}, {SIGNED: "360x99", WRITTEN: "0+1x99"}),
    Case("ScimAuditCheckpointOld", "25m", {SIGNED: "0x99", WRITTEN: "0+1x99"}, {SIGNED: "0+60x99", WRITTEN: "0+1x99"}),
    Case(
        "ScimAuditSinkLags", "10m",
        *one("audit_oldest_unshipped_seconds", f'{T}, sink="syslog"', "601x20", "600x20"),
    ),
    Case(
        "ScimAuditLinesGone", "30m",
        {f'scim_gateway_audit_sink_events_total{{{T}, sink="syslog", result="gone"}}': "0x9 1x30"},
        {f'scim_gateway_audit_sink_events_total{{{T}, sink="syslog", result="sent"}}': "0x9 1x30"},
    ),
    Case(
        "ScimCertificateEnds", "20m",
        *one(
            "tls_certificate_expiry_timestamp_seconds", f'{T}, certificate="listen"',
            f"{14 * DAY + 500}x100", f"{14 * DAY + 700}x100",
        ),
    ),
    Case("ScimCertificateRefused", "10m", *one("tls_certificate_refused", T, "0x3 1x20", "0x7 1x20")),
    # The last one that ends; one with a successor, that is still used; the same when it is used no more.
    Case("ScimCredentialEnds", "20m", credentials(13 * DAY, 7, 0), credentials(15 * DAY, 7, 0)),
    Case("ScimCredentialEnds", "20m", credentials(13 * DAY, NEVER, 0), credentials(13 * DAY, NEVER, 2 * 1440 + 1)),
    Case("ScimFeedRefused", "10m", *one("source_feed_refused", f'{T}, feed="okta"', "0x3 1x20", "0x7 1x20")),
    Case(
        "ScimFeedStale", "2h",
        *one("source_feed_written_timestamp_seconds", f'{T}, feed="okta"', f"-{14 * DAY}x200", f"-{13 * DAY}x200"),
    ),
    Case("ScimGatewayDown", "10m", {f"up{{{T}}}": "1x6 0x20"}, {f"up{{{T}}}": "1x8 0x20"}),
    Case("ScimGatewayAbsent", "10m", {'up{job="node"}': ALWAYS}, {f"up{{{T}}}": "0x100"}),
    Case(
        "ScimAuthenticationFails", "30m",
        *one("auth_attempts_total", f'{J}, result="credential-unknown"', "0+7x100", "0+6x100"),
    ),
    Case(
        "ScimAuthenticationFails", "30m",
        *one("auth_attempts_total", f'{J}, result="source-forbidden"', "0+9x100", "90x100"),
    ),
    Case(
        "ScimEndedCredentialUsed", "20m",
        {f'scim_gateway_auth_attempts_total{{{J}, result="credential-expired"}}': "0x10 1x20"},
        {f'scim_gateway_auth_attempts_total{{{J}, result="credential-unknown"}}': "0x10 1x20"},
    ),
    Case("ScimReloadFailed", "10m", *one("config_last_reload_successful", T, "1x7 0x9", "1x9 0x9")),
    Case("ScimDiskFills", "30m", {FREE: "999999999x100"}, {FREE: "1000000001x100"}),
    # It will be full within a day; or it shrinks as fast and there is a lot.
    Case("ScimDiskFills", "3h", {FREE: "8e9-7000000x200"}, {FREE: "8e9-4000000x200"}),
    Case("ScimDiskFills", "3h", {FREE: "8e9-7000000x200"}, {FREE: "80e9-70000000x200"}),
    Case("ScimGatewayBusy", "30m", lag("0+50x100", "0+60x100"), lag("0+59.9x100", "0+60x100")),
)  # fmt: skip
