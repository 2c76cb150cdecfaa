"""What the checks of one visit share: whom they visit, with what, what is too slow, and what was answered."""

from __future__ import annotations

import shutil
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from gateway.doctor.findings import Finding, Grade
from gateway.journal.disk import Disk
from gateway.rehearsal.caller import Target, calling
from gateway.rehearsal.messages import OKTA, OKTA_AGENT, JsonObject, Manner
from gateway.rehearsal.replies import Reply
from gateway.settings.models import Settings, Tenant
from gateway.settings.problems import Problem
from gateway.settings.tokens import digest


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond what something is a warning, or a fault."""

    patience_seconds: float = 60.0  # Okta's; whoever is silent for longer has not answered
    connect_seconds: float = 10.0
    slow_seconds: float = 5.0
    too_slow_seconds: float = 45.0
    slow_sync_seconds: float = 0.05
    too_slow_sync_seconds: float = 1.0
    little_space_bytes: int = 1 << 30
    too_little_space_bytes: int = 128 << 20
    feed_days: int = 14
    skew_seconds: float = 30.0
    too_skewed_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """Settings as far as they can be used, and what is wrong with them."""

    settings: Settings | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer: what it was asked by, how long it took, and when it came (Unix seconds)."""

    what: str
    reply: Reply
    seconds: float
    at: float
    by_upstream: bool = False


@dataclass(slots=True)
class Visit:
    """Changes as the visit goes on; only checks and whoever runs them write it."""

    base_url: str
    token: str | None = field(repr=False)
    ca_file: Path | None = None  # None: the system's trust
    case: Case | None = None  # None: from elsewhere than the gateway's host
    limits: Limits = Limits()
    now: Callable[[], float] = time.time
    disk: Disk = field(default_factory=Disk)
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    findings: dict[str, Finding] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def settings(self) -> Settings | None:
        return self.case.settings if self.case else None

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.base_url).port or 443

    @property
    def manner(self) -> Manner:
        """The tenant's; from elsewhere only the base URL's end tells it: /v1 is the agent's."""
        if self.settings is not None:
            _, tenant = tenant_of(self.settings, self.token, self.base_url)
            return OKTA_AGENT if tenant.client.speaks_scim_1_1 else OKTA
        return OKTA_AGENT if self.base_url.endswith("/v1") else OKTA

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown, whoever says it."""
        tenants = self.settings.tenants.values() if self.settings else ()
        held = [secret for tenant in tenants for secret in (tenant.upstream_token, tenant.upstream_password)]
        inside = [secret.get_secret_value() for secret in held if secret is not None]
        return tuple(secret for secret in (self.token, *inside) if secret)

    def failed(self, check: str) -> bool:
        """Whether nothing can be built on that check."""
        found = self.findings.get(check)
        return found is not None and found.grade in (Grade.FAULT, Grade.SKIPPED)

    async def ask(
        self, method: str, target: str, body: JsonObject | None = None, *, authorization: str | None = None
    ) -> Reply:
        """One request below the base URL.

        Raises:
            Unanswered: no complete answer came.
        """
        # SECURITY: the token goes only to whom the certificate proves; strangers are shown made-up ones.
        trusted = authorization is None or not self.failed("certificate")
        tls = ssl.create_default_context(cafile=self.ca_file) if trusted else unverified_context()
        to = Target(self.base_url, self.token or "", tls, self.limits.patience_seconds)
        return await self.ask_of(to, self.manner, method, target, body=body, authorization=authorization)

    async def ask_of(  # noqa: PLR0913 - a request has these parts
        self,
        to: Target,
        manner: Manner,
        method: str,
        target: str,
        *,
        body: JsonObject | None = None,
        authorization: str | None = None,
        by_upstream: bool = False,
    ) -> Reply:
        """One request to whomever; its answer is kept for the checks on times, clocks and waits.

        Raises:
            Unanswered: no complete answer came.
        """
        async with calling(to, manner) as caller:
            started_at = perf_counter()
            reply = await caller.send(method, target, body, authorization=authorization)
            took = perf_counter() - started_at
        self.asked.append(Asked(f"{method} {target.partition('?')[0]}", reply, took, self.now(), by_upstream))
        return reply


def unverified_context() -> ssl.SSLContext:
    """For looking at somebody whose certificate is not accepted. Nothing secret may be sent through it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tenant_of(settings: Settings, token: str | None, base_url: str = "") -> tuple[str, Tenant]:
    """The tenant that is visited: the one of the URL, or the one that the token opens, or the first."""
    for name, tenant in settings.tenants.items():
        if urlsplit(base_url).path == tenant.path:
            return name, tenant
    for name, tenant in settings.tenants.items():
        if token and digest(token) in [credential.token_sha256 for credential in tenant.credentials]:
            return name, tenant
    return next(iter(settings.tenants.items()))
