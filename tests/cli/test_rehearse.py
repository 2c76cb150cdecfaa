"""`scim-gateway rehearse` as it is called: its table, its JSON, its exit codes, and that it never shows a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.rehearse import command
from gateway.rehearsal.application import Application
from tests.worlds_application import DIALECTS_OF_2_0, running

WRONG_TOKEN = "a-token-that-opens-nothing"


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with running() as application:
        yield application


def rehearse(*arguments: str, token: str | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), env={"SCIM_GATEWAY_TOKEN": token}, catch_exceptions=False)


@pytest.mark.parametrize("dialect", DIALECTS_OF_2_0)
def test_a_rehearsal_that_passes_ends_with_its_counts_and_0(application: Application, dialect: str) -> None:
    result = rehearse("--url", application.url, "--dialect", dialect, token=application.token)

    *table, closing = result.stdout.splitlines()
    steps = [line for line in table if not line.startswith(" ")]  # below some stands a note
    assert closing == f"{len(steps)} passed, 0 failed, 0 not run"
    assert all(line.startswith("passed ") for line in steps)
    assert result.exit_code == 0
    assert application.token not in result.output


def test_json_is_one_line(application: Application) -> None:
    result = rehearse("--url", application.url, "--json", token=application.token)

    (line,) = result.stdout.splitlines()
    report = json.loads(line)
    assert (report["passed"], report["failed"]) == (len(report["steps"]), 0)


def test_a_token_from_a_file_may_end_in_a_line_end_and_start_with_its_scheme(
    application: Application, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"Bearer {application.token}\n")

    assert rehearse("--url", application.url, "--token-file", str(file), token=WRONG_TOKEN).exit_code == 0


def test_a_wrong_token_fails_says_what_to_do_and_is_not_shown(application: Application) -> None:
    result = rehearse("--url", application.url, "--token", WRONG_TOKEN)

    assert result.exit_code == 1
    assert "What to do: check the token" in result.stdout
    assert WRONG_TOKEN not in result.output


def test_an_unknown_dialect_is_refused_with_those_that_are_there() -> None:
    result = rehearse("--url", "https://scim.example.com", "--dialect", "onelogin", token=WRONG_TOKEN)

    assert result.exit_code == 2
    assert "'onelogin' is not one of 'oin', 'aiw', 'agent', 'entra', 'entra-flag'" in result.stderr


def test_json_holds_what_there_is_to_say_of_steps_that_passed(application: Application) -> None:
    result = rehearse("--url", application.url, "--dialect", "entra", "--json", token=application.token)
    said = {step["name"]: step["note"] for step in json.loads(result.stdout)["steps"] if step["note"]}

    assert "?aadOptscim062020" in said["group: remove one member, the other stays"]
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "token", "message"),
    [
        (["--url", "https://scim.example.com/v2"], None, "give the token"),
        (
            ["--url", "https://scim.example.com/v2", "--token-file", "/nonexistent"],
            None,
            "cannot be read: No such file",
        ),
        (["--url", "https://scim.example.com/v2"], "geheim\r\nX: y", "spaces or characters outside ASCII"),
        (["--url", "https://scim.example.com/v2"], "geheimé", "spaces or characters outside ASCII"),
        (["--url", "https://scim.example.com/v2", "--ca-file", "/nonexistent"], "geheim", "the CA file /nonexistent"),
        (["--url", "scim.example.com"], "geheim", "must be like https://"),
        (["--url", "https://scim.example.com:x/"], "geheim", "must be like https://"),
        (["--url", "https://scim.example.com/v2?a=b"], "geheim", "must hold nothing behind a '?'"),
        (["--url", "https://scim.example.com/v2?aadOptscim062020"], "geheim", "--dialect entra-flag adds"),
        (["--url", "https://geheim@scim.example.com/v2"], "geheim", "must hold no user"),
    ],
)
def test_a_mistake_in_the_call_is_said_before_anything_is_sent(
    arguments: list[str], token: str | None, message: str
) -> None:
    result = rehearse(*arguments, token=token)

    assert result.exit_code != 0
    assert message in result.stderr
    assert "geheim" not in result.output
