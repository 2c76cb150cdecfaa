"""Builders and fakes for tests: settings, tenants, requests, clients, as short as a case needs them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.exchange import Client, Request, RequestId
from gateway.settings.models import Settings, Tenant
from gateway.wire.fields import Fields

TOKEN = "scimgw_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG_000000"
UPSTREAM_TOKEN = "inside-secret-of-the-application-0123456789"
PATH = "/scim/zbs848185728/v2"
PUBLIC_URL = "https://scim.example.com"
FIXTURES = Path(__file__).parent / "fixtures"
NOW = 1_800_000_000.0  # 2027-01-15


def sha256(secret: str) -> str:
    """As it stands in a settings file."""
    return hashlib.sha256(secret.encode()).hexdigest()


def tenant(**changes: Any) -> Tenant:
    """A tenant with one credential, TOKEN; keys as in a settings file."""
    plain: dict[str, Any] = {
        "path": PATH,
        "client": "okta",
        "upstream": ["http://jira-1.internal:5501"],
        "upstream_token": UPSTREAM_TOKEN,
        "credentials": [{"name": "okta-2027", "token_sha256": sha256(TOKEN)}],
    }
    return Tenant.model_validate(plain | changes)


def settings(directory: Path = Path("/nonexistent"), **sections: Any) -> Settings:
    """Settings with one tenant, `jira`; sections replace the ones here."""
    plain: dict[str, Any] = {
        "gateway": {"public_url": PUBLIC_URL, "state_directory": str(directory / "state")},
        "listen": {
            "address": "127.0.0.1:0",
            "certificate_file": str(directory / "fullchain.pem"),
            "key_file": str(directory / "key.pem"),
        },
        "admin": {"address": "127.0.0.1:0"},
        "audit": {"directory": str(directory / "audit")},
        "tenants": {"jira": tenant().model_dump(mode="python")},
    }
    return Settings.model_validate(plain | sections)


def request(method: str = "GET", target: str = PATH + "/Users", **changes: Any) -> Request:
    """A request as the server hands it to the pipeline; `fields` are pairs beside Host and Authorization."""
    fields = (("Host", "scim.example.com"), ("Authorization", f"Bearer {TOKEN}"), *changes.pop("fields", ()))
    plain: dict[str, Any] = {
        "id": RequestId("req-1"),
        "received_at": NOW,
        "address": "198.51.100.7",
        "method": method,
        "target": target,
        "version": (1, 1),
        "fields": Fields(fields),
        "has_body": method in ("POST", "PUT", "PATCH"),
    }
    return Request(**(plain | changes))


def client(path: str = "/Users", query: str | None = None, **changes: Any) -> Client:
    """An identified client of the tenant `jira`; `changes` are the tenant's."""
    return Client("jira", tenant(**changes), "okta-2027", path, query, PUBLIC_URL + PATH)


@dataclass(slots=True)
class FakeCaller:
    """Whoever waits for an answer; `hang_up` is what its connection would tell."""

    began_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    is_gone: bool = False
    on_gone: Callable[[], None] | None = None
    body: bytes = b""

    async def read_body(self, max_bytes: int, max_seconds: float) -> bytes:
        assert len(self.body) <= max_bytes
        assert max_seconds > 0
        return self.body

    def hang_up(self) -> None:
        self.is_gone = True
        if self.on_gone is not None:
            self.on_gone()
