"""Which running instance a command is for, and how it is asked: what commands to an instance share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from gateway.cli.check import EXIT_INVALID, show_problems
from gateway.cli.control import ControlFailed, ask
from gateway.cli.holds import printable
from gateway.settings.mending import draft
from gateway.settings.models import Settings
from gateway.settings.origins import collect
from gateway.settings.problems import Problem, SettingsInvalid

EXIT_REFUSED = 1

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the page.")
STATE_OPTION = click.option(
    "--state-directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="The running instance's, instead of the one that the settings name.",
)


def ask_instance(state_directory: Path, command: str, as_json: bool, /, **words: object) -> Mapping[str, object]:
    """What the instance answers; a no ends the command with 1, and says why."""
    try:
        return ask(state_directory, command, **words)
    except ControlFailed as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "problem": str(error)}))
        else:
            click.echo(f"Error: {printable(str(error))}", err=True)
        sys.exit(EXIT_REFUSED)


def state_directory_of(config: Path) -> Path:
    """Of the instance that runs by these settings."""
    return settings_as_written(config).gateway.state_directory


def settings_as_written(config: Path) -> Settings:
    """The settings as they are written.

    The files they name are not looked at: whoever decides on a hold need not be able to read secrets, and a
    certificate that has ended must not stand in the way.
    """
    try:
        drafted = draft(collect(config, os.environ), config.parent.absolute())
        errors = tuple(problem for problem in drafted.problems if problem.severity == "error")
    except SettingsInvalid as error:
        _give_up(config, error.problems)
    if drafted.settings is None or errors:
        _give_up(config, errors)
    return drafted.settings


def _give_up(config: Path, problems: tuple[Problem, ...]) -> NoReturn:
    show_problems(config, problems)
    click.echo("The instance may run all the same, with older settings: give its --state-directory.", err=True)
    sys.exit(EXIT_INVALID)
