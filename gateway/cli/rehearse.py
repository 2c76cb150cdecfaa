"""`scim-gateway rehearse`: plays a client's real call sequences with throw-away users, and shows a table of steps."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click

from gateway.cli.targets import TOKEN_VARIABLE, base_url_of, read_token, trust_of
from gateway.rehearsal.caller import Target
from gateway.rehearsal.outcomes import StepResult, closing_line, table_lines
from gateway.rehearsal.play import DIALECTS, rehearse


@click.command(name="rehearse")
@click.option(
    "--url", required=True, help="The SCIM base URL, as entered in Okta, or in Entra without what stands behind '?'."
)
@click.option(
    "--token", envvar=TOKEN_VARIABLE, help=f"The client's bearer token. Better: --token-file, or {TOKEN_VARIABLE}."
)
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), help="A file that holds the token.")
@click.option(
    "--dialect",
    type=click.Choice([*DIALECTS]),
    default="oin",
    show_default=True,
    help="Who is played: oin (an app of Okta's catalogue, PATCH), aiw (of its App Integration Wizard, PUT), "
    "agent (Okta's provisioning agent, SCIM 1.1), entra, or entra-flag (with ?aadOptscim062020 in its Tenant URL).",
)
@click.option(
    "--ca-file", type=click.Path(path_type=Path, dir_okay=False), help="PEM: the CA to trust, instead of the system's."
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON at the end, instead of a table.")
def command(
    *, url: str, token: str | None, token_file: Path | None, dialect: str, ca_file: Path | None, as_json: bool
) -> None:
    """Plays Okta or Entra against a gateway (or a SCIM application) with throw-away users and a group.

    Everything it makes is named "...rehearsal..." and is deleted at the end, also after Ctrl-C.
    Exits with 0 if every step passed, else with 1.
    """
    target = Target(url=base_url_of(url), token=_token(token, token_file), tls=trust_of(ca_file))

    def show(step: StepResult) -> None:
        if not as_json:
            click.echo("\n".join(table_lines(step)))

    report = asyncio.run(rehearse(target, DIALECTS[dialect], on_step=show))
    click.echo(json.dumps(report.as_json()) if as_json else closing_line(report))
    sys.exit(0 if report.passed else 1)


def _token(token: str | None, token_file: Path | None) -> str:
    read = read_token(token, token_file)
    if read is None:
        raise click.ClickException(f"give the token: --token-file F, {TOKEN_VARIABLE} in the environment, or --token T")
    return read
