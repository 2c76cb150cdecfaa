"""`scim-gateway doctor` as it is called: its table, its JSON, its exit codes, and that it never shows a token."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli.doctor import command
from gateway.doctor.checks import CHECKS
from gateway.rehearsal.application import embedded_application
from gateway.server.tls import server_context
from tests.doctor import authorities
from tests.doctor.scenes import HOST, Chain, chain_of
from tests.ports import unused_port
from tests.settings.files import write_good, write_private
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN


def doctor(*words: str | Path, token: str | None = TOKEN, **environment: str) -> Result:
    env = {"SCIM_GATEWAY_TOKEN": token, "SCIM_GATEWAY_CONFIG": None, **environment}
    return CliRunner().invoke(command, [str(word) for word in words], env=env, catch_exceptions=False)


async def in_thread(*words: str | Path, token: str | None = TOKEN, **environment: str) -> Result:
    """The command runs a loop of its own beside the gateway's."""
    return await asyncio.to_thread(doctor, *words, token=token, **environment)


async def test_a_healthy_chain_exits_0_with_a_row_a_check(tmp_path: Path) -> None:
    async with (
        embedded_application(path=PATH, token=UPSTREAM_TOKEN) as application,
        chain_of(tmp_path, application.origin) as chain,
    ):
        told = await in_thread("--config", chain.config, "--ca-file", chain.ca_file)
        as_json = await in_thread("--config", chain.config, "--ca-file", chain.ca_file, "--json")
        elsewhere = await in_thread("--url", chain.base_url, "--ca-file", chain.ca_file)
        from_a_file = await in_thread(*_with_token_file(tmp_path, chain), token=None)
    made = [check.name for check in CHECKS if not check.on_demand]

    assert told.exit_code == 0
    assert [line.partition(" ")[0] for line in told.stdout.splitlines()[:-1]] == ["ok"] * len(made)
    assert told.stdout.splitlines()[-1] == f"{len(made)} ok, 0 warning, 0 fault, 0 skipped"
    report = json.loads(as_json.stdout)
    assert (report["ok"], report["fault"], report["url"]) == (len(made), 0, chain.base_url)
    assert [row["check"] for row in report["checks"]] == made
    assert "--config also tests" in elsewhere.stdout
    assert (elsewhere.exit_code, from_a_file.exit_code) == (0, 0)
    assert TOKEN not in told.output + as_json.output + elsewhere.output


def _with_token_file(directory: Path, chain: Chain) -> tuple[str | Path, ...]:
    write_private(directory / "client-token", f"Bearer {TOKEN}\n")
    return "--url", chain.base_url, "--ca-file", chain.ca_file, "--token-file", directory / "client-token"


def test_a_dead_target_exits_1_and_says_what_to_do() -> None:
    ran = doctor("--url", f"https://localhost:{unused_port()}{PATH}")

    assert ran.exit_code == 1
    assert "nobody listens" in ran.stdout
    assert "What to do: start the gateway" in ran.stdout


def test_settings_that_are_not_there_are_a_fault_and_the_rest_is_skipped(tmp_path: Path) -> None:
    ran = doctor("--config", tmp_path / "none.toml", "--json")
    grades = {row["check"]: row["grade"] for row in json.loads(ran.stdout)["checks"]}

    assert ran.exit_code == 1
    assert grades.pop("settings") == "fault"
    assert set(grades.values()) == {"skipped"}


def test_the_settings_of_the_environment_are_visited_beside_a_url(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    ran = doctor("--url", "https://localhost:1/v2", "--json", SCIM_GATEWAY_CONFIG=str(file))

    assert {row["check"] for row in json.loads(ran.stdout)["checks"]} >= {"settings", "audit"}


async def test_an_escape_sequence_of_a_stranger_does_not_reach_the_terminal(tmp_path: Path) -> None:
    error = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "500", "detail": "\x1b[2J gone"}
    pair = authorities.write_good(tmp_path, HOST)
    async with scripted_upstream(answers(json_answer(error, 500)), server_context(*pair)) as server:
        url = f"https://{HOST}:{server.port}{PATH}"
        told = await in_thread("--url", url, "--ca-file", tmp_path / "root.pem")

    assert "[2J gone" in told.stdout
    assert "\x1b" not in told.output


def test_http_is_refused_before_anything_is_sent() -> None:
    ran = doctor("--url", "http://scim.example.com/v2")

    assert ran.exit_code == 2
    assert "must be https" in ran.stderr


def test_a_ca_file_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    ran = doctor("--url", "https://scim.example.com/v2", "--ca-file", tmp_path / "none.pem")

    assert ran.exit_code == 1
    assert "none.pem cannot be used" in ran.stderr
