"""What `init` shows at its end: what was written, what to enter at the client, and what comes next. Pure."""

from __future__ import annotations

import shlex
from pathlib import Path

from gateway.cli.check import DEFAULT_CONFIG
from gateway.cli.client_steps import DIALECTS, shown, steps_for
from gateway.cli.deciding import Decided, Options
from gateway.settings.reading import Examination
from gateway.settings.values import host_and_port
from gateway.settings.writing import Plan


def page_of(decided: Decided, options: Options, files: tuple[Path, ...]) -> str:
    plan = decided.plan
    steps = steps_for(plan.client, plan.base_url, decided.token)
    written = "\n".join(f"  {file}" for file in files)
    return f"""
Written:

{written}

What to enter {steps.where} (the token is shown this once):

{shown(steps)}

{steps.then}{_forwarding(plan)}

Next:

{_commands(decided, options)}
"""


def _forwarding(plan: Plan) -> str:
    host, port = host_and_port(plan.public_url)
    if plan.listen.endswith(f":{port}"):
        return ""
    return f"\nThe client calls port {port} of {host}: let firewall or balancer forward it to {plan.listen} here."


def _commands(decided: Decided, options: Options) -> str:
    return "\n".join(f"  {line}" for line in _next(decided, options))


def _next(decided: Decided, options: Options) -> tuple[str, ...]:
    """Commands to paste; the token stays out of the shell's history."""
    plan = decided.plan
    config = f" --config {shlex.quote(str(options.config))}" if str(options.config) != DEFAULT_CONFIG else ""
    trust = f" --ca-file {shlex.quote(str(options.directory / 'tls/ca.pem'))}" if plan.is_trial else ""
    dialect = DIALECTS[plan.client]
    return (
        f"scim-gateway check{config}",
        f"scim-gateway serve{config}",
        "read -rs SCIM_GATEWAY_TOKEN && export SCIM_GATEWAY_TOKEN   # paste the token, press Enter",
        f"scim-gateway doctor{config}{trust}",
        f"scim-gateway rehearse --dialect {dialect} --url {plan.base_url}{trust}",
    )


def as_json(
    decided: Decided, options: Options, files: tuple[Path, ...], found: Examination, warnings: list[str]
) -> dict[str, object]:
    plan = decided.plan
    steps = steps_for(plan.client, plan.base_url, decided.token)
    return {
        "config": str(options.config),
        "base_url": plan.base_url,
        "token": decided.token,
        "credential": plan.credential_name,
        "files": [str(file) for file in files],
        "client": {"name": plan.client.value, "where": steps.where, "fields": dict(steps.fields), "then": steps.then},
        "warnings": warnings,
        "problems": [{"key": p.key, "text": p.text, "severity": p.severity} for p in found.problems],
        "next": list(_next(decided, options)),
    }
