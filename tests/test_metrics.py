from __future__ import annotations

import re
import timeit
from collections import Counter
from dataclasses import replace
from math import inf

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from gateway.exchange import Answer, Attempt, Delivery, Judgement, RequestId, Stage, Unparsed, Verdict
from gateway.metrics import Metrics
from gateway.refusal import Reason, Refusal
from tests import worlds
from tests.audit import trails

BASE_UNITS = ("_seconds", "_bytes", "_total", "_info")
WITHOUT_UNIT = {
    "scim_gateway_audit_sink_lag_lines",
    "scim_gateway_audit_up",
    "scim_gateway_audit_waiting_events",
    "scim_gateway_tls_certificate_refused",
    "scim_gateway_connections",
    "scim_gateway_requests_in_flight",
    "scim_gateway_upstream_up",
    "scim_gateway_upstream_node_state",
    "scim_gateway_upstream_node_primary",
    "scim_gateway_tasks",
    "scim_gateway_turns_held",
    "scim_gateway_turns_waiting",
    "scim_gateway_source_feed_networks",
    "scim_gateway_source_feed_refused",
    "scim_gateway_audit_lines",
    "scim_gateway_config_last_reload_successful",
    "scim_gateway_draining",
    "scim_gateway_guard_holds",
    "scim_gateway_guard_held_writes",
    "scim_gateway_guard_held_writes_near_their_end",
    "scim_gateway_guard_directory_people",
    "scim_gateway_guard_up",
}


def metrics() -> Metrics:
    return Metrics(["jira"], version="1.2.3")


def samples(of: Metrics) -> dict[str, float]:
    """Every sample by its name and labels, as an operator writes them."""
    found = {}
    for family in text_string_to_metric_families(of.render()[0].decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('scim_gateway_')}{{{labels}}}"] = sample.value
    return found


def test_a_served_request_is_counted_in_every_respect() -> None:
    shown = metrics()
    shown.observe(trails.served(body_bytes=500, seconds={"identify": 0.001, "read": 0.5, "forward": 0.003}))
    found = samples(shown)

    assert found["requests_total{code=200,operation=user.get,resource=Users,tenant=jira}"] == 1
    assert found["request_duration_seconds_sum{operation=user.get,resource=Users}"] == pytest.approx(0.504)
    assert found["request_overhead_seconds_sum{}"] == pytest.approx(
        0.002
    )  # neither the client's 0.5 nor the node's 0.002
    assert found["request_size_bytes_sum{}"] == 500
    assert found["response_size_bytes_sum{}"] == 11
    assert found["auth_attempts_total{result=accepted,tenant=jira}"] == 1
    assert found["ratelimit_decisions_total{decision=admitted,tenant=jira}"] == 1
    assert found["credential_last_used_timestamp_seconds{credential=okta-2027,tenant=jira}"] == worlds.NOW
    assert found["upstream_requests_total{code=200,tenant=jira}"] == 1
    assert found["upstream_request_duration_seconds_count{tenant=jira}"] == 1
    bad = ("requests_rejected", "requests_failed", "upstream_outcome_unknown", "upstream_retries")
    assert not [name for name in found if name.startswith(bad) and found[name]]


@pytest.mark.parametrize(
    ("reason", "result"),
    [
        (Reason.CREDENTIAL_UNKNOWN, "credential-unknown"),
        (Reason.CREDENTIAL_EXPIRED, "credential-expired"),
        (Reason.SOURCE_FORBIDDEN, "source-forbidden"),
        (Reason.TOO_MANY_FAILURES, "too-many-failures"),
    ],
)
def test_a_failed_authentication_is_counted_with_its_reason(reason: Reason, result: str) -> None:
    shown = metrics()
    shown.observe(trails.turned_away(reason))

    assert samples(shown)[f"auth_attempts_total{{result={result},tenant=jira}}"] == 1
    assert samples(shown)[f"requests_rejected_total{{reason={result}}}"] == 1


def test_a_request_for_no_tenant_is_no_authentication() -> None:
    shown = metrics()
    shown.observe(trails.turned_away(Reason.TENANT_UNKNOWN, tenant_name=None))

    assert samples(shown)["requests_total{code=404,operation=none,resource=none,tenant=none}"] == 1
    assert not [name for name, value in samples(shown).items() if name.startswith("auth_attempts") and value]


@pytest.mark.parametrize("reason", [Reason.RATE_EXCEEDED, Reason.NO_PLACE])
def test_a_limit_that_is_met_is_a_decision(reason: Reason) -> None:
    shown = metrics()
    shown.observe(trails.served(operation=None, delivery=None, refusal=Refusal(reason)))

    assert samples(shown)[f"ratelimit_decisions_total{{decision={reason.slug},tenant=jira}}"] == 1


def test_only_writes_have_an_outcome_that_matters() -> None:
    shown = metrics()
    lost = trails.undelivered(Stage.SENT)
    shown.observe(trails.served(delivery=lost))
    shown.observe(trails.served(delivery=lost, operation=trails.write()))

    assert samples(shown)["upstream_outcome_unknown_total{tenant=jira}"] == 1
    assert samples(shown)["upstream_requests_total{code=sent,tenant=jira}"] == 2
    assert samples(shown)["requests_rejected_total{reason=upstream-timeout}"] == 2


def test_a_write_that_was_cut_short_while_it_was_under_way_counts_as_unknown() -> None:
    shown = metrics()
    shown.observe(trails.served(delivery=None, operation=trails.write(), refusal=Refusal(Reason.STOPPING)))
    shown.observe(trails.turned_away(Reason.STOPPING))

    assert samples(shown)["upstream_outcome_unknown_total{tenant=jira}"] == 1


@pytest.mark.parametrize(
    ("reason", "status", "failed"),
    [
        (None, 200, 0),
        (None, 404, 0),
        (None, 500, 1),  # the upstream's own, passed on
        (Reason.RATE_EXCEEDED, 429, 0),
        (Reason.JSON_MALFORMED, 400, 0),
        (Reason.UPSTREAM_UNREACHABLE, 429, 1),  # as Okta is told to come back
        (Reason.NO_PLACE, 429, 1),
        (Reason.RECORD_UNAVAILABLE, 429, 1),
        (Reason.GATEWAY_FAULT, 500, 1),
        (Reason.GUARD_HELD, 429, 0),  # as it shall be
        (Reason.GUARD_BEHIND, 429, 0),
        (Reason.GUARD_DENIED, 403, 0),
    ],
)
def test_a_failure_is_what_a_client_meets_that_did_nothing_wrong(
    reason: Reason | None, status: int, failed: int
) -> None:
    shown = metrics()
    refusal = Refusal(reason) if reason else None
    shown.observe(trails.served(refusal=refusal, answer=Answer(status, (), b"{}")))

    assert samples(shown)["requests_failed_total{tenant=jira}"] == failed


def test_what_befalls_a_stranger_is_no_failure() -> None:
    shown = metrics()
    shown.observe(trails.turned_away(Reason.RECORD_UNAVAILABLE))

    assert samples(shown)["requests_failed_total{tenant=jira}"] == 0


def test_another_attempt_is_counted_by_how_far_the_one_before_came() -> None:
    shown = metrics()
    attempts = (Attempt("a:1", 0.1, Stage.NOT_SENT), Attempt("b:1", 0.1, Stage.SENT), Attempt("c:1", 0.1, Stage.SENT))
    shown.observe(trails.served(delivery=Delivery(attempts, None, Reason.UPSTREAM_TIMEOUT)))
    found = {name: value for name, value in samples(shown).items() if name.startswith("upstream_retries")}

    assert found == {
        "upstream_retries_total{after=answered,tenant=jira}": 0,
        "upstream_retries_total{after=not-sent,tenant=jira}": 1,
        "upstream_retries_total{after=sent,tenant=jira}": 1,
    }


def test_what_alerts_wait_for_begins_at_zero() -> None:
    found = samples(metrics())

    assert {found[f"requests_rejected_total{{reason={reason.slug}}}"] for reason in Reason} == {0}
    assert found["upstream_outcome_unknown_total{tenant=jira}"] == 0
    assert found["requests_failed_total{tenant=jira}"] == 0
    assert found["auth_attempts_total{result=accepted,tenant=jira}"] == 0
    assert found["auth_attempts_total{result=credential-unknown,tenant=jira}"] == 0
    assert found["audit_events_total{event=intent,result=failed}"] == 0


def test_a_counter_does_not_begin_again_when_the_settings_are_read_again() -> None:
    shown = metrics()
    shown.observe(trails.served(answer=Answer(500, (), b"{}")))
    shown.set_credentials({}, ["jira"])

    assert samples(shown)["requests_failed_total{tenant=jira}"] == 1
    assert samples(shown)["auth_attempts_total{result=accepted,tenant=jira}"] == 1


def test_the_last_request_of_each_duration_is_named_to_who_speaks_openmetrics() -> None:
    shown = metrics()
    for number, seconds in enumerate((0.001, 0.002, 3.0)):
        request = replace(worlds.request(), id=RequestId(f"req-{number}"))
        shown.observe(trails.served(request=request, seconds={"forward": seconds}))
    text, media_type = shown.render("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    examples = {
        (sample.labels["le"], sample.exemplar.labels["trace_id"], sample.exemplar.value)
        for family in openmetrics_families(text.decode())  # type: ignore[no-untyped-call]  # the library's omission
        for sample in family.samples
        if sample.name == "scim_gateway_request_duration_seconds_bucket" and sample.exemplar
    }

    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert examples == {("0.005", "req-1", 0.002), ("5.0", "req-2", 3.0)}
    assert "req-" not in shown.render("text/plain")[0].decode()


def test_every_family_is_described_as_it_is() -> None:
    shown = metrics()
    shown.observe(trails.served(operation=trails.write(), judgement=Judgement(Verdict.PASS, "removed", ("1",))))
    shown.follow("webhook_events", Counter(delivered=1))
    shown.gauges.show_certificate("listen", 2e9, refused=False)
    described = {family.name: family for family in shown.families}
    exposed = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(shown.render()[0].decode())
        if family.name.startswith("scim_gateway_") and family.type != "unknown"
    }
    del exposed["scim_gateway_build_info"]

    assert exposed.keys() == described.keys()
    for name, family in exposed.items():
        assert (family.type, family.documentation) == (described[name].kind, described[name].documentation)
        labels = {tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples}
        assert labels <= {tuple(sorted(described[name].labels))}, name


def test_bytes_that_are_no_request_are_counted() -> None:
    shown = metrics()
    shown.observe_unparsed(Unparsed(RequestId("x"), 0, "198.51.100.7", Reason.FRAMING_AMBIGUOUS, ""))

    assert samples(shown)["requests_total{code=400,operation=none,resource=none,tenant=none}"] == 1


def test_a_node_is_in_one_state_at_a_time_and_its_changes_are_counted() -> None:
    shown = metrics()
    for state in ("out-of-service", "in-service", "out-of-service"):
        shown.observe_transition("jira", "jira-1:5501", state)
        shown.gauges.show_node("jira", "jira-1:5501", state, is_primary=state == "in-service")
    found = samples(shown)

    assert {name: found[name] for name in found if name.startswith("upstream_node_state{")} == {
        f"upstream_node_state{{node=jira-1:5501,state={state},tenant=jira}}": float(state == "out-of-service")
        for state in ("in-service", "out-of-service", "on-trial", "drained")
    }
    assert found["upstream_node_transitions_total{node=jira-1:5501,state=out-of-service,tenant=jira}"] == 2
    assert found["upstream_node_primary{node=jira-1:5501,tenant=jira}"] == 0


def test_a_flood_of_label_values_stays_bounded() -> None:
    shown = Metrics(["jira"], version="1", max_kinds=50)
    trail = trails.served()
    for number in range(600):
        trail.operation = trails.operation(f"user.odd{number}")
        trail.tenant_name, trail.answer = f"t{number}", Answer(number, (), b"")
        shown.observe(trail)
    requests = [name for name in samples(shown) if name.startswith("requests_total")]

    assert len(requests) == 51
    assert "requests_total{code=other,operation=other,resource=other,tenant=other}" in requests
    assert not [name for name in samples(shown) if "tenant=t" in name or "code=599" in name]


def test_neither_users_nor_addresses_nor_tokens_are_labels() -> None:
    shown = metrics()
    shown.observe(trails.served(operation=trails.write()))
    shown.observe(trails.turned_away())
    text = shown.render()[0].decode()

    for secret in ("ada@", "198.51.100", worlds.TOKEN, worlds.UPSTREAM_TOKEN, worlds.PATH, "hidden", trails.NODE):
        assert secret not in text


def test_names_and_help_follow_the_conventions_of_prometheus() -> None:
    shown = metrics()
    text, media_type = shown.render()
    families = list(text_string_to_metric_families(text.decode()))
    ours = [family for family in families if family.name.startswith("scim_gateway_")]

    assert media_type.startswith("text/plain; version=0.0.4")
    assert {family.name for family in families} >= {"process_open_fds", "python_gc_collections"}
    assert len(ours) == len(families) - sum(family.name.startswith(("process_", "python_")) for family in families)
    for family in ours:
        name = family.name + ("_total" if family.type == "counter" else "")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert name.endswith(BASE_UNITS) or name in WITHOUT_UNIT, name
        assert family.documentation.endswith("."), name
        assert not [sample for sample in family.samples if sample.name.endswith("_created")]


def test_a_counter_that_somebody_else_keeps_is_read_when_the_metrics_are() -> None:
    shown, kept = metrics(), Counter[str]()
    shown.follow("tls_handshakes", kept)
    kept["timeout"] += 2

    assert samples(shown)["tls_handshakes_total{result=timeout}"] == 2


def test_credentials_that_are_gone_are_forgotten() -> None:
    shown = metrics()
    shown.set_credentials({("jira", "okta-2027"): 1.9e9, ("jira", "eternal"): None}, ["jira"])
    shown.observe(trails.served())
    assert samples(shown)["credential_expiry_timestamp_seconds{credential=okta-2027,tenant=jira}"] == 1.9e9
    assert samples(shown)["credential_expiry_timestamp_seconds{credential=eternal,tenant=jira}"] == inf

    shown.set_credentials({("jira", "okta-2028"): 2e9}, ["jira"])
    shown.set_credentials({("jira", "okta-2028"): 2e9}, ["jira"])
    assert [name for name in samples(shown) if name.startswith("credential")] == [
        "credential_expiry_timestamp_seconds{credential=okta-2028,tenant=jira}"
    ]
    shown.observe(trails.served())  # one that was under way
    assert not [name for name in samples(shown) if name.startswith("credential_last_used")]


def test_a_last_use_outlives_settings_that_know_the_credential_and_no_others() -> None:
    shown, last_used = metrics(), "credential_last_used_timestamp_seconds{credential=okta-2027,tenant=jira}"
    shown.observe(trails.served())
    shown.set_credentials({("jira", "okta-2027"): None}, ["jira"])
    assert samples(shown)[last_used] == worlds.NOW

    shown.set_credentials({}, ["jira"])
    assert last_used not in samples(shown)


def test_how_far_a_way_out_of_the_audit_log_is_shows() -> None:
    shown = metrics()
    shown.show_sink("syslog", {"sent": 7, "gone": 1}, lag_lines=3, oldest_seconds=2.5)

    assert {name: value for name, value in samples(shown).items() if "{" in name and "sink=" in name} == {
        "audit_sink_events_total{result=sent,sink=syslog}": 7,
        "audit_sink_events_total{result=gone,sink=syslog}": 1,
        "audit_sink_lag_lines{sink=syslog}": 3,
        "audit_oldest_unshipped_seconds{sink=syslog}": 2.5,
    }


def test_a_tenant_of_new_settings_is_shown_by_its_name() -> None:
    shown = metrics()
    shown.set_credentials({}, ["jira", "wiki"])
    shown.observe(trails.turned_away(tenant_name="wiki"))

    assert samples(shown)["auth_attempts_total{result=credential-unknown,tenant=wiki}"] == 1


def test_counting_a_request_costs_next_to_nothing() -> None:
    # Twenty sums of a hundred numbers are 15 us on a machine of today, and more on a slower one.
    shown, trail = metrics(), trails.served()
    shown.observe(trail)
    cost = min(timeit.repeat(lambda: shown.observe(trail), number=100, repeat=20))
    measure = min(timeit.repeat(lambda: sum(range(100)), number=2000, repeat=20))

    assert cost <= measure


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_the_guard_said_is_counted_by_how_access_is_lost(verdict: Verdict) -> None:
    shown = metrics()
    for loss in ("deactivated", "deactivated", "removed", ""):
        shown.observe(trails.served(operation=trails.write(), judgement=Judgement(verdict, loss, ("1",))))
    found = {name: value for name, value in samples(shown).items() if name.startswith("guard_decisions")}

    assert found == {
        f"guard_decisions_total{{loss={loss},tenant=jira,verdict={verdict.value}}}": count
        for loss, count in (("deactivated", 2), ("removed", 1), ("none", 1))
    }


def test_what_the_guard_did_not_weigh_is_not_counted_as_decided() -> None:
    shown = metrics()
    shown.observe(trails.served(operation=trails.write()))

    assert not [name for name in samples(shown) if name.startswith("guard_decisions")]
