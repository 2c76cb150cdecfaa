"""What must hold between settings: each rule broken, by a table, and what comes close to breaking it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.settings.models import Settings
from gateway.settings.rules import judge

DIGEST, OTHER_DIGEST = "1" * 64, "2" * 64
GOOD: dict[str, Any] = {
    "path": "/scim/a/v2",
    "upstream": ["http://jira.internal:5501"],
    "upstream_token": "t",
    "credentials": [{"name": "one", "token_sha256": DIGEST}],
}


def found(tenants: dict[str, dict[str, Any]], **sections: Any) -> list[tuple[str, str]]:
    raw = {
        "gateway": {"public_url": "https://scim.example.com"},
        "listen": {"certificate_file": "c", "key_file": "k"},
        "tenants": tenants,
        **sections,
    }
    return [(problem.key, problem.severity) for problem in judge(Settings.model_validate(raw))]


def other(**values: Any) -> dict[str, Any]:
    return {**GOOD, "path": "/scim/b/v2", "credentials": [{"name": "one", "token_sha256": OTHER_DIGEST}], **values}


def test_good_settings_break_no_rule() -> None:
    assert found({"jira": GOOD, "wiki-2": other()}, sources={"okta": {"file": "f"}}) == []


@pytest.mark.parametrize(
    ("one", "two", "overlap"),
    [
        ("/scim/a", "/scim/a", True),
        ("/scim/a", "/scim/a/v2", True),
        ("/scim/a/v2", "/scim/a", True),
        ("/scim/a", "/scim/ab", False),
        ("/scim/A", "/scim/a", False),
    ],
)
def test_paths_overlap_by_whole_segments(one: str, two: str, overlap: bool) -> None:
    problems = found({"jira": {**GOOD, "path": one}, "wiki": other(path=two)})

    assert problems == ([("tenants.wiki.path", "error")] if overlap else [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"credentials": []}, ("credentials", "warning")),
        ({"upstream": ["http://a.internal", "http://b.internal"]}, None),
        ({"upstream": ["http://a.internal", "http://a.internal"]}, ("upstream.1", "error")),
        ({"upstream": ["http://a.internal", "http://a.internal:80"]}, ("upstream.1", "error")),
        ({"upstream": ["http://a.internal", "http://A.internal"]}, ("upstream.1", "error")),
        ({"upstream": ["http://a.internal:80", "https://a.internal:80"]}, ("upstream.1", "error")),
        ({"upstream": ["http://a.internal:1", "http://a.internal:2"]}, None),
        (
            {"upstream": ["http://a.internal", "http://b.internal"], "upstream_drained": ["http://b.internal"]},
            None,
        ),
        ({"upstream_drained": ["http://b.internal"]}, ("upstream_drained.0", "error")),
        ({"upstream_drained": ["http://jira.internal:5501"]}, ("upstream_drained", "warning")),
        ({"upstream_token_file": "f"}, ("upstream_token", "error")),
        ({"upstream_username": "u", "upstream_password": "p"}, ("upstream_token", "error")),
        ({"upstream_token": None, "upstream_username": "u"}, ("upstream_username", "error")),
        ({"upstream_token": None, "upstream_password": "p"}, ("upstream_username", "error")),
        ({"upstream_token": None}, ("upstream_token_file", "warning")),
        ({"upstream": ["https://a.internal"], "upstream_key_file": "k"}, ("upstream_key_file", "error")),
        (
            {"upstream": ["https://a.internal"], "upstream_certificate_file": "c"},
            ("upstream_certificate_file", "error"),
        ),
        ({"upstream_ca_file": "c"}, ("upstream_ca_file", "error")),
        ({"upstream": ["http://jira.example.com"]}, ("upstream.0", "warning")),
        ({"upstream": ["http://203.0.113.1"]}, None),  # documentation addresses are not global
        ({"upstream": ["http://8.8.8.8"]}, ("upstream.0", "warning")),
        ({"upstream": ["http://10.1.2.3:5501"]}, None),
        ({"upstream": ["http://jira:5501"]}, None),
        ({"upstream": ["https://jira.example.com"]}, None),
        ({"sources": ["azure:x"]}, ("sources.0", "error")),
    ],
)
def test_each_rule_names_the_key_that_breaks_it(change: dict[str, Any], problem: tuple[str, str] | None) -> None:
    expected = [] if problem is None else [(f"tenants.jira.{problem[0]}", problem[1])]

    assert found({"jira": {**GOOD, **change}}) == expected


def test_a_name_is_given_once_in_a_tenant_and_a_secret_once_in_all() -> None:
    twice = [{"name": "one", "token_sha256": DIGEST}, {"name": "one", "token_sha256": OTHER_DIGEST}]

    assert found({"jira": {**GOOD, "credentials": twice}, "wiki": other()}) == [
        ("tenants.jira.credentials.1.name", "error"),
        ("tenants.wiki.credentials.0.token_sha256", "error"),
    ]


def test_two_users_may_share_a_password_by_chance() -> None:
    basic = [{"name": n, "username": n, "password_sha256": DIGEST} for n in ("one", "two")]

    assert found({"jira": {**GOOD, "credentials": basic}}) == []


@pytest.mark.parametrize("name", ["Jira", "a b", "-a", "a__b", "", "a\x1b[31m", "a" * 65])
def test_a_name_that_would_spoil_a_label_is_refused(name: str) -> None:
    ((key, severity),) = found({name: GOOD})

    assert severity == "error"
    assert key.startswith("tenants.")
    assert "\x1b" not in key


@pytest.mark.parametrize(
    ("public", "admin", "taken"),
    [
        ("127.0.0.1:8443", "127.0.0.1:8443", True),
        ("0.0.0.0:8443", "127.0.0.1:8443", True),
        ("127.0.0.1:8443", "127.0.0.2:8443", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_two_listeners_need_two_addresses(public: str, admin: str, taken: bool) -> None:
    listen = {"certificate_file": "c", "key_file": "k", "address": public}

    assert bool(found({"jira": GOOD}, listen=listen, admin={"address": admin})) is taken


@pytest.mark.parametrize(
    ("alerts", "problems"),
    [
        ({}, []),
        ({"webhook_url": "https://pager.example.com/x", "webhook_token": "t"}, []),
        ({"webhook_url": "https://pager.example.com/x", "webhook_token_file": "f"}, []),
        ({"webhook_url": "http://pager.internal/x"}, []),
        ({"webhook_url": "http://pager.internal/x", "webhook_token": "t"}, [("alerts.webhook_url", "warning")]),
        ({"webhook_token_file": "f"}, [("alerts.webhook_token_file", "error")]),
        (
            {"webhook_url": "https://pager.example.com", "webhook_token": "t", "webhook_token_file": "f"},
            [("alerts.webhook_token", "error")],
        ),
    ],
)
def test_an_alert_has_a_place_to_go_and_one_token(alerts: dict[str, str], problems: list[tuple[str, str]]) -> None:
    assert found({"jira": GOOD}, alerts=alerts) == problems


@pytest.mark.parametrize(
    ("client", "hours", "warned"),
    [("okta", 72, False), ("okta", 85, True), ("okta-agent", 100, True), ("entra", 100, False)],
)
def test_a_hold_longer_than_okta_waits_is_worth_a_word(client: str, hours: int, warned: bool) -> None:
    problems = found({"jira": {**GOOD, "client": client, "guard": {"hold_hours": hours}}})

    assert problems == ([("tenants.jira.guard.hold_hours", "warning")] if warned else [])


@pytest.mark.parametrize(
    ("syslog", "problems"),
    [
        ({}, []),
        ({"certificate_file": "c", "key_file": "k"}, []),
        ({"certificate_file": "c"}, [("audit.syslog.certificate_file", "error")]),
        ({"key_file": "k"}, [("audit.syslog.key_file", "error")]),
    ],
)
def test_a_certificate_for_the_syslog_server_has_its_key(
    syslog: dict[str, str], problems: list[tuple[str, str]]
) -> None:
    assert found({"jira": GOOD}, audit={"syslog": {"address": "logs.internal:6514", **syslog}}) == problems


@pytest.mark.parametrize(
    ("metrics", "problems"),
    [
        ({}, []),
        ({"address": "0.0.0.0:9464"}, []),
        ({"address": "0.0.0.0:9464", "certificate_file": "c", "key_file": "k"}, []),
        ({"address": "0.0.0.0:9464", "certificate_file": "c"}, [("metrics.certificate_file", "error")]),
        ({"address": "0.0.0.0:9464", "key_file": "k"}, [("metrics.key_file", "error")]),
        ({"certificate_file": "c", "key_file": "k"}, [("metrics.certificate_file", "error")]),
        ({"address": "127.0.0.1:9443"}, [("metrics.address", "error")]),
        ({"address": "127.0.0.1:8443"}, [("metrics.address", "error")]),
        ({"address": "[::]:9443"}, [("metrics.address", "error")]),
        ({"address": "192.0.2.1:9443"}, []),
    ],
)
def test_metrics_have_a_whole_listener_of_their_own_or_none(
    metrics: dict[str, str], problems: list[tuple[str, str]]
) -> None:
    assert found({"jira": GOOD}, metrics=metrics) == problems


@pytest.mark.parametrize(
    ("listen", "problems"),
    [
        ({}, []),
        ({"proxy_protocol": "required", "trusted_proxies": ["10.0.0.5"]}, []),
        ({"forwarded_header": "forwarded", "trusted_proxies": ["10.0.0.5"]}, []),
        ({"proxy_protocol": "required"}, [("listen.trusted_proxies", "error")]),
        ({"forwarded_header": "x-forwarded-for"}, [("listen.trusted_proxies", "error")]),
        ({"trusted_proxies": ["10.0.0.5"]}, [("listen.trusted_proxies", "warning")]),
    ],
)
def test_a_clients_address_is_taken_from_named_proxies_alone(
    listen: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    assert found({"jira": GOOD}, listen={"certificate_file": "c", "key_file": "k", **listen}) == problems
