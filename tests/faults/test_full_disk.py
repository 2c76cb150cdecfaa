"""A gateway whose audit log has a small file system of its own, which is filled up while clients write.

The file system (tmpfs) is in a mount namespace that ends with the gateway, and is reached through /proc.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.journal.verifying import Request, verify
from tests.end_to_end.processes import Served, serving, start, write_settings
from tests.faults.loads import WORKERS, Load, slow_application
from tests.faults.scenes import CLIENT_FIELDS, PATIENCE, PROBE_ANSWER, Node, body_of, success
from tests.ports import unused_port
from tests.upstreams import Conversation, scripted_upstream
from tests.waiting import until

LIMITS = "[tenants.jira.limits]\nrequests_per_second = 100000\nburst = 100000\n"
# Root mounts as it is; everybody else as the root of a user namespace of its own.
UNSHARE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "--map-root-user")
MOUNT = 'mkdir -p "$1" && mount -t tmpfs -o "size=$0m,mode=750" tmpfs "$1" && shift && exec "$@"'
BALLAST_BYTES = 64 << 10


@pytest.fixture(scope="module", autouse=True)
def may_mount() -> None:
    """Some kernels let nobody but root have a namespace."""
    tried = subprocess.run((*UNSHARE, "true"), capture_output=True, text=True, check=False)
    if tried.returncode:
        assert not os.environ.get("CI"), tried.stderr
        pytest.skip(f"needs a mount namespace: {tried.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class Disk:
    """The small file system, seen from outside."""

    directory: Path

    def fill(self) -> None:
        """To the last byte."""
        with (self.directory / "ballast").open("ab", buffering=0) as ballast:
            try:
                while ballast.write(bytes(BALLAST_BYTES)) == BALLAST_BYTES:
                    pass
                while ballast.write(b"x"):
                    pass
            except OSError:
                return

    def make_room(self) -> None:
        (self.directory / "ballast").unlink()

    def lines(self) -> list[dict[str, Any]]:
        paths = sorted(self.directory.glob("audit-*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]

    def of(self, event: str) -> dict[str, dict[str, Any]]:
        """Lines of an event by their request; of several the last."""
        return {line["request"]: line for line in self.lines() if line["event"] == event}

    def notices(self) -> list[str]:
        return [line["notice"] for line in self.lines() if line["event"] == "notice"]


def small_disk(directory: Path, *, mib: int = 12) -> tuple[str, ...]:
    """What a gateway's command is to be run under."""
    return (*UNSHARE, "sh", "-c", MOUNT, str(mib), str(directory / "audit"))


@asynccontextmanager
async def on_a_small_disk(directory: Path, upstream: str) -> AsyncIterator[tuple[Served, Disk]]:
    async with serving(directory, upstream, more=LIMITS, under=small_disk(directory)) as served:
        yield served, Disk(Path(f"/proc/{served.process.pid}/root{directory}/audit"))


async def test_on_a_full_disk_no_write_passes_unrecorded_and_service_comes_back_by_itself(tmp_path: Path) -> None:
    node = Node()
    async with (
        scripted_upstream(slow_application(node)) as upstream,
        on_a_small_disk(tmp_path, upstream.url) as (served, disk),
        asyncio.TaskGroup() as tasks,
    ):
        load = Load(served.base_url, served.trusting())
        running = tasks.create_task(load.run())
        for _ in range(3):
            await load.reaches(load.statuses.total() + 50)
            disk.fill()
            refused = load.statuses[429]
            await until(lambda: load.statuses[429] > refused + 20)  # noqa: B023 - awaited here
            before = load.statuses[201]
            disk.make_room()
            await until(lambda: load.statuses[201] > before)  # noqa: B023 - awaited here
        load.over.set()
        await running
        await until(lambda: disk.notices()[-1] == "audit-reserve-taken-over")
        intents, outcomes, notices = disk.of("intent"), disk.of("outcome"), disk.notices()
        finding = verify(Request(disk.directory)).finding

    assert load.unanswered == 0
    assert set(load.statuses) == {200, 201, 429}
    assert set(node.acts.values()) == {1}
    assert set(node.acts) <= set(intents), "a write left without its intent"
    assert {outcomes[act]["outcome"] for act in node.acts} == {"executed"}
    assert set(load.done) == set(node.acts), "what was executed was answered so, for the reserve has its outcome"
    assert {"audit-recovered", "audit-reserve-taken-over"} <= set(notices)
    assert finding is None


async def test_what_was_under_way_when_the_disk_filled_up_survives_a_kill_in_the_reserve(tmp_path: Path) -> None:
    node, is_full = Node(), asyncio.Event()

    async def play(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            if request.all("X-Request-Id"):
                node.execute(request)
                await is_full.wait()
                await conversation.send(success(request.method))
            else:
                await conversation.send(PROBE_ANSWER)

    async with (
        scripted_upstream(play) as upstream,
        on_a_small_disk(tmp_path, upstream.url) as (served, disk),
        aiohttp.ClientSession(headers=CLIENT_FIELDS, timeout=PATIENCE) as session,
        asyncio.TaskGroup() as tasks,
    ):
        trust = served.trusting()
        writes = [tasks.create_task(_patch(session, served, number, trust)) for number in range(WORKERS)]
        await until(lambda: len(node.acts) == WORKERS)
        disk.fill()
        is_full.set()
        answers = [await write for write in writes]
        late = await _patch(session, served, WORKERS, trust)
        copy = tmp_path / "copy"
        copy.mkdir()
        for path in disk.directory.iterdir():
            if path.name != "ballast":
                (copy / path.name).write_bytes(path.read_bytes())
        served.signal(signal.SIGKILL)
        await served.process.wait()

        (tmp_path / "audit").rmdir()
        copy.rename(tmp_path / "audit")
        async with serving(tmp_path, upstream.url) as again:
            await until(lambda: "audit-reserve-taken-over" in Disk(tmp_path / "audit").notices())
            again.signal(signal.SIGTERM)
            assert await again.ends() == 0

    found = Disk(tmp_path / "audit")
    assert (answers, late) == ([200] * WORKERS, 429)
    assert len(node.acts) == WORKERS
    assert {found.of("outcome")[act]["outcome"] for act in node.acts} == {"executed"}
    assert found.of("interrupted") == {}
    assert verify(Request(tmp_path / "audit")).finding is None


async def _patch(session: aiohttp.ClientSession, served: Served, number: int, trust: ssl.SSLContext) -> int:
    url = f"{served.base_url}/Users/{number}"
    async with session.patch(url, data=body_of("PATCH"), ssl=trust) as response:
        await response.read()
        return response.status


async def test_without_room_for_its_reserve_a_gateway_does_not_start_and_says_why(tmp_path: Path) -> None:
    file = write_settings(tmp_path, "http://127.0.0.1:1", unused_port(), unused_port())
    process = await start("serve", "--config", str(file), under=small_disk(tmp_path, mib=2))
    said, _ = await process.communicate()

    assert process.returncode == 1
    assert json.loads(said.splitlines()[-1])["message"] == (
        f"the gateway cannot start: {tmp_path}/audit/reserve: No space left on device"
    )
