"""`scim-gateway guard` against a real control socket and a real audit log: what is asked, shown, and the exit code."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.server.control import SOCKET_NAME, ControlRefused, ControlSocket, User
from tests.cli.test_guard_report import line, write
from tests.cli.test_holds import HOLD
from tests.settings.files import write_good


@dataclass
class Instance:
    """Plays an instance that has one hold, and remembers what it was asked."""

    state_directory: Path
    asked: list[Mapping[str, object]] = field(default_factory=list)

    async def holds(self, words: Mapping[str, object], user: User) -> Mapping[str, object]:
        self.asked.append(words)
        return {"holds": [HOLD]}

    async def decide(self, words: Mapping[str, object], user: User) -> Mapping[str, object]:
        self.asked.append(words)
        if words["hold"] != HOLD["id"]:
            raise ControlRefused("there is no such hold: see guard list")
        return {"hold": words["hold"], "changed": 480, "said": "Decided."}


@asynccontextmanager
async def instance(directory: Path) -> AsyncIterator[Instance]:
    state = directory / "state"
    state.mkdir()
    played = Instance(state)
    handlers = {"guard.list": played.holds, "guard.approve": played.decide, "guard.deny": played.decide}
    async with ControlSocket(state / SOCKET_NAME, handlers):
        yield played


async def guard(*words: str | Path) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["guard", *map(str, words)])


def guard_on_a_terminal(words: tuple[str, ...], typed: str) -> subprocess.CompletedProcess[str]:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode())
        return subprocess.run(
            [sys.executable, "-m", "gateway", "guard", *words],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)


def object_of(result: Result) -> Any:
    return json.loads(result.stdout)


async def test_list_shows_the_holds_of_the_instance_that_the_settings_name(tmp_path: Path) -> None:
    config = write_good(tmp_path)
    async with instance(tmp_path) as played:
        ran = await guard("list", "--config", config, "--tenant", "jira", "--tasks")

    assert ran.exit_code == 0
    assert "hold-7f3a  tenant jira  HELD" in ran.stdout
    assert "ada@example.com" in ran.stdout
    assert played.asked == [{"tenant": "jira", "tasks": True}]


async def test_list_needs_no_right_to_the_secrets(tmp_path: Path) -> None:
    config = write_good(tmp_path)
    (tmp_path / "jira-secret").unlink()
    async with instance(tmp_path):
        assert (await guard("list", "--config", config)).exit_code == 0


async def test_settings_with_a_mistake_are_named_and_the_way_round_them_works(tmp_path: Path) -> None:
    config = write_good(tmp_path, "[gateway]\nstate_direktory = 'x'\n")
    async with instance(tmp_path) as played:
        ran = await guard("list", "--config", config)
        assert ran.exit_code == 78
        assert "state_direktory" in ran.output
        assert "--state-directory" in ran.output
        assert (await guard("list", "--config", config, "--state-directory", played.state_directory)).exit_code == 0


async def test_list_as_json_is_the_instances_answer(tmp_path: Path) -> None:
    async with instance(tmp_path) as played:
        assert object_of(await guard("list", "--state-directory", played.state_directory, "--json")) == {
            "holds": [HOLD]
        }


async def test_approve_asks_with_all_its_words_and_says_what_happens_next(tmp_path: Path) -> None:
    async with instance(tmp_path) as played:
        at = ("--state-directory", played.state_directory)
        ran = await guard("approve", "hold-7f3a", *at, "--reason", " checked with HR ")

    assert ran.exit_code == 0, ran.output
    assert played.asked == [
        {"hold": "hold-7f3a", "tasks": None, "until": None, "raise_to": None, "reason": "checked with HR"}
    ]
    assert "480 tasks are approved. Decided." in ran.stdout
    assert "as long as the task has\nalready waited" in ran.stdout


async def test_approve_takes_tasks_or_a_time_or_a_limit_for_a_time(tmp_path: Path) -> None:
    async with instance(tmp_path) as played:
        words = ("approve", "hold-7f3a", "--state-directory", played.state_directory, "--reason", "r")
        await guard(*words, "--task", "t1", "--task", "t2")
        before = time.time()
        ran = await guard(*words, "--until", "+2h", "--raise-to", "500")

    assert played.asked[0]["tasks"] == ["t1", "t2"]
    assert played.asked[1]["raise_to"] == 500
    until = played.asked[1]["until"]
    assert isinstance(until, float)
    assert before + 7200 <= until <= time.time() + 7200
    assert "up to 500 people may lose access in a window" in ran.stdout


async def test_deny_asks_with_all_its_words_and_says_what_happens_next(tmp_path: Path) -> None:
    async with instance(tmp_path) as played:
        at = ("--state-directory", played.state_directory)
        ran = await guard("deny", "hold-7f3a", *at, "--task", "t1", "--reason", "bad rule")

    assert ran.exit_code == 0, ran.output
    assert played.asked == [{"hold": "hold-7f3a", "tasks": ["t1"], "reason": "bad rule"}]
    assert "480 tasks are denied" in ran.stdout
    assert "refused (403)" in ran.stdout


@pytest.mark.parametrize("verb", ["approve", "deny"])
async def test_a_refusal_exits_1_and_says_why(tmp_path: Path, verb: str) -> None:
    async with instance(tmp_path) as played:
        words = (verb, "hold-none", "--state-directory", played.state_directory, "--reason", "r")
        ran, as_json = await guard(*words), await guard(*words, "--json")

    assert (ran.exit_code, as_json.exit_code) == (1, 1)
    assert "Error: there is no such hold: see guard list" in ran.stderr
    assert object_of(as_json) == {"ok": False, "problem": "there is no such hold: see guard list"}


async def test_where_no_instance_runs_the_exit_is_1(tmp_path: Path) -> None:
    ran = await guard("list", "--state-directory", tmp_path)

    assert ran.exit_code == 1
    assert "no instance runs" in ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("approve", "hold-7f3a"),
        ("approve", "hold-7f3a", "--reason", "  "),
        ("deny", "hold-7f3a"),
        ("approve", "hold-7f3a", "--reason", "r", "--raise-to", "50"),
        ("approve", "hold-7f3a", "--reason", "r", "--raise-to", "0", "--until", "+2h"),
        ("approve", "hold-7f3a", "--reason", "r", "--task", "t", "--until", "+2h"),
        ("approve", "hold-7f3a", "--reason", "r", "--until", "yesterday"),
        ("approve", "hold-7f3a", "--reason", "r", "--until", "2020-01-01"),
        ("approve", "--reason", "r"),
    ],
)
async def test_a_decision_that_is_not_whole_reaches_no_instance(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with instance(tmp_path) as played:
        ran = await guard(*words, "--state-directory", played.state_directory)

    assert ran.exit_code == 2
    assert played.asked == []


async def test_on_a_terminal_the_reason_is_asked_for(tmp_path: Path) -> None:
    async with instance(tmp_path) as played:
        words = ("deny", "hold-7f3a", "--state-directory", str(played.state_directory))
        ran = await asyncio.to_thread(guard_on_a_terminal, words, "typed by hand\n")

    assert ran.returncode == 0, ran.stderr
    assert "Reason (goes on record)" in ran.stderr
    assert played.asked[0]["reason"] == "typed by hand"


async def test_report_reads_the_log_that_the_settings_name_or_another(tmp_path: Path) -> None:
    config = write_good(tmp_path)
    (tmp_path / "audit").mkdir()
    now = time.time()
    write(tmp_path / "audit", *(line(now - 60, "would-hold", [f"u{u}"]) for u in range(30)))
    by_settings = await guard("report", "--config", config)
    by_directory = await guard("report", "--audit", tmp_path / "audit", "--json", "--since", "1h", "--window", "30m")

    assert by_settings.exit_code == 0, by_settings.output
    assert "30 would have held nothing" in by_settings.stdout
    assert object_of(by_directory)["tenants"]["jira"]["people"] == 30
    assert object_of(by_directory)["tenants"]["jira"]["busiest_window"]["seconds"] == 1800


async def test_report_tells_of_one_tenant_when_asked(tmp_path: Path) -> None:
    write(tmp_path, line(time.time(), "pass", ["u1"]), line(time.time(), "pass", ["u2"], tenant="confluence"))
    ran = await guard("report", "--audit", tmp_path, "--tenant", "confluence", "--json")

    assert [*object_of(ran)["tenants"]] == ["confluence"]


async def test_report_of_a_tenant_that_neither_settings_nor_record_know_names_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, line(1.0, "pass", ["u1"], tenant="confluence"))
    ran = await guard("report", "--audit", tmp_path, "--tenant", "nope", "--since", "1970-01-01")

    assert ran.exit_code == 1
    assert "there is no tenant nope; there are confluence" in ran.output


async def test_report_without_a_log_exits_1_and_says_so(tmp_path: Path) -> None:
    ran = await guard("report", "--audit", tmp_path)

    assert ran.exit_code == 1
    assert "there is no audit log" in ran.output


@pytest.mark.parametrize("words", [("--since", "soon"), ("--since", "2999-01-01"), ("--window", "2027-01-01")])
async def test_report_refuses_times_it_cannot_read(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert (await guard("report", "--audit", tmp_path, *words)).exit_code == 2
