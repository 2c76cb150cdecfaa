"""What `init` is told and decides: options and answers become a plan. Nothing is written here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gateway.cli.check import DEFAULT_CONFIG
from gateway.cli.wizard import FIRST_UNPRIVILEGED_PORT, Wizard
from gateway.settings.models import Client
from gateway.settings.tokens import digest, make_token
from gateway.settings.values import FeedCell, HostPort, host_and_port, parse_source
from gateway.settings.writing import Plan

SYSTEM_DIRECTORY = Path(DEFAULT_CONFIG).parent
_NAME = Path(DEFAULT_CONFIG).name


@dataclass(frozen=True, slots=True)
class Options:
    """What was said on the command line; None: not."""

    directory: Path
    public_url: str | None
    listen: str | None
    admin: str
    certificate_file: str | None
    key_file: str | None
    development_certificate: bool
    upstream: str | None
    upstream_secret_file: str | None
    client: str | None
    path: str | None
    sources: str | None
    feed: str | None
    tenant: str | None
    state_directory: str | None
    audit_directory: str | None
    token_name: str | None
    expires_days: int
    owner: str | None

    @property
    def config(self) -> Path:
        return self.directory / _NAME


@dataclass(frozen=True, slots=True)
class Decided:
    """Everything that is to be written, and shown once."""

    plan: Plan
    secret: str = field(repr=False)
    token: str = field(repr=False)


def decide(wizard: Wizard, options: Options) -> Decided:
    """All questions, in the order in which somebody knows the answers; nothing is written yet."""
    directory = options.directory
    wizard.look_at_way(directory)
    public_url = wizard.public_url(options.public_url)
    host, port = host_and_port(public_url)
    listen, admin = _listeners(wizard, options, port)
    certificate, key = _pair(wizard, options, host)
    nodes = wizard.upstream(options.upstream)
    client = wizard.client(options.client)
    text = "Public path, which the client's base URL ends with"
    path = wizard.path("--path", text, options.path, nodes.path)
    tenant_settings: dict[str, object] = {
        "path": path, "client": client, "upstream": nodes.origins, "upstream_path": nodes.path,
    }  # fmt: skip
    secret = wizard.secret(options.upstream_secret_file, tenant_settings, nodes.reached)
    sources, feeds = _sources(wizard, options, client)
    tenant = wizard.tenant(options.tenant, directory / "secrets")
    state, audit = _directories(wizard, options)
    token, now = make_token(secrets.choice), datetime.now(UTC)
    plan = Plan(
        public_url=public_url,
        listen=listen,
        certificate_file=str(certificate or "tls/fullchain.pem"),
        key_file=str(key or "tls/key.pem"),
        admin=admin,
        state_directory=state,
        audit_directory=audit,
        tenant=tenant,
        path=path,
        client=client,
        upstream=nodes.origins,
        upstream_path=nodes.path,
        upstream_token_file=f"secrets/{tenant}",
        sources=sources,
        feeds=feeds,
        credential_name=wizard.credential_name(options.token_name, f"{client.value}-{now:%Y-%m}"),
        token_sha256=digest(token),
        expires=(now + timedelta(days=options.expires_days)).replace(hour=0, minute=0, second=0, microsecond=0),
        is_trial=certificate is None,
    )
    return Decided(plan, secret, token)


def _listeners(wizard: Wizard, options: Options, public_port: int) -> tuple[str, str]:
    """The address that clients reach, and the operators' one."""
    default = f"0.0.0.0:{public_port if public_port >= FIRST_UNPRIVILEGED_PORT else 8443}"
    listen = wizard.listen("--listen", "Address to listen on", options.listen, default)
    admin = wizard.listen("--admin", "Address of health and metrics", options.admin, "127.0.0.1:9443")
    if HostPort.parse(admin).port == HostPort.parse(listen).port != 0:
        raise click.BadParameter(f"has the port of --listen ({listen}): give it another", param_hint="--admin")
    return listen, admin


def _pair(wizard: Wizard, options: Options, host: str) -> tuple[Path | None, Path | None]:
    """Certificate and key; none: they are made."""
    if options.development_certificate:
        if options.certificate_file or options.key_file:
            raise click.UsageError("--development-certificate makes both: leave out --certificate-file and --key-file")
        return None, None
    if wizard.asker.with_defaults and options.certificate_file is None:
        raise click.UsageError(
            "--certificate-file and --key-file are needed with --yes; for a trial, --development-certificate"
        )
    certificate = wizard.certificate(options.certificate_file, host)
    return (certificate, wizard.key(options.key_file, certificate)) if certificate else (None, None)


def _sources(wizard: Wizard, options: Options, client: Client) -> tuple[tuple[str, ...], dict[str, str]]:
    """Networks, and the file of each feed that they name."""
    sources = wizard.sources(options.sources, client)
    names = dict.fromkeys(cell.feed for cell in map(parse_source, sources) if isinstance(cell, FeedCell))
    if options.feed is not None and len(names) != 1:
        raise click.BadParameter("goes with --sources of exactly one feed, such as okta:us_cell_1", param_hint="--feed")
    defaults = {"okta": "okta-ip-ranges.json", "azure": "azure-service-tags.json"}
    return sources, {
        name: str(wizard.feed(name, options.feed, options.directory / defaults.get(name, f"{name}.json"), sources))
        for name in names
    }


def _directories(wizard: Wizard, options: Options) -> tuple[str, str]:
    is_system = options.directory == SYSTEM_DIRECTORY
    state, audit = ("/var/lib/scim-gateway", "/var/log/scim-gateway/audit") if is_system else ("state", "audit")
    base = options.directory
    return (
        wizard.directory(
            "--state-directory", "Directory for what must be remembered", options.state_directory, state, base
        ),
        wizard.directory("--audit-directory", "Directory for the audit log", options.audit_directory, audit, base),
    )
