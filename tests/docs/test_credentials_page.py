"""The operators' pages on credentials and status: commands, notices, metrics and numbers are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from gateway.cli import token
from gateway.metrics import Metrics
from gateway.overview import findings
from gateway.state.credentials import acts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "credentials.md").read_text("utf-8")
STATUS = (ROOT / "docs" / "status.md").read_text("utf-8")
COMMANDS = [line for line in PAGE.splitlines() if line.startswith("scim-gateway token ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_shown_is_one_that_is_taken(line: str) -> None:
    name, *words = shlex.split(line, comments=True)[2:]
    command = token.command.commands[name]

    command.make_context(name, words)  # raises for what it does not know


def test_every_command_is_shown_but_the_offline_check() -> None:
    shown = {shlex.split(line, comments=True)[2] for line in COMMANDS}

    assert isinstance(token.command, click.Group)
    assert shown == set(token.command.commands) - {"check"}


def test_every_notice_is_one_that_the_keyring_writes_and_none_is_missing() -> None:
    source = (ROOT / "gateway" / "keyring.py").read_text("utf-8")

    assert set(re.findall(r"^\| `(credential-[a-z-]+)` \|", PAGE, re.MULTILINE)) == set(
        re.findall(r'"(credential-[a-z-]+)"', source)
    )


def test_every_metric_that_is_named_is_there() -> None:
    rendered = Metrics(["jira"], version="1").render()[0].decode()

    named = set(re.findall(r"scim_gateway_credential_\w+", PAGE))
    assert len(named) == 2
    assert {name for name in named if f"# TYPE {name} " not in rendered} == set()


def test_the_numbers_are_those_that_hold() -> None:
    assert f"A name is taken until {acts.FORGOTTEN_AFTER_SECONDS // 86_400} days after" in PAGE
    assert f"A tenant has at most\n{acts.MOST_MADE} open ones" in PAGE
    assert f"within {findings.SOON_SECONDS / findings.DAY:.0f} days" in STATUS
    assert f"older than {findings.FEED_OLD_SECONDS / findings.DAY:.0f} days" in STATUS
    assert f"was not signed for {findings.SIGNED_LATE_SECONDS / 60:.0f} minutes" in STATUS
    assert f"is {findings.SINK_LATE_SECONDS / 60:.0f} minutes behind" in STATUS
    assert findings.OVERLAP_SOON_SECONDS == findings.DAY
