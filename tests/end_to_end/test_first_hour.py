"""The first hour: somebody answers `init` at a terminal; what it wrote serves, is healthy, and passes rehearsals."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.rehearsal.application import Application
from tests.end_to_end.processes import Served, start
from tests.ports import unused_port
from tests.worlds import UPSTREAM_TOKEN

PATIENCE_SECONDS = 20.0


@dataclass
class Terminal:
    """A process whose standard streams are a terminal."""

    process: subprocess.Popen[bytes]
    descriptor: int
    screen: str = ""
    seen: int = 0  # characters of it, up to what was waited for last

    def answer(self, question: str, answer: str) -> None:
        """Type a line once the question stands there."""
        self.wait_for(question)
        os.write(self.descriptor, f"{answer}\n".encode())

    def wait_for(self, text: str) -> None:
        while text not in self.screen[self.seen :] and self._read():
            pass
        assert text in self.screen[self.seen :], f"{text!r} never came: {self.screen}"
        self.seen = self.screen.index(text, self.seen) + len(text)

    def end(self) -> int:
        """Its exit code, once all that it said was read."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def _read(self) -> bool:
        if not select.select([self.descriptor], [], [], PATIENCE_SECONDS)[0]:
            return False
        try:
            content = os.read(self.descriptor, 4096)
        except OSError:  # the other side is closed
            return False
        self.screen += content.decode()
        return bool(content)


@contextmanager
def terminal(*words: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCIM_GATEWAY")}
    process = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "gateway", *words],  # a job in the background ignores it
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "COLUMNS": "200", "TERM": "dumb"},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def answer_all(shown: Terminal, port: int, upstream: str, *, up_to_the_secret: bool = False) -> None:
    shown.answer("Public URL", f"https://127.0.0.1:{port}")
    shown.answer("Address to listen on", "")
    shown.answer("Certificate file", "")
    shown.answer("Upstream:", upstream)
    shown.answer("Client:", "")
    shown.answer("Public path", "")
    shown.wait_for("The application's secret")
    if up_to_the_secret:
        return
    os.write(shown.descriptor, b"another-secret-0123456789-0123456789-abcdef\n")
    shown.wait_for("refuses the gateway's credential")
    shown.answer("The application's secret", UPSTREAM_TOKEN)
    shown.answer("Networks that may call", "")
    shown.answer("Name of the tenant", "")
    shown.answer("Directory for what must be remembered", "")
    shown.answer("Directory for the audit log", "")
    shown.wait_for("Next:")


async def test_what_a_person_answers_serves_is_healthy_and_passes_both_rehearsals(
    tmp_path: Path, real_application: Application
) -> None:
    port, admin_port = unused_port(), unused_port()
    target = tmp_path / "etc"
    with terminal("init", "--directory", str(target), "--admin", f"127.0.0.1:{admin_port}") as shown:
        await asyncio.to_thread(answer_all, shown, port, real_application.url)
        code = await asyncio.to_thread(shown.end)
    token = re.search(r"scimgw_\w+", shown.screen)

    assert code == 0, shown.screen
    assert token is not None
    assert UPSTREAM_TOKEN not in shown.screen
    assert "another-secret" not in shown.screen
    url = re.search(r"--url (\S+)", shown.screen)
    assert url is not None
    served = Served(await start("serve", "--config", str(target / "gateway.toml")), target, port, admin_port)
    try:
        await served.says("ready")
        trust = ("--ca-file", str(target / "tls/ca.pem"), "--json")
        visited = await call("doctor", "--config", str(target / "gateway.toml"), *trust, token=token[0])
        played = [
            await call("rehearse", "--dialect", dialect, "--url", url[1], *trust, token=token[0])
            for dialect in ("oin", "aiw")
        ]
        served.signal(signal.SIGTERM)
        assert await served.ends() == 0
    finally:
        if served.process.returncode is None:
            served.process.kill()
            await served.process.communicate()

    not_ok = {row["check"] for row in visited["checks"] if row["grade"] != "ok"} - {"disk-speed"}  # of this machine's
    assert not_ok == {"settings", "certificate"}, visited  # a certificate for a trial is good for 30 days
    assert visited["fault"] == 0
    assert [(report["failed"], report["not_run"]) for report in played] == [(0, 0), (0, 0)], played


async def call(*words: str, token: str) -> Any:
    """What a command says as JSON."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SCIM_GATEWAY_TOKEN": token},
    )
    said, _ = await process.communicate()
    return json.loads(said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_leaves_midway_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with terminal("init", "--directory", str(tmp_path / "etc"), "--admin", "127.0.0.1:0") as shown:
        answer_all(shown, unused_port(), f"http://127.0.0.1:{unused_port()}/scim/v2", up_to_the_secret=True)
        shown.process.send_signal(number)
        code = shown.end()

    assert code != 0
    assert "Traceback" not in shown.screen
    assert list(tmp_path.iterdir()) == []
