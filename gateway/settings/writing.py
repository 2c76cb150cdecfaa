"""A first settings file, from what somebody decided: with comments, for they will read it again. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.settings.models import Client


@dataclass(frozen=True, slots=True)
class Plan:
    """What a first settings file says; paths as they shall stand in it, relative ones from the file."""

    public_url: str
    listen: str
    certificate_file: str
    key_file: str
    admin: str
    state_directory: str
    audit_directory: str
    tenant: str
    path: str
    client: Client
    upstream: tuple[str, ...]
    upstream_path: str | None  # None: as `path`
    upstream_token_file: str
    sources: tuple[str, ...]
    feeds: Mapping[str, str]  # name -> file
    credential_name: str
    token_sha256: str
    expires: datetime
    is_trial: bool = False  # before an application with hardly anybody in it

    @property
    def base_url(self) -> str:
        """What the client is told."""
        return self.public_url + self.path


def settings_text(plan: Plan) -> str:
    """The file; every setting that is left out has a default."""
    return "\n\n".join((_HEAD, *_instance(plan), *_tenant(plan), *_feeds(plan))) + "\n"


_HEAD = """\
# Written by `scim-gateway init`. `scim-gateway check` lists every mistake at once; relative paths start at this file.
# deploy/gateway.example.toml shows what else can be set. A reload (SIGHUP) takes changes, all or none."""


_MANY_PEOPLE = """
directory_size = 1000   # for the trial alone: in an almost empty directory the fourth one who leaves is a wave"""


def _instance(plan: Plan) -> tuple[str, ...]:
    return (
        f"""\
[gateway]
public_url = {_quoted(plan.public_url)}   # links in answers begin with it; no other host is served
state_directory = {_quoted(plan.state_directory)}""",
        f"""\
[listen]   # what the client calls
address = {_quoted(plan.listen)}
certificate_file = {_quoted(plan.certificate_file)}   # with the intermediate certificates; taken anew when it changes
key_file = {_quoted(plan.key_file)}   # mode 600""",
        f"""\
[admin]   # health and metrics, for you
address = {_quoted(plan.admin)}""",
        f"""\
[audit]   # the record of every request
directory = {_quoted(plan.audit_directory)}
# keep_days = 3650   # else it is kept for ever""",
    )


def _tenant(plan: Plan) -> tuple[str, ...]:
    nodes = ", ".join(map(_quoted, plan.upstream))
    inside = plan.upstream_path
    lines = [
        f"[tenants.{plan.tenant}]",
        f"path = {_quoted(plan.path)}   # what the client's base URL ends with",
        f"client = {_quoted(plan.client.value)}   # okta, okta-agent, entra, generic",
        f"upstream = [{nodes}]   # the application's nodes: the first serves while it can",
        *([f"upstream_path = {_quoted(inside)}   # the path there"] if inside and inside != plan.path else []),
        f"upstream_token_file = {_quoted(plan.upstream_token_file)}   # the application's secret; mode 600",
        f"sources = [{', '.join(map(_quoted, plan.sources))}]   # networks that may call; empty: from anywhere",
    ]
    credential = f"""\
[[tenants.{plan.tenant}.credentials]]   # several may be valid at once, so that one can be changed without a gap
name = {_quoted(plan.credential_name)}
token_sha256 = {_quoted(plan.token_sha256)}
expires = {plan.expires:%Y-%m-%dT%H:%M:%SZ}"""
    guard = f"""\
[tenants.{plan.tenant}.guard]   # a wave of lost access waits for a person: docs/guard.md
mode = "hold"   # hold, observe (only says what it would have held), off
people = 20"""
    return "\n".join(lines), credential, guard + (_MANY_PEOPLE if plan.is_trial else "")


def _feeds(plan: Plan) -> tuple[str, ...]:
    return tuple(
        f"[sources.{name}]   # published networks, fetched by you\nfile = {_quoted(file)}"
        for name, file in plan.feeds.items()
    )


def _quoted(text: str) -> str:
    """A basic string of TOML, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)
