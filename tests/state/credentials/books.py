"""Builders for what is known of credentials: two tenants of a settings file, and wishes that differ in what matters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.settings.models import Tenant
from gateway.state.credentials import Book, End, Wish
from tests.worlds import NOW, sha256, tenant

DAY = 86_400.0
OLD, OTHER, PASSWORD = sha256("old"), sha256("other"), sha256("a password")


def tenants(**jira: Any) -> dict[str, Tenant]:
    """`jira` with the token `okta-2026-11` for a year and the password `basic`; `confluence` with one for ever."""
    credentials = [
        {"name": "okta-2026-11", "token_sha256": OLD, "expires": datetime.fromtimestamp(NOW + 365 * DAY, UTC)},
        {"name": "basic", "username": "okta", "password_sha256": PASSWORD},
    ]
    return {
        "jira": tenant(**{"credentials": credentials, **jira}),
        "confluence": tenant(path="/scim/c/v2", credentials=[{"name": "for-ever", "token_sha256": OTHER}]),
    }


def wish(name: str = "new", **changes: Any) -> Wish:
    """Anna wants a token for a year, at NOW."""
    plain: dict[str, Any] = {
        "tenant": "jira",
        "name": name,
        "token_sha256": sha256(f"token {name}"),
        "expires_at": NOW + 365 * DAY,
        "by": "anna",
        "at": NOW,
    }
    return Wish(**(plain | changes))


def end(name: str = "okta-2026-11", tenant_name: str = "jira", at: float = NOW) -> End:
    """Anna revokes one."""
    return End(tenant_name, name, "revoked", at, at, "anna", reason="leaked")


EMPTY = Book()
