"""What lasts: mixed load with bad requests and failed handshakes leaves memory, descriptors and places as they were.

`make soak` runs a minute of it, `make test` a tenth.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.processes import Served, serving
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.worlds import TOKEN

LIST = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0})
USER = b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a"}'
MAX_GROWTH_KIB = 20 * 1024


def rss_kib(served: Served) -> int:
    text = Path(f"/proc/{served.process.pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


def descriptors(served: Served) -> int:
    return sum(1 for _ in Path(f"/proc/{served.process.pid}/fd").iterdir())


async def read_log(served: Served) -> None:
    """Somebody must: a process whose output nobody takes stops at its next line."""
    assert served.process.stdout is not None
    while await served.process.stdout.read(65_536):
        pass


async def client(served: Served, until: float, statuses: Counter[int]) -> None:
    """Reads, writes and a stranger's guesses, one after another on a connection kept alive."""
    loop = asyncio.get_running_loop()
    trusting = served.trusting()
    async with aiohttp.ClientSession() as session:
        while loop.time() < until:
            for token, method, body in ((TOKEN, "GET", None), (TOKEN, "POST", USER), ("guess", "GET", None)):
                fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
                url = f"{served.base_url}/Users"
                async with session.request(method, url, data=body, headers=fields, ssl=trusting) as response:
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
    return failed


async def load(served: Served, seconds: float) -> tuple[Counter[int], int]:
    until = asyncio.get_running_loop().time() + seconds
    statuses: Counter[int] = Counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(client(served, until, statuses))
        scanning = tasks.create_task(scanner(served, until))
    return statuses, scanning.result()


@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=pytest.mark.soak)])
async def test_mixed_load_leaves_memory_and_descriptors_as_they_were(tmp_path: Path, seconds: int) -> None:
    async with (
        scripted_upstream(answers(LIST)) as upstream,
        serving(tmp_path, upstream.url) as served,
        asyncio.TaskGroup() as tasks,
    ):
        reading = tasks.create_task(read_log(served))
        await load(served, 2)  # what is built at the first use stays
        memory, open_before = rss_kib(served), descriptors(served)
        statuses, failed = await load(served, seconds)
        grown, left_open = rss_kib(served) - memory, descriptors(served) - open_before
        reading.cancel()

    print(f"{dict(statuses)}, {failed} failed handshakes, {grown} KiB more, {left_open} descriptors more")  # noqa: T201
    assert set(statuses) <= {200, 401, 429}
    assert statuses[200] > 20 * seconds
    assert failed > 20 * seconds
    assert grown < MAX_GROWTH_KIB
    assert left_open < 20
