"""`scim-gateway token`: makes tokens for clients, and tells typing errors."""

from __future__ import annotations

import json
import secrets
import sys
from datetime import UTC, datetime, timedelta

import click

from gateway.settings.tokens import checksum_fits, digest, make_token


@click.group(name="token")
def command() -> None:
    """Makes tokens for clients, and tells typing errors."""


@command.command(name="new")
@click.option("--name", help="Its name on record. Default: client- and the present month.")
@click.option(
    "--expires-days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is valid."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the page.")
def new(*, name: str | None, expires_days: int, as_json: bool) -> None:
    """Prints a token once, and the block to paste into the tenant's settings.

    Only the token's digest is kept, in the settings: nobody can read the token out of them again.
    """
    now = datetime.now(UTC)
    name = name or f"client-{now:%Y-%m}"
    if (
        not all(character.isascii() and (character.isalnum() or character in "._-") for character in name)
        or len(name) > 64
    ):
        raise click.BadParameter("letters, digits, '.', '_' and '-', at most 64", param_hint="--name")
    token = make_token(secrets.choice)
    expires = (now + timedelta(days=expires_days)).strftime("%Y-%m-%dT00:00:00Z")
    if as_json:
        click.echo(json.dumps({"token": token, "name": name, "token_sha256": digest(token), "expires": expires}))
        return
    click.echo(f"""The token, for the client (Okta: Authentication Mode HTTP Header). It is shown this once:

  {token}

The credential, for the settings; put the tenant's name for NAME, then reload (SIGHUP):

[[tenants.NAME.credentials]]
name = "{name}"
token_sha256 = "{digest(token)}"
expires = {expires}

The old credential can stay beside it until the client uses the new one.""")


@command.command(name="check")
def check() -> None:
    """Reads a token from standard input and says whether it has a typing error. Asks no server."""
    if sys.stdin.isatty():
        click.echo("Paste the token and press Enter:", err=True)
    fits = checksum_fits(sys.stdin.readline().strip().removeprefix("Bearer "))
    click.echo(
        "The token is well-formed." if fits else "The token has a typing error, or was not made by this gateway."
    )
    sys.exit(0 if fits else 1)
