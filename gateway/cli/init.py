"""`scim-gateway init`: asks what is needed, and writes the settings, the secret and the first token's digest."""

from __future__ import annotations

import json
import os
import pwd
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gateway.cli.asking import Asker
from gateway.cli.check import EXIT_INVALID, show_problems
from gateway.cli.deciding import SYSTEM_DIRECTORY, Decided, Options, decide
from gateway.cli.init_page import as_json as told
from gateway.cli.init_page import page_of
from gateway.cli.placing import NewDirectory, NewFile, Owner, place
from gateway.cli.wizard import Wizard
from gateway.rehearsal.certificates import make_development_certificates
from gateway.settings.reading import examine
from gateway.settings.values import host_and_port
from gateway.settings.writing import settings_text

SERVICE_USER = "scim-gateway"


@click.command(name="init")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=SYSTEM_DIRECTORY,
    show_default=True,
    help="Where the settings file and the secrets go.",
)
@click.option("--public-url", help="https://host or https://host:port, under which the client calls.")
@click.option("--listen", help="host:port to listen on. Default: 0.0.0.0 and the public port, or 8443.")
@click.option("--admin", default="127.0.0.1:9443", show_default=True, help="host:port of health and metrics.")
@click.option("--certificate-file", help="PEM: the certificate and its intermediate ones.")
@click.option("--key-file", help="PEM: its private key.")
@click.option("--development-certificate", is_flag=True, help="Make a certificate, for a trial.")
@click.option("--upstream", help="The application's SCIM URL inside; several nodes with commas.")
@click.option("--upstream-secret-file", help="A file with the application's secret; '-' is standard input.")
@click.option("--client", help="okta, okta-agent, entra or generic.")
@click.option("--path", help="The public path. Default: the upstream's.")
@click.option("--sources", help="Networks that may call: CIDRs or feed:cell, with commas; '' is anywhere.")
@click.option("--feed", help="The file of the feed that --sources names.")
@click.option("--tenant", help="The tenant's name in settings and logs.")
@click.option("--state-directory", help="Default: /var/lib/scim-gateway, or state beside the settings file.")
@click.option("--audit-directory", help="Default: /var/log/scim-gateway/audit, or audit beside the settings file.")
@click.option("--token-name", help="The first token's name on record. Default: the client and the present month.")
@click.option("--expires-days", type=click.IntRange(1, 3650), default=365, show_default=True, help="Of the token.")
@click.option(
    "--owner", help="Whose the files shall be, for root alone. Default: scim-gateway, if there is such a user."
)
@click.option("--offline", is_flag=True, help="Resolve and call nobody while asking.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults for what is not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end instead of the page.")
def command(*, offline: bool, yes: bool, as_json: bool, **given: Any) -> None:
    """Asks what is needed, writes a settings file and its secrets, and says what to enter at the client.

    Nothing that exists is overwritten, and Ctrl-C leaves nothing behind. The first token is shown once. Exits with 0,
    with 78 when `check` would find an error in what was written, with 2 when an option cannot work.
    """
    options = Options(**given)  # click gives what the options above say
    options = replace(options, directory=options.directory.expanduser().absolute())
    if os.path.lexists(options.config):
        raise click.ClickException(f"{options.config} exists, and nothing is overwritten: give another --directory")
    owner = _owner(options.owner)
    asker = Asker(with_defaults=yes)
    decided = decide(Wizard(asker, offline, owner), options)
    files = _write(decided, options, owner)
    found = examine(options.config)
    if as_json:
        click.echo(json.dumps(told(decided, options, files, found, asker.warnings)))
    else:
        click.echo(page_of(decided, options, files))
        show_problems(options.config, found.problems)
    sys.exit(EXIT_INVALID if found.errors else 0)


def _write(decided: Decided, options: Options, owner: Owner | None) -> tuple[Path, ...]:
    """All files, the settings last; none if one cannot be.

    Raises:
        click.ClickException: one exists, or cannot be made.
    """
    base, plan = options.directory, decided.plan
    directories = [NewDirectory(base), NewDirectory(base / "secrets", 0o700)]
    files = [NewFile(base / plan.upstream_token_file, f"{decided.secret}\n".encode())]
    if decided.plan.is_trial:
        directories.append(NewDirectory(base / "tls", 0o700))
        files += _development_files(base / "tls", host_and_port(plan.public_url)[0])
    directories += [NewDirectory(base / plan.state_directory), NewDirectory(base / plan.audit_directory)]
    files.append(NewFile(options.config, settings_text(plan).encode(), 0o640))
    try:
        place(directories, files, owner)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"nothing was written: {where}{error.strerror or error}") from None
    return tuple(file.path for file in files)


def _development_files(directory: Path, host: str) -> list[NewFile]:
    """Made elsewhere, so that they come into place with all the rest."""
    with tempfile.TemporaryDirectory(prefix="scim-gateway-init-") as temporary:
        made = make_development_certificates(Path(temporary) / "tls", (host,))
        return [
            NewFile(directory / file.name, file.read_bytes(), mode)
            for file, mode in ((made.ca_file, 0o644), (made.certificate_file, 0o644), (made.key_file, 0o600))
        ]


def _owner(name: str | None) -> Owner | None:
    """For root: the user of the service, so that it can read what was written."""
    if os.geteuid() != 0:
        if name is not None:
            raise click.BadParameter("only root can give files to another user", param_hint="--owner")
        return None
    try:
        entry = pwd.getpwnam(name or SERVICE_USER)
    except KeyError:
        if name is not None:
            raise click.BadParameter(f"there is no user {name}", param_hint="--owner") from None
        return None
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid)
