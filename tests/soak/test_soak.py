"""What lasts: mixed load with faults on both sides leaves memory, descriptors, tasks and turns as they were.

`make soak` runs ten minutes of it, `make test` a few seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.processes import Served, serving
from tests.upstreams import Conversation, SeenRequest, http_answer, json_answer, scripted_upstream
from tests.worlds import TOKEN

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "a"}
BODY = json.dumps({"schemas": USER["schemas"], "userName": "a"}).encode()
PAGE = http_answer(503, {"Content-Type": "text/html"}, b"<html>be right back</html>")
PROBE_ANSWER = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "401"}, 401)
LIMITS = "[tenants.jira.limits]\nrequests_per_second = 10000\nburst = 10000\nbudget_seconds = 2\n"
FAULTS = (*("reset", "cut", "page", "twice", "hang up") * 3, "silence")
FAULTS_IN_A_HUNDRED = 6
SETTLED = 0.25  # of the time: until then, what is built at the first use is being built
MAX_GROWTH_KIB = 20 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process holds."""

    rss_kib: int
    descriptors: int
    tasks: int
    turns: int


async def application(conversation: Conversation) -> None:
    """One node: mostly well, and sometimes broken in one of many ways."""
    chance = random.Random(conversation.number)
    while True:
        request = await conversation.request()
        if not request.all("X-Request-Id"):
            await conversation.send(PROBE_ANSWER)
        elif chance.randrange(100) >= FAULTS_IN_A_HUNDRED:
            await conversation.send(_answer_to(request))
        elif await _misbehave(conversation, request, chance.choice(FAULTS)):
            return


async def _misbehave(conversation: Conversation, request: SeenRequest, fault: str) -> bool:
    """Whether the connection is over by it."""
    conversation.upstream.received[conversation.number].clear()
    match fault:
        case "reset":
            conversation.reset()
        case "cut":
            await conversation.send(_answer_to(request)[:-5])
        case "page":
            await conversation.send(PAGE)
        case "silence":
            await conversation.silence()
        case "twice":
            await conversation.send(_answer_to(request) * 2)
        case _:
            await conversation.send(_answer_to(request))
    return fault != "page"


def _answer_to(request: SeenRequest) -> bytes:
    return (
        http_answer(204) if request.method == "DELETE" else json_answer(USER, 201 if request.method == "POST" else 200)
    )


async def client(served: Served, until: float, statuses: Counter[int], seed: int) -> None:
    """Reads, writes and a stranger's guesses, one after another; now and then it hangs up before its answer."""
    loop, chance = asyncio.get_running_loop(), random.Random(seed)
    trusting = served.trusting()
    async with aiohttp.ClientSession() as session:
        while loop.time() < until:
            for token, method, path in (
                (TOKEN, "GET", "1"),
                (TOKEN, "POST", ""),
                (TOKEN, "PUT", f"{seed}"),
                ("guess", "GET", ""),
            ):
                fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
                url = f"{served.base_url}/Users/{path}".rstrip("/")
                patience = 0.002 if chance.randrange(50) == 0 else 30
                with suppress(TimeoutError):
                    async with (
                        asyncio.timeout(patience),
                        session.request(
                            method, url, data=BODY if method in ("POST", "PUT") else None, headers=fields, ssl=trusting
                        ) as response,
                    ):
                        await response.read()
                        statuses[response.status] += 1


async def scanner(served: Served, until: float) -> int:
    """Handshakes that fail: plain HTTP and garbage on the TLS port."""
    loop, failed = asyncio.get_running_loop(), 0
    while loop.time() < until:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" if failed % 2 else b"\x16\x03\x01\x00\x05garbage")
            await reader.read()
            writer.close()
        failed += 1
        await asyncio.sleep(0.005)  # a scanner, not a flood
    return failed


async def read_log(served: Served) -> None:
    """Somebody must: a process whose output nobody takes stops at its next line."""
    assert served.process.stdout is not None
    while await served.process.stdout.read(65_536):
        pass


async def sample(served: Served) -> Sample:
    """What the process holds now."""
    process = Path(f"/proc/{served.process.pid}")
    status = (process / "status").read_text(encoding="ascii")
    metrics = await asyncio.to_thread(_metrics, served)
    return Sample(
        int(status.partition("VmRSS:")[2].split()[0]),
        sum(1 for _ in (process / "fd").iterdir()),
        int(metrics["scim_gateway_tasks"]),
        int(metrics["scim_gateway_turns_held"] + metrics["scim_gateway_turns_waiting"]),
    )


def _metrics(served: Served) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.admin_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.partition(" ") for line in lines if line[0] != "#")}


async def load(served: Served, seconds: float) -> tuple[Counter[int], int]:
    until = asyncio.get_running_loop().time() + seconds
    statuses: Counter[int] = Counter()
    async with asyncio.TaskGroup() as tasks:
        for seed in range(6):
            tasks.create_task(client(served, until, statuses, seed))
        scanning = tasks.create_task(scanner(served, until))
    return statuses, scanning.result()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [20, pytest.param(600, marks=pytest.mark.soak)])
async def test_mixed_load_with_faults_leaves_a_process_as_it_was(tmp_path: Path, seconds: int) -> None:
    samples: list[Sample] = []
    totals: Counter[int] = Counter()
    failed = 0
    async with (
        scripted_upstream(application) as first,
        scripted_upstream(application) as second,
        serving(tmp_path, first.url, second.url, more=LIMITS) as served,
        asyncio.TaskGroup() as tasks,
    ):
        reading = tasks.create_task(read_log(served))
        await load(served, SETTLED * seconds)
        for _ in range(4):
            samples.append(await _at_rest(served))
            statuses, failed_now = await load(served, (1 - SETTLED) / 4 * seconds)
            totals, failed = totals + statuses, failed + failed_now
            for upstream in (first, second):  # what they saw is of no interest, and would be all the memory there is
                upstream.requests.clear()
        samples.append(await _at_rest(served))
        reading.cancel()

    print(f"{dict(totals)}; {failed} failed handshakes")  # noqa: T201
    print(*samples, sep="\n")  # noqa: T201
    assert set(totals) <= {200, 201, 401, 429}
    assert totals[200] > 10 * seconds
    assert samples[-1].rss_kib - samples[0].rss_kib < MAX_GROWTH_KIB
    assert abs(samples[-1].descriptors - samples[0].descriptors) < 20
    assert abs(samples[-1].tasks - samples[0].tasks) < 20
    assert samples[-1].turns == 0


async def _at_rest(served: Served) -> Sample:
    """A sample once what is under way has ended: a client's patience is longer than a request's budget."""
    found = await sample(served)
    for _ in range(50):
        if found.turns == 0:
            break
        await asyncio.sleep(0.1)
        found = await sample(served)
    return found
