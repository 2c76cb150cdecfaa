"""Clients that write without a pause, and an application that always has some of it under way."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from tests.faults.scenes import CLIENT_FIELDS, PATIENCE, PROBE_ANSWER, Node, body_of, success
from tests.upstreams import Conversation, Script
from tests.waiting import until

WORKERS = 8


@dataclass(slots=True)
class Load:
    """Clients with connections that they keep, and what they got."""

    base_url: str
    trust: ssl.SSLContext
    over: asyncio.Event = field(default_factory=asyncio.Event)
    statuses: Counter[int] = field(default_factory=Counter)
    done: dict[str, int] = field(default_factory=dict)  # ids of requests that were answered 2xx, and when
    unanswered: int = 0

    async def run(self) -> None:
        async with (
            aiohttp.ClientSession(headers=CLIENT_FIELDS, timeout=PATIENCE) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for number in range(WORKERS):
                tasks.create_task(self._work(session, f"/Users/{number}"))

    async def _work(self, session: aiohttp.ClientSession, resource_path: str) -> None:
        while not self.over.is_set():
            for method, target in (("POST", "/Users"), ("PATCH", resource_path)):
                try:
                    await self._ask(session, method, target)
                except aiohttp.ClientError:
                    self.unanswered += 1
                    return

    async def _ask(self, session: aiohttp.ClientSession, method: str, target: str) -> None:
        async with session.request(method, self.base_url + target, data=body_of(method), ssl=self.trust) as response:
            await response.read()
            self.statuses[response.status] += 1
            if response.status < 300:
                self.done[response.headers["X-Request-Id"]] = time.monotonic_ns()

    async def reaches(self, answers: int) -> None:
        """Wait until there were so many."""
        await until(lambda: self.statuses.total() >= answers)


def slow_application(node: Node) -> Script:
    """Carries out each request and takes 10 ms over its answer, so that some are always under way."""

    async def play(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            if not request.all("X-Request-Id"):
                await conversation.send(PROBE_ANSWER)
                continue
            node.execute(request)
            await asyncio.sleep(0.01)
            await conversation.send(success(request.method))

    return play
