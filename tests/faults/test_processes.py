"""Processes that are killed, stopped, reloaded or starved while clients call without a pause."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.end_to_end.processes import PATIENCE_SECONDS, Served, serving
from tests.faults.loads import WORKERS, Load, slow_application
from tests.faults.scenes import (
    CLIENT_FIELDS,
    PATIENCE,
    TARGETS,
    Node,
    Reply,
    Scene,
    Seen,
    body_of,
    scene,
    success,
)
from tests.ports import unused_port
from tests.upstreams import Conversation, scripted_upstream

FAST = {"requests_per_second": 100_000, "burst": 100_000}


# A node is killed -----------------------------------------------------------------------------------


@dataclass(slots=True)
class NodeProcess:
    """A node in a process of its own."""

    process: asyncio.subprocess.Process
    url: str
    ledger: Path

    def acts(self) -> Counter[str]:
        return Counter(self.ledger.read_text().split()) if self.ledger.exists() else Counter()


@asynccontextmanager
async def node_process(directory: Path, name: str, port: int = 0) -> AsyncIterator[NodeProcess]:
    port, ledger = port or unused_port(), directory / name
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.node", str(port), str(ledger)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.stdout.readline()
        yield NodeProcess(process, f"http://127.0.0.1:{port}", ledger)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_node_that_is_killed_under_load_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    killed = asyncio.Event()
    async with (
        node_process(tmp_path, "first") as first,
        node_process(tmp_path, "second") as second,
        scene(tmp_path, first.url, second.url, limits=FAST) as it,
        asyncio.TaskGroup() as tasks,
    ):
        working = [tasks.create_task(_works_on(it, number, killed, 12)) for number in range(WORKERS)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while first.acts().total() < 5 * WORKERS:
                await asyncio.wait(working, timeout=0.01)
        first.process.kill()
        killed.set()
        replies = [reply for task in working for reply in await task]
        for node, process in zip(it.nodes, (first, second), strict=True):
            node.acts = process.acts()
        seen = [(reply.method, it.seen(reply)) for reply in replies]

    refused = [each for _, each in seen if each.status == 429]
    assert {each.status for _, each in seen} <= {200, 201, 429}
    assert len(refused) <= WORKERS, "no more than were under way"
    for method, each in seen:
        if method == "GET":
            assert each.status == 200, "another node can be asked"
        elif each.status == 429:
            assert (each.outcome, each.reason) == ("unknown", "upstream-broken")
            assert each.executions in ((0, 0), (1, 0))
        else:
            assert (each.outcome, sum(each.executions)) == ("executed", 1)
    assert second.acts().total() >= WORKERS * 8
    assert {each.get("after") for each in _notices(it)} >= {"out-of-service", "primary"}


async def test_an_application_that_restarts_is_found_again_and_meanwhile_everybody_is_told_to_come_back(
    tmp_path: Path,
) -> None:
    port = unused_port()
    async with scene(tmp_path, f"http://127.0.0.1:{port}", limits=FAST) as it:
        async with node_process(tmp_path, "ledger", port) as before:
            assert (await it.ask("POST")).status == 201
            before.process.kill()
            await before.process.wait()
        away = [it.seen(await it.ask("POST")) for _ in range(8)]
        async with node_process(tmp_path, "ledger", port) as after, asyncio.timeout(PATIENCE_SECONDS):
            while (reply := await it.ask("POST")).status != 201:
                away.append(it.seen(reply))
            it.nodes[0].acts = after.acts()
        seen = it.seen(reply)

    assert seen == Seen(201, None, "executed", ((0, "answered", 201),), (1,))
    assert {(each.status, each.reason, each.outcome) for each in away} == {
        (429, "upstream-unreachable", "not-executed")
    }
    assert {each.executions for each in away} == {(0,)}


async def _works_on(it: Scene, number: int, until: asyncio.Event, more: int) -> list[Reply]:
    """One request after the other until the event, and so many more."""
    replies: list[Reply] = []
    while more:
        more -= until.is_set()
        method = ("GET", "POST", "PATCH")[len(replies) % 3]
        replies.append(await it.ask(method, TARGETS[method] + (str(number) if method == "PATCH" else "")))
    return replies


def _notices(it: Scene) -> list[dict[str, Any]]:
    return [line["details"] for line in it.records() if line.get("notice") == "node-state"]


# The gateway is stopped, or reloaded ----------------------------------------------------------------


async def reload(served: Served, number: int) -> None:
    """New limits; every other time its nodes and their connections are new, too."""
    file = served.directory / "gateway.toml"
    text = file.read_text().partition("[tenants.jira.limits]")[0]
    limits = f"requests_per_second = 100000\nburst = 100000\nconnections = {16 + number // 2}\n"
    file.write_text(f"{text}[tenants.jira.limits]\n{limits}")
    served.signal(signal.SIGHUP)
    await served.says("read again and are in use")


async def test_a_stop_under_load_ends_what_is_under_way_and_doubles_nothing(tmp_path: Path) -> None:
    node = Node()
    async with (
        scripted_upstream(slow_application(node)) as upstream,
        serving(tmp_path, upstream.url) as served,
        asyncio.TaskGroup() as tasks,
    ):
        await reload(served, 0)
        load = Load(served.base_url, served.trusting())
        running = tasks.create_task(load.run())
        ending = tasks.create_task(served.ends())
        await load.reaches(100)
        served.signal(signal.SIGTERM)
        assert await ending == 0
        load.over.set()
        await running

    assert set(load.statuses) <= {200, 201, 429}
    assert load.unanswered <= WORKERS, "each client finds the door closed once"
    assert set(node.acts.values()) == {1}
    assert set(node.acts) == set(load.done), "whatever was executed was answered"
    assert_each_act_is_on_record(tmp_path, node)
    assert not [line for line in served.said if line.get("level") in ("ERROR", "CRITICAL")]


async def test_a_stop_lets_those_who_wait_for_their_turn_have_it(tmp_path: Path) -> None:
    node, goes_on = Node(), asyncio.Event()

    async def play(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            if request.all("X-Request-Id"):
                node.execute(request)
                await goes_on.wait()
                await conversation.send(success(request.method))

    async with (
        scripted_upstream(play) as upstream,
        serving(tmp_path, upstream.url) as served,
        aiohttp.ClientSession(headers=CLIENT_FIELDS, timeout=PATIENCE) as session,
        asyncio.TaskGroup() as tasks,
    ):
        trust = served.trusting()
        waiting = [tasks.create_task(_status(session, served, trust, "PATCH")) for _ in range(4)]
        await _gauge_reaches(served, "scim_gateway_turns_waiting 3.0")
        served.signal(signal.SIGTERM)
        await served.says("stopping")
        goes_on.set()
        assert [await each for each in waiting] == [200] * 4
        assert await served.ends() == 0

    assert sorted(node.acts.values()) == [1] * 4
    assert_each_act_is_on_record(tmp_path, node)


async def _gauge_reaches(served: Served, line: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with session.get(f"http://127.0.0.1:{served.admin_port}/metrics") as response:
                if line in await response.text():
                    return
            await asyncio.sleep(0.05)


async def test_reloads_under_load_drop_nothing_and_double_nothing(tmp_path: Path) -> None:
    node = Node()
    async with (
        scripted_upstream(slow_application(node)) as upstream,
        serving(tmp_path, upstream.url) as served,
        asyncio.TaskGroup() as tasks,
    ):
        await reload(served, 0)
        load = Load(served.base_url, served.trusting())
        running = tasks.create_task(load.run())
        for number in range(1, 9):
            await reload(served, number)
            await load.reaches(40 * number)
        load.over.set()
        await running
        served.signal(signal.SIGTERM)
        assert await served.ends() == 0

    assert load.unanswered == 0
    assert set(load.statuses) == {200, 201}
    assert set(node.acts.values()) == {1}
    assert set(node.acts) == set(load.done)
    assert_each_act_is_on_record(tmp_path, node)


def assert_each_act_is_on_record(directory: Path, node: Node) -> None:
    files = sorted((directory / "audit").glob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    outcomes = {line["request"]: line["outcome"] for line in lines if line["event"] == "outcome"}
    assert {outcomes[act] for act in node.acts} == {"executed"}
    assert lines[-1].get("notice") == "stop"


# No descriptors are left ----------------------------------------------------------------------------


async def test_without_descriptors_those_who_are_there_are_served_and_it_recovers(tmp_path: Path) -> None:
    node = Node()
    async with (
        scripted_upstream(slow_application(node)) as upstream,
        serving(tmp_path, upstream.url) as served,
        aiohttp.ClientSession(headers=CLIENT_FIELDS, timeout=PATIENCE) as session,
        AsyncExitStack() as stack,
    ):
        trust = served.trusting()
        assert await _status(session, served, trust) == 200
        pid = served.process.pid
        used = _descriptors(pid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, used + 8))
        strangers = [stack.enter_context(_connected(served)) for _ in range(40)]
        await served.says("no connection can be accepted for now")

        there = [await _status(session, served, trust, method) for method in ("GET", "POST", "PATCH", "DELETE")]
        for stranger in strangers:
            stranger.close()
        async with aiohttp.ClientSession(headers=CLIENT_FIELDS, timeout=PATIENCE) as newcomer:
            recovered = await _status(newcomer, served, trust)
        served.signal(signal.SIGTERM)
        assert await served.ends() == 0

    assert there == [200, 201, 200, 204]
    assert recovered == 200
    assert set(node.acts.values()) == {1}
    assert_each_act_is_on_record(tmp_path, node)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _connected(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port))


async def _status(session: aiohttp.ClientSession, served: Served, trust: ssl.SSLContext, method: str = "GET") -> int:
    url = served.base_url + TARGETS[method]
    async with session.request(method, url, data=body_of(method), ssl=trust) as response:
        await response.read()
        return response.status
