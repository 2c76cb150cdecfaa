"""The settings as frozen values: what gateway.toml may say, with every default. Pure.

A model judges a value by itself (`settings.values` says in what form); what takes two values is `settings.rules`,
what takes a look at files and certificates is `settings.checking`, and reading it all, with every problem listed at
once, is `settings.reading`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.settings.operators import AdminSection, MetricsSection, Section
from gateway.settings.values import (
    Extension,
    HostPort,
    ListenAddress,
    Network,
    OperationPattern,
    PlainPath,
    ProxyNetwork,
    PublicUrl,
    RecordedAttribute,
    ServerAddress,
    SettingsPath,
    Source,
    UpstreamUrl,
    WebUrl,
    host_and_port,
)

__all__ = [
    "AdminSection",
    "AlertsSection",
    "AuditSection",
    "Client",
    "Credential",
    "GatewaySection",
    "GuardSection",
    "HostPort",
    "LimitsSection",
    "ListenSection",
    "MetricsSection",
    "Network",
    "Settings",
    "SourceFeed",
    "StdoutSection",
    "SyslogSection",
    "Tenant",
    "TenantAuditSection",
]

Facility = Literal[
    "auth", "authpriv", "audit",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]  # fmt: skip

SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class Client(Enum):
    """Who calls: its dialect, and how "come back later" is said (Okta retries by itself on 429 only)."""

    OKTA = "okta"
    OKTA_AGENT = "okta-agent"
    ENTRA = "entra"
    GENERIC = "generic"

    @property
    def comes_back_on_429_only(self) -> bool:
        return self in (Client.OKTA, Client.OKTA_AGENT)

    @property
    def speaks_scim_1_1(self) -> bool:
        return self is Client.OKTA_AGENT


class GatewaySection(Section):
    """[gateway]: what the instance is called, and where it keeps what it must remember."""

    public_url: PublicUrl = Field(
        description="The https URL under which clients reach the gateway: https://host or https://host:port, no path. "
        "Every link in an answer starts with it, and no other Host is served."
    )
    state_directory: SettingsPath = Field(
        Path("/var/lib/scim-gateway"), description="Where the instance keeps its state; belongs to one instance."
    )
    drain_seconds: float = Field(
        55, gt=0, le=600, description="How long a stop waits for requests in flight (longer than a request's budget)."
    )
    drain_delay_seconds: float = Field(
        0, ge=0, le=600, description="How long /readyz says 503 before new connections are refused."
    )

    @property
    def public_host(self) -> str:
        """The host alone, in lower case; an IPv6 address without brackets."""
        return self._public[0]

    @property
    def public_authorities(self) -> frozenset[str]:
        """Every Host that means us, in lower case: the port may be left out where it is https's own, 443."""
        host, port = self._public
        written = f"[{host}]" if ":" in host else host
        return frozenset({f"{written}:{port}"} | ({written} if port == 443 else set()))

    @property
    def _public(self) -> tuple[str, int]:
        return host_and_port(self.public_url)


class ListenSection(Section):
    """[listen]: what the client calls."""

    address: ListenAddress = Field(
        "0.0.0.0:8443",
        description="host:port to listen on; port 0 takes any free one.",
    )
    certificate_file: SettingsPath = Field(
        description="PEM: the certificate and every intermediate one, in that order; swapped when the file changes."
    )
    key_file: SettingsPath = Field(description="PEM: the private key, without a passphrase; for the gateway alone.")
    proxy_protocol: Literal["off", "required"] = Field(
        "off", description="required: each connection begins with a PROXY protocol header (version 1 or 2), before TLS."
    )
    forwarded_header: Literal["none", "x-forwarded-for", "forwarded"] = Field(
        "none", description="Where proxies that end TLS name the client; the other header is never looked at."
    )
    trusted_proxies: tuple[ProxyNetwork, ...] = Field(
        (), description="Networks whose word on the client's address is taken: of those that connect, and of their own."
    )
    max_connections: int = Field(1000, ge=1, le=100_000, description="Open connections at most.")
    max_handshakes: int = Field(64, ge=1, le=10_000, description="TLS handshakes under way at most.")
    handshake_seconds: float = Field(10, gt=0, le=120, description="A TLS handshake takes at most this long.")
    head_seconds: float = Field(10, gt=0, le=120, description="A request's head arrives within this time.")
    body_seconds: float = Field(20, gt=0, le=120, description="A request's body arrives within this time.")
    write_seconds: float = Field(20, gt=0, le=120, description="An answer is taken by the client within this time.")
    idle_seconds: float = Field(75, gt=0, le=3600, description="A kept-alive connection may be silent for this long.")
    max_line_bytes: int = Field(8190, ge=1024, le=65536, description="A request line, and one field, at most.")
    max_fields: int = Field(64, ge=16, le=256, description="Header fields of one request at most.")

    @property
    def endpoint(self) -> HostPort:
        """`address`, taken apart."""
        return HostPort.parse(self.address)


class SyslogSection(Section):
    """[audit.syslog]: a syslog server (RFC 5424) that gets every line, over TLS alone (RFC 5425)."""

    address: ServerAddress = Field(description="host:port of the server; 6514 is the port of syslog over TLS.")
    ca_file: SettingsPath | None = Field(
        None, description="PEM: who may certify the server, if not the system's authorities."
    )
    certificate_file: SettingsPath | None = Field(None, description="PEM: the client certificate shown to the server.")
    key_file: SettingsPath | None = Field(None, description="PEM: its private key, without a passphrase.")
    format: Literal["json", "ocsf"] = Field("json", description="json: the line as it stands on disk; ocsf: OCSF 1.4.")
    facility: Facility = Field("authpriv", description="auth, authpriv, audit, or local0 to local7.")

    @property
    def endpoint(self) -> HostPort:
        """`address`, taken apart."""
        return HostPort.parse(self.address)


class StdoutSection(Section):
    """[audit.stdout]: every line on standard output as well, for those who collect what a container prints."""

    format: Literal["json", "ocsf"] = Field("json", description="json: the line as it stands on disk; ocsf: OCSF 1.4.")


class AuditSection(Section):
    """[audit]: the record of every request."""

    directory: SettingsPath = Field(
        Path("/var/log/scim-gateway/audit"), description="Where the audit log is written; belongs to one instance."
    )
    on_failure: Literal["refuse", "serve-reads"] = Field(
        "refuse", description="When the log cannot be written: refuse everything, or go on serving reads."
    )
    key_file: SettingsPath | None = Field(
        None, description="The Ed25519 key (PEM) that signs checkpoints; else one is made in the state directory."
    )
    max_segment_mib: int = Field(64, ge=1, le=1024, description="A file of the log is at most so large.")
    max_segment_hours: int = Field(24, ge=1, le=8784, description="After so many hours a new file begins.")
    keep_days: int | None = Field(
        None, ge=1, le=36_600, description="Older files are deleted, on record; by default none ever is."
    )
    syslog: SyslogSection | None = Field(None, description="A syslog server that gets every line.")
    stdout: StdoutSection | None = Field(None, description="Every line on standard output as well.")


class AlertsSection(Section):
    """[alerts]: whom to tell at once when somebody must decide."""

    webhook_url: WebUrl | None = Field(
        None, description="Gets a JSON object by POST for each alert, such as a held wave."
    )
    webhook_token: SecretStr | None = Field(None, description="The bearer token to show there; better in a file.")
    webhook_token_file: SettingsPath | None = Field(None, description="A file that holds that token.")


class GuardSection(Section):
    """[tenants.NAME.guard]: how many people may lose access within a time before somebody must say yes."""

    mode: Literal["hold", "observe", "off"] = Field(
        "hold", description="hold: a wave waits for a person; observe: the record says what would have been held; off."
    )
    people: int = Field(20, ge=1, le=1_000_000, description="More people than this losing access is a wave.")
    share: float = Field(
        0.2, gt=0, le=1, description="In a small directory, more than this share of it is one too (3 people at least)."
    )
    window_seconds: int = Field(3600, ge=60, le=604_800, description="Within this time.")
    hold_hours: float = Field(
        72,
        gt=0,
        le=336,
        description="A wave that nobody has decided on by then is denied; Okta gives up after 85 hours.",
    )
    directory_size: int | None = Field(
        None, ge=1, le=100_000_000, description="How many people there are; else the upstream is asked now and then."
    )
    exempt_groups: tuple[str, ...] = Field(
        (), description="Groups, by id or displayName, whose members may come and go as they like."
    )


class TenantAuditSection(Section):
    """[tenants.NAME.audit]: what the record holds beside names of attributes."""

    values: tuple[RecordedAttribute, ...] = Field(
        (),
        max_length=64,
        description='Attributes whose written values go on record, such as "title" or "department"; never secrets.',
    )


class LimitsSection(Section):
    """[tenants.NAME.limits]; generous on purpose, for Okta comes in bursts."""

    requests_per_second: float = Field(50, gt=0, le=100_000, description="Sustained rate.")
    burst: int = Field(200, ge=1, le=1_000_000, description="Requests that may come at once above the rate.")
    concurrent: int = Field(32, ge=1, le=10_000, description="Requests under way at once.")
    connections: int = Field(
        32, ge=1, le=10_000, description="Requests to one node of the upstream at once; more wait for their place."
    )
    first_byte_seconds: float = Field(
        30,
        gt=0,
        le=59,
        description="A node that begins no answer to a read within this time is given up; another one is asked.",
    )
    budget_seconds: float = Field(
        50, gt=0, le=59, description="Everything a request may take; Okta hangs up after 60 s of silence."
    )
    max_body_bytes: int = Field(1 << 20, ge=1024, le=64 << 20, description="A request's body at most.")
    max_answer_bytes: int = Field(16 << 20, ge=1024, le=256 << 20, description="An upstream answer's body at most.")

    @property
    def write_needs_seconds(self) -> float:
        """A write does not leave with less than this of its budget: cut short, its outcome would be unknown."""
        return min(20.0, 0.4 * self.budget_seconds)


class Credential(Section):
    """[[tenants.NAME.credentials]]: a secret of the client. Exactly one of token_sha256, token_file, password_sha256.

    Reading a token_file adds its token_sha256, so whoever identifies a client looks at digests alone.
    """

    name: str = Field(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$", description="Its name on record, once per tenant."
    )
    token_sha256: str | None = Field(None, description="SHA-256 of the bearer token, hexadecimal.")
    token_file: SettingsPath | None = Field(None, description="A file that holds the bearer token itself.")
    username: str | None = Field(None, min_length=1, max_length=256, description="Basic authentication: the user name.")
    password_sha256: str | None = Field(None, description="Basic authentication: SHA-256 of the password, hexadecimal.")
    expires: datetime | None = Field(None, description="The moment it ends, with a time zone: 2027-11-23T00:00:00Z.")

    @field_validator("token_sha256", "password_sha256")
    @classmethod
    def _digest_is_complete(cls, digest: str | None) -> str | None:
        if digest is None:
            return None
        if not SHA256_HEX.fullmatch(digest.lower()):
            msg = f"must be 64 hexadecimal digits (a SHA-256 digest); this has {len(digest)} characters"
            raise ValueError(msg)
        return digest.lower()

    @field_validator("username")
    @classmethod
    def _username_can_be_sent(cls, username: str | None) -> str | None:
        if username is not None and ":" in username:  # RFC 7617 section 2
            msg = "must hold no ':'; Basic authentication cannot say it"
            raise ValueError(msg)
        return username

    @field_validator("expires")
    @classmethod
    def _moment_has_a_zone(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is None:
            msg = "needs a time zone, such as 2027-11-23T00:00:00Z"
            raise ValueError(msg)
        return moment

    @model_validator(mode="after")
    def _secret_is_one(self) -> Credential:
        given = [n for n in ("token_sha256", "token_file", "password_sha256") if getattr(self, n) is not None]
        if len(given) != 1:
            msg = "needs exactly one of token_sha256, token_file, or username with password_sha256"
            raise ValueError(msg)
        if (self.username is None) != (self.password_sha256 is None):
            msg = "username and password_sha256 go together"
            raise ValueError(msg)
        return self


class Tenant(Section):
    """[tenants.NAME]: one pairing of a client with an upstream."""

    path: PlainPath = Field(
        description="The public path, up to and with /v2 (or /v1 for okta-agent); what Okta's Base URL ends with."
    )
    client: Client = Field(Client.OKTA, description="Who calls: okta, okta-agent, entra or generic.")
    upstream: tuple[UpstreamUrl, ...] = Field(
        min_length=1,
        description="The SCIM service's nodes, http://host:port or https://host:port. The first serves while it can.",
    )
    upstream_drained: tuple[UpstreamUrl, ...] = Field(
        (), description="Nodes of `upstream` that get no requests for now, as for their maintenance."
    )
    upstream_path: PlainPath | None = Field(None, description="The path there, if it is another than the public one.")
    upstream_token: SecretStr | None = Field(None, description="The bearer token of the upstream; better in a file.")
    upstream_token_file: SettingsPath | None = Field(None, description="A file that holds the upstream's bearer token.")
    upstream_username: str | None = Field(
        None, min_length=1, max_length=256, description="Basic authentication at the upstream: the user name."
    )
    upstream_password: SecretStr | None = Field(None, description="Its password; better in a file.")
    upstream_password_file: SettingsPath | None = Field(None, description="A file that holds the password.")
    upstream_ca_file: SettingsPath | None = Field(
        None, description="PEM: who may certify an https upstream, if not the system's."
    )
    upstream_certificate_file: SettingsPath | None = Field(
        None, description="PEM: the client certificate shown to an https upstream."
    )
    upstream_key_file: SettingsPath | None = Field(None, description="PEM: its private key, without a passphrase.")
    sources: tuple[Source, ...] = Field(
        (),
        description='Networks that may call: CIDRs, or feeds as "okta:us_cell_1"; empty: from anywhere.',
    )
    sync_passwords: bool = Field(False, description="Pass `password` on; else it is dropped from writes.")
    operations: tuple[OperationPattern, ...] = Field(
        ("*",), description='Operations that may pass, such as "user.*" or "group.members.add".'
    )
    extensions: tuple[Extension, ...] = Field((), description='Further endpoints, such as "Roles" (Okta entitlements).')
    credentials: tuple[Credential, ...] = Field(
        (), description="The client's secrets; several may be valid at once, so that one can be changed without a gap."
    )
    limits: LimitsSection = LimitsSection()
    guard: GuardSection = GuardSection()
    audit: TenantAuditSection = TenantAuditSection()


class SourceFeed(Section):
    """[sources.NAME]: a file of networks, in the form of Okta's ip_ranges.json or of Azure's ServiceTags file."""

    file: SettingsPath = Field(description="The file; reread when it changes.")


class Settings(Section):
    """A whole settings file."""

    gateway: GatewaySection = Field(description="The instance itself.")
    listen: ListenSection = Field(description="What the client calls.")
    admin: AdminSection = Field(AdminSection(), description="Health and metrics.")
    metrics: MetricsSection = Field(MetricsSection(), description="Where /metrics is.")
    audit: AuditSection = Field(AuditSection(), description="The record of every request.")
    alerts: AlertsSection = Field(AlertsSection(), description="Whom to tell when somebody must decide.")
    tenants: Mapping[str, Tenant] = Field(min_length=1, description="Each pairing of a client with an upstream.")
    sources: Mapping[str, SourceFeed] = Field({}, description="Feeds of networks that tenants may name.")
