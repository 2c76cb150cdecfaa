"""Builders for facts: an instance with which all is well, and what may be otherwise."""

from __future__ import annotations

from typing import Any

from gateway.overview.facts import (
    AuditFacts,
    CertificateFacts,
    CredentialFacts,
    Facts,
    FeedFacts,
    NodeFacts,
    SinkFacts,
    TenantFacts,
)
from tests.worlds import NOW, PATH, PUBLIC_URL

DAY = 86_400.0


def credential(**changes: Any) -> CredentialFacts:
    plain: dict[str, Any] = {
        "name": "okta-2027",
        "state": "valid",
        "is_in_settings": True,
        "ends_at": NOW + 300 * DAY,
        "ended_at": None,
        "ended_by": "",
        "successor": "",
        "last_used_at": NOW - 5,
        "last_used_from": "192.0.2.1",
    }
    return CredentialFacts(**(plain | changes))


def ending(**changes: Any) -> CredentialFacts:
    """Rotated by Anna an hour ago, to end in three days, and not used since."""
    plain: dict[str, Any] = {"state": "ending", "ends_at": NOW + 3 * DAY, "ended_at": NOW - 3600, "ended_by": "anna"}
    return credential(**(plain | {"successor": "next", "last_used_at": NOW - 3601} | changes))


def node(**changes: Any) -> NodeFacts:
    plain: dict[str, Any] = {
        "name": "jira-1.internal:5501",
        "state": "in-service",
        "is_primary": True,
        "healthy": True,
        "note": "",
        "known_at": NOW - 1,
    }
    return NodeFacts(**(plain | changes))


def tenant(**changes: Any) -> TenantFacts:
    plain: dict[str, Any] = {
        "name": "jira",
        "client": "okta",
        "path": PATH,
        "nodes": (node(),),
        "credentials": (credential(),),
        "under_way": 1,
        "answers": {"ok": 118, "refused": 2},
        "guard_mode": "hold",
        "open_holds": 0,
        "held_writes": 0,
        "near_their_end": 0,
    }
    return TenantFacts(**(plain | changes))


def audit(**changes: Any) -> AuditFacts:
    plain: dict[str, Any] = {
        "directory": "/var/log/scim-gateway/audit",
        "last_line": 4711,
        "last_line_at": NOW - 3,
        "signed_line": 4700,
        "signed_at": NOW - 120,
        "problem": "",
        "sinks": (SinkFacts("syslog", 0, 0.0, ""),),
    }
    return AuditFacts(**(plain | changes))


def feed(**changes: Any) -> FeedFacts:
    plain: dict[str, Any] = {
        "name": "okta",
        "file": "/etc/okta.json",
        "networks": 120,
        "changed_at": NOW - 3 * DAY,
        "refused": "",
    }
    return FeedFacts(**(plain | changes))


def facts(**changes: Any) -> Facts:
    plain: dict[str, Any] = {
        "version": "0.1.0",
        "instance": "gw-1",
        "now": NOW,
        "started_at": NOW - 3 * DAY,
        "draining": False,
        "settings": "4c9f0e6d1b2a3344",
        "settings_since": NOW - DAY,
        "reload_problem": "",
        "public_url": PUBLIC_URL,
        "listens": "0.0.0.0:8443",
        "accepting": True,
        "connections": 12,
        "admin": "127.0.0.1:9443",
        "certificate": CertificateFacts(NOW + 60 * DAY, ""),
        "audit": audit(),
        "guard_problem": "",
        "credentials_problem": "",
        "credentials_count_since": NOW - 3 * DAY,
        "answers_since": NOW - 300,
        "feeds": (feed(),),
        "tenants": (tenant(),),
    }
    return Facts(**(plain | changes))
