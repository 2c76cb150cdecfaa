"""`scim-gateway check`: lists every problem of the settings at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.settings.models import Settings
from gateway.settings.problems import Problem
from gateway.settings.reading import examine

EXIT_INVALID = 78  # EX_CONFIG of sysexits.h
DEFAULT_CONFIG = "/etc/scim-gateway/gateway.toml"

CONFIG_OPTION = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="SCIM_GATEWAY_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    show_envvar=True,
    help="The settings file.",
)


@click.command(name="check")
@CONFIG_OPTION
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def command(*, config: Path, as_json: bool) -> None:
    """Lists every problem of the settings, with its key and what would be right.

    Looks at the files too: certificates, keys, secrets, feeds. Exits with 0, or with 78 when there is an error.
    """
    found = examine(config)
    if as_json:
        problems = [{"key": p.key, "text": p.text, "severity": p.severity} for p in found.problems]
        click.echo(json.dumps({"ok": not found.errors, "problems": problems}))
    else:
        show_problems(config, found.problems)
        if not found.errors and found.settings is not None:
            click.echo(f"{config}: ok; {_summary(found.settings)}")
    sys.exit(EXIT_INVALID if found.errors else 0)


def show_problems(config: Path, problems: Sequence[Problem]) -> None:
    """Errors first, one a line, keys in a column."""
    if not problems:
        return
    errors = sum(problem.severity == "error" for problem in problems)
    width = min(44, max(len(problem.key) for problem in problems))
    click.echo(f"{config}: {_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}")
    for problem in sorted(problems, key=lambda problem: problem.severity):
        mark = "" if problem.severity == "error" else "(warning) "
        click.echo(f"  {problem.key:<{width}}  {mark}{problem.text}")


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _summary(settings: Settings) -> str:
    tenants = ", ".join(f"{name} ({tenant.client.value})" for name, tenant in settings.tenants.items())
    return f"{settings.gateway.public_url} on {settings.listen.address}; tenants: {tenants}"
