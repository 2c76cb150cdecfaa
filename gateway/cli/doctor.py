"""`scim-gateway doctor`: tests a whole chain as a client meets it, and says what to mend."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from gateway.cli.check import CONFIG_OPTION
from gateway.cli.holds import printable
from gateway.cli.targets import TOKEN_VARIABLE, base_url_of, read_token, trust_of
from gateway.doctor.cases import read_case
from gateway.doctor.checks import visit_all
from gateway.doctor.findings import Diagnosis, Finding, Grade
from gateway.doctor.visit import Case, Visit, tenant_of

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="doctor")
@CONFIG_OPTION
@click.option(
    "--url", help="The SCIM base URL, as entered in Okta. Alone, it tests from anywhere. Default: from --config."
)
@click.option(
    "--token-file", type=_FILE, help=f"A file that holds the client's token. Else: {TOKEN_VARIABLE}, or asked."
)
@click.option("--ca-file", type=_FILE, help="PEM: the CA to trust, instead of the system's.")
@click.option("--with-test-user", is_flag=True, help="Also create, deactivate and delete two throw-away users.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter an option
    context: click.Context,
    config: Path,
    url: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    with_test_user: bool,
    as_json: bool,
) -> None:
    """Walks the chain as Okta meets it, from DNS to the application, and says what to mend.

    On the gateway's host, with --config, it also looks at the upstream, the disk and the audit log. From elsewhere give
    --url. Nothing is written upstream without --with-test-user. Exits with 0, or with 1 when there is a fault.
    """
    trust_of(ca_file)  # a mistake in the call is said at once
    base_url = _https(base_url_of(url)) if url else ""
    is_named = context.get_parameter_source("config") is not click.core.ParameterSource.DEFAULT
    case = read_case(config) if is_named or not url else None
    token = _token(token_file, ask=not as_json)
    if not base_url and case is not None and case.settings is not None:
        _, tenant = tenant_of(case.settings, token)
        base_url = case.settings.gateway.public_url + tenant.path
    visit = Visit(base_url, token, ca_file, case)

    def show(finding: Finding) -> None:
        if not as_json:
            click.echo(_row(finding))

    diagnosis = asyncio.run(visit_all(visit, with_test_user=with_test_user, on_finding=show))
    click.echo(json.dumps({"url": base_url, **diagnosis.as_json()}) if as_json else _closing(diagnosis, case))
    sys.exit(1 if diagnosis.has_faults else 0)


def _https(url: str) -> str:
    if not url.startswith("https:"):
        raise click.BadParameter("must be https: clients call nothing else", param_hint="--url")
    return url


def _token(token_file: Path | None, *, ask: bool) -> str | None:
    """From the file, the environment, or a person at a terminal. The settings hold digests alone."""
    token = read_token(os.environ.get(TOKEN_VARIABLE), token_file)
    if token is None and ask and sys.stdin.isatty():
        asked = click.prompt("The client's token (Enter: without)", default="", hide_input=True, show_default=False)
        token = read_token(str(asked), None)
    return token


def _row(finding: Finding) -> str:
    lines = [f"{finding.grade.value:<8} {finding.check:<12} {printable(finding.seen)}"]
    if finding.mend:
        lines.append(f"{'':21} What to do: {printable(finding.mend)}.")
    return "\n".join(lines)


def _closing(diagnosis: Diagnosis, case: Case | None) -> str:
    counts = ", ".join(f"{diagnosis.count(grade)} {grade.value}" for grade in Grade)
    more = "" if case else "\nOn the gateway's host, --config also tests the upstream, the disk and the audit log."
    return f"{counts}{more}"
