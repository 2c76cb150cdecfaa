"""`scim-gateway check` and `token` as an operator runs them: in a process, with exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings.reading import examine
from tests.settings.files import write_good
from tests.settings.test_reading import TEN_MISTAKES
from tests.worlds import sha256

EXAMPLE = Path(__file__).parents[2] / "deploy" / "gateway.example.toml"


def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words], input=stdin, capture_output=True, text=True, check=False, timeout=30
    )


def test_good_settings_exit_0_and_say_what_would_run(tmp_path: Path) -> None:
    ran = run("check", "--config", str(write_good(tmp_path)))

    assert ran.returncode == 0, ran.stdout
    assert "ok; https://scim.example.com on 127.0.0.1:8443; tenants: jira (okta)" in ran.stdout


def test_ten_mistakes_exit_78_with_a_line_each(tmp_path: Path) -> None:
    file = write_good(tmp_path, TEN_MISTAKES)
    ran = run("check", "--config", str(file))
    lines = ran.stdout.splitlines()

    assert ran.returncode == 78
    assert re.match(rf"{file}: 11 errors, ", lines[0])
    assert sum(line.startswith("  ") and "(warning)" not in line for line in lines) == 11


def test_json_says_the_same(tmp_path: Path) -> None:
    file = write_good(tmp_path, TEN_MISTAKES)
    ran = run("check", "--config", str(file), "--json")
    told = json.loads(ran.stdout)

    assert ran.returncode == 78
    assert told["ok"] is False
    assert {problem["severity"] for problem in told["problems"]} <= {"error", "warning"}
    assert {problem["key"] for problem in told["problems"]} == {p.key for p in examine(file, {}).problems}


def test_a_settings_file_that_is_not_there_exits_78(tmp_path: Path) -> None:
    ran = run("check", "--config", str(tmp_path / "none.toml"))

    assert ran.returncode == 78
    assert "cannot be read" in ran.stdout


def test_serve_says_the_same_as_check_and_does_not_start(tmp_path: Path) -> None:
    ran = run("serve", "--config", str(write_good(tmp_path, TEN_MISTAKES)))

    assert ran.returncode == 78
    assert "11 errors" in ran.stdout


def test_a_new_token_comes_with_its_block_and_passes_its_own_check() -> None:
    ran = run("token", "new", "--name", "okta-2027", "--expires-days", "30")
    token = re.search(r"scimgw_\w+", ran.stdout)

    assert ran.returncode == 0
    assert token is not None
    assert f'token_sha256 = "{sha256(token[0])}"' in ran.stdout
    assert "[[tenants.NAME.credentials]]" in ran.stdout
    assert run("token", "check", stdin=token[0]).returncode == 0
    assert run("token", "check", stdin=token[0][:-1]).returncode == 1


def test_a_new_token_as_json() -> None:
    told = json.loads(run("token", "new", "--json").stdout)

    assert told["token_sha256"] == sha256(told["token"])
    assert set(told) == {"token", "name", "token_sha256", "expires"}


def test_a_name_that_no_settings_file_takes_is_refused() -> None:
    assert run("token", "new", "--name", 'x"\ny').returncode == 2


def test_the_example_has_problems_only_with_files_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(EXAMPLE.read_text())
    problems = [
        p for p in examine(file, {}).errors if "cannot be read" not in p.text and "cannot be written" not in p.text
    ]

    assert problems == []


@pytest.mark.parametrize("words", [("--help",), ("check", "--help"), ("serve", "--help"), ("token", "new", "--help")])
def test_help_is_there(words: tuple[str, ...]) -> None:
    ran = run(*words)

    assert ran.returncode == 0
    assert "Usage: scim-gateway" in ran.stdout
