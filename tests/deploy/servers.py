"""Prometheus, promtool and amtool themselves: Debian's, from the system or fetched into build/."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import debian
from tests.ports import unused_port

PACKAGES = ("prometheus", "prometheus-alertmanager")
START_SECONDS = 20


def find(program: str) -> str:
    """`prometheus`, `promtool` or `amtool`."""
    return debian.find("prometheus", program, *PACKAGES)


def run(program: str, *words: str, text: bytes = b"") -> str:
    """What it says of `text` on its standard input; whatever it finds wrong fails the test."""
    ran = subprocess.run((find(program), *words), input=text, capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr).decode()
    return ran.stdout.decode()


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs."""

    port: int

    def ask(self, path: str, **query: str) -> Any:
        """The `data` of an answer of its HTTP API."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression yields now."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    async def until(self, expression: str, within_seconds: float = 20) -> list[dict[str, Any]]:
        """Wait until an expression yields something."""
        async with asyncio.timeout(within_seconds):
            while not (found := await asyncio.to_thread(self.query, expression)):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
        return found


@contextmanager
def prometheus(directory: Path, configuration: Path) -> Iterator[Prometheus]:
    """Runs until the block ends, with exemplars on."""
    port = unused_port()
    words = (
        find("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    )
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        _wait_until_ready(process, port, directory / "prometheus.log")
        yield Prometheus(port)
    finally:
        process.kill()
        process.wait(START_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"prometheus does not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
