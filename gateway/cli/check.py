"""`scim-gateway check`: lists every problem of the settings at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.cli.control import ControlFailed, ask
from gateway.cli.credentials import Shown, credentials_of
from gateway.cli.moments import shown
from gateway.settings.models import Settings
from gateway.settings.problems import Problem, dotted
from gateway.settings.reading import examine

ANSWER_SECONDS = 2.0  # of a running instance, which is only asked by the way
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

    Looks at the files too: certificates, keys, secrets, feeds. If an instance runs by these settings and may be asked,
    also says which of their credentials were ended there. Exits with 0, or with 78 when there is an error.
    """
    found = examine(config)
    ended = ended_at_run_time(found.settings) if found.settings is not None else ()
    problems = (*found.problems, *ended)
    if as_json:
        told = [{"key": p.key, "text": p.text, "severity": p.severity} for p in problems]
        click.echo(json.dumps({"ok": not found.errors, "problems": told}))
    else:
        show_problems(config, problems)
        if not found.errors and found.settings is not None:
            click.echo(f"{config}: ok; {_summary(found.settings)}")
    sys.exit(EXIT_INVALID if found.errors else 0)


def ended_at_run_time(settings: Settings) -> tuple[Problem, ...]:
    """Credentials that these settings still hold, though somebody has ended them in the running instance."""
    try:
        answer = ask(settings.gateway.state_directory, "token.list", ANSWER_SECONDS)
    except ControlFailed:  # it does not run, or is not ours to ask: then nothing can be said
        return ()
    ended = {(one.tenant, one.name): one for one in credentials_of(answer) if one.is_in_settings and one.ended}
    return tuple(
        Problem(dotted("tenants", name, "credentials", index), f"{credential.name} {_end(one)}", "warning")
        for name, tenant in settings.tenants.items()
        for index, credential in enumerate(tenant.credentials)
        if (one := ended.get((name, credential.name))) is not None
        and (credential.token_sha256 or "").startswith(one.digest_begins)  # else the file has another under that name
    )


def _end(one: Shown) -> str:
    if one.state == "ending":
        when = shown(one.ends_at) if one.ends_at is not None else ""
        return f"was rotated by {one.ended_by} and ends on {when}; its successor is {one.successor}: remove it then"
    return f"opens nothing: the running instance knows it as {one.ended} by {one.ended_by}; remove it here"


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
