"""`scim-gateway rehearse`: plays a client's real call sequences with throw-away users, and shows a table of steps."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.rehearsal.caller import Target
from gateway.rehearsal.outcomes import StepResult, closing_line, table_lines
from gateway.rehearsal.play import DIALECTS, rehearse

TOKEN_VARIABLE = "SCIM_GATEWAY_TOKEN"  # noqa: S105 - the variable's name

_TOKEN = re.compile(r"[\x21-\x7e]+")


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
    target = Target(url=_base_url(url), token=_token(token, token_file), tls=_trust(ca_file))

    def show(step: StepResult) -> None:
        if not as_json:
            click.echo("\n".join(table_lines(step)))

    report = asyncio.run(rehearse(target, DIALECTS[dialect], on_step=show))
    click.echo(json.dumps(report.as_json()) if as_json else closing_line(report))
    sys.exit(0 if report.passed else 1)


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise click.BadParameter("must be like https://scim.example.com/scim/zbs848185728/v2", param_hint="--url")
    if "?" in url:
        raise click.BadParameter(
            "must hold nothing behind a '?'; --dialect entra-flag adds Entra's flag", param_hint="--url"
        )
    if parts.username or parts.password:
        raise click.BadParameter("must hold no user or password", param_hint="--url")
    return url.rstrip("/")


def _token(token: str | None, token_file: Path | None) -> str:
    """The token, from the file if one is given. What is wrong with it is said without showing it."""
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
            raise click.ClickException(f"the token file {token_file} cannot be read: {problem}") from None
    if not token:
        raise click.ClickException(f"give the token: --token-file F, {TOKEN_VARIABLE} in the environment, or --token T")
    token = token.removeprefix("Bearer ").strip()
    if not _TOKEN.fullmatch(token):
        raise click.ClickException("the token holds spaces or characters outside ASCII")
    return token


def _trust(ca_file: Path | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise click.ClickException(f"the CA file {ca_file} cannot be used: {error.strerror or error}") from None
