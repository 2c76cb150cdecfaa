"""`scim-gateway token`: makes tokens for clients, here or in a running instance, and ends them.

A token is made here and only its digest is sent, so that it crosses no socket and is in no memory but the caller's.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli.check import CONFIG_OPTION
from gateway.cli.credentials import credentials_of, page_of_credentials
from gateway.cli.holds import moment_of, text_of
from gateway.cli.instance import JSON_OPTION, STATE_OPTION, ask_instance, state_directory_of
from gateway.cli.moments import read_future, read_span, shown, shown_span
from gateway.settings.tokens import NAME_FORM, checksum_fits, digest, is_a_name, make_token

_TENANT_OPTION = click.option("--tenant", required=True, help="Whose it is.")
_EXPIRES_OPTION = click.option(
    "--expires", default="365d", show_default=True, help="When it ends: a span such as 90d, or a time."
)
_OVERLAP_OPTION = click.option(
    "--overlap", default="7d", show_default=True, help="How long the old one opens beside the new one."
)


def _name_option(name: str, what: str, *, required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(name, required=required, callback=_checked_name, help=what)


def _checked_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    # Those that the settings took over from are called so: okta-2026-11~made.
    if name is not None and not is_a_name(name.removesuffix("~made")):
        raise click.BadParameter(NAME_FORM)
    return name


@click.group(name="token")
def command() -> None:
    """Makes tokens for clients, shows whether they are used, and ends them."""


@command.command(name="new", short_help="Makes a token.")
@CONFIG_OPTION
@STATE_OPTION
@click.option("--tenant", help="Let this tenant's client in with it at once. Without: a block for the settings file.")
@_name_option("--name", "Its name on record. Default: the client and the present month.", required=False)
@_EXPIRES_OPTION
@click.option("--expires-days", type=click.IntRange(1, 3650), hidden=True)
@JSON_OPTION
def new(  # noqa: PLR0913 - one argument an option
    *,
    config: Path,
    state_directory: Path | None,
    tenant: str | None,
    name: str | None,
    expires: str,
    expires_days: int | None,
    as_json: bool,
) -> None:
    """Makes a token and shows it once.

    With --tenant, the running instance lets that tenant's client in with it from now on; the settings file stays as it
    is. Without, it prints a block to paste into the settings file, and asks no instance. Only the token's digest is
    kept, so nobody can read the token anywhere again.
    """
    expires_at = _future(expires if expires_days is None else f"{expires_days}d", "--expires")
    token = make_token(secrets.choice)
    if tenant is None:
        _print_block(token, name or f"client-{datetime.now(UTC):%Y-%m}", expires_at, as_json)
        return
    made = {"tenant": tenant, "name": name, "token_sha256": digest(token), "expires_at": expires_at}
    answer = ask_instance(state_directory or state_directory_of(config), "token.new", as_json, **made)
    _print_made(token, answer, as_json)


@command.command(name="rotate", short_help="Makes a successor, and ends the old one after an overlap.")
@CONFIG_OPTION
@STATE_OPTION
@_TENANT_OPTION
@_name_option("--name", "The old one, of the settings file or made at run time.", required=True)
@_name_option("--new-name", "The successor's. Default: the old one's with the present month.", required=False)
@_OVERLAP_OPTION
@_EXPIRES_OPTION
@JSON_OPTION
def rotate(  # noqa: PLR0913 - one argument an option
    *,
    config: Path,
    state_directory: Path | None,
    tenant: str,
    name: str,
    new_name: str | None,
    overlap: str,
    expires: str,
    as_json: bool,
) -> None:
    """Makes a token in the place of another one, which goes on for the overlap and then ends.

    Enter the new one in the client meanwhile; `token list` shows whether the old one is still used.
    """
    token = make_token(secrets.choice)
    answer = ask_instance(
        state_directory or state_directory_of(config),
        "token.rotate",
        as_json,
        tenant=tenant,
        name=name,
        new_name=new_name,
        overlap_seconds=_span(overlap),
        token_sha256=digest(token),
        expires_at=_future(expires, "--expires"),
    )
    _print_made(token, answer, as_json)


@command.command(name="extend", short_help="Gives a rotated one more time.")
@CONFIG_OPTION
@STATE_OPTION
@_TENANT_OPTION
@_name_option("--name", "The rotated one.", required=True)
@_OVERLAP_OPTION
@JSON_OPTION
def extend(*, config: Path, state_directory: Path | None, tenant: str, name: str, overlap: str, as_json: bool) -> None:
    """Gives a rotated one more time from now on, also when its overlap is over: the client is not changed yet."""
    directory, seconds = state_directory or state_directory_of(config), _span(overlap)
    answer = ask_instance(directory, "token.extend", as_json, tenant=tenant, name=name, overlap_seconds=seconds)
    ends_at = moment_of(answer, "ends_at") or 0.0
    click.echo(json.dumps(answer) if as_json else f"{text_of(answer, 'name')} is valid until {_until(ends_at)}.")


@command.command(name="revoke", short_help="Ends one at once and for good.")
@CONFIG_OPTION
@STATE_OPTION
@_TENANT_OPTION
@_name_option("--name", "Which one, of the settings file or made at run time.", required=True)
@click.option("--reason", help="Why; goes on record with your user's name.")
@click.option("--yes", is_flag=True, help="Even if it is the tenant's last.")
@JSON_OPTION
def revoke(  # noqa: PLR0913 - one argument an option
    *,
    config: Path,
    state_directory: Path | None,
    tenant: str,
    name: str,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Ends a credential at once and for good: its token opens nothing any more, under whatever name it appears."""
    directory = state_directory or state_directory_of(config)
    answer = ask_instance(directory, "token.revoke", as_json, tenant=tenant, name=name, reason=reason, yes=yes)
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(f"{text_of(answer, 'name')} of tenant {text_of(answer, 'tenant')} opens nothing from now on.")
    if answer.get("is_in_settings") is True:
        click.echo("It stays revoked whatever the settings file says; take its block out of there.")
    click.echo(
        "This holds for this instance: if there are several, repeat it at each, or take it out of the settings of all."
    )
    if answer.get("is_on_record") is False:
        click.echo("It is not on record yet, for the audit log fails: the gateway puts it there as soon as it can.")


@command.command(name="list", short_help="Shows every credential, and when it was used last.")
@CONFIG_OPTION
@STATE_OPTION
@click.option("--tenant", help="Only this tenant's.")
@JSON_OPTION
def list_all(*, config: Path, state_directory: Path | None, tenant: str | None, as_json: bool) -> None:
    """Shows every credential of a running instance, of its settings file and made at run time; never a token."""
    answer = ask_instance(state_directory or state_directory_of(config), "token.list", as_json, tenant=tenant)
    counts_since = moment_of(answer, "counts_since")
    page = page_of_credentials(credentials_of(answer), time.time(), counts_since)
    click.echo(json.dumps(answer) if as_json else page)


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


def _print_block(token: str, name: str, expires_at: float, as_json: bool) -> None:
    expires = f"{datetime.fromtimestamp(expires_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
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


def _print_made(token: str, answer: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"token": token, **answer}))
        return
    name, tenant = text_of(answer, "name"), text_of(answer, "tenant")
    old_name, old_ends_at = text_of(answer, "replaces"), moment_of(answer, "replaced_ends_at")
    lines = [
        "The token, for the client (Okta: Authentication Mode HTTP Header). It is shown this once:",
        f"\n  {token}\n",
        f"It is {name} of tenant {tenant}, valid from now until {_until(moment_of(answer, 'expires_at') or 0.0)}.",
    ]
    if old_ends_at is not None:
        lines.append(f"{old_name} ends on {_until(old_ends_at)}: enter the new token in the client before.")
        lines.append(f"`scim-gateway token list --tenant {tenant}` shows which of the two it uses.")
    click.echo("\n".join(lines))


def _until(moment: float) -> str:
    return f"{shown(moment)} (in {shown_span(moment - time.time() + 1)})"


def _future(text: str, option: str) -> float:
    try:
        return read_future(text, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _span(text: str) -> float:
    try:
        return read_span(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--overlap") from None
