"""`scim-gateway status`: one page about a running instance; what is wrong first, with what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from gateway.cli.check import CONFIG_OPTION
from gateway.cli.instance import JSON_OPTION, STATE_OPTION, ask_instance, state_directory_of
from gateway.cli.status_page import page_of_status

EXIT_UNWELL = 1


@click.command(name="status")
@CONFIG_OPTION
@STATE_OPTION
@JSON_OPTION
def command(*, config: Path, state_directory: Path | None, as_json: bool) -> None:
    """Shows how a running instance is: what is wrong first, with what to do; then everything else on one page.

    Exits with 0; with 1 when something is wrong now (WRONG; WATCH alone is no fault) or no instance can be asked; with
    78 when the settings do not name one.
    """
    told = ask_instance(state_directory or state_directory_of(config), "status", as_json)
    click.echo(json.dumps(told) if as_json else page_of_status(told))
    sys.exit(0 if told.get("well") is True else EXIT_UNWELL)
