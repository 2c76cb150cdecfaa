"""Under a service manager: sockets that are handed over, what it is told, and restarts that nobody notices."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import sys
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.managers import Manager, manager
from tests.end_to_end.processes import Served, start
from tests.ports import unused_port
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import PATH, TOKEN

LIST = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0,
                    "Resources": []})  # fmt: skip
CONNECTIONS = 20
RATE = 300.0  # requests a second, of all together
UNWATCHED = {"WATCHDOG_USEC": "0"}  # a socket may hold ten datagrams that nobody hears, and then takes no more
PLENTY = "[tenants.jira.limits]\nrequests_per_second = 10000\nburst = 10000\n"
REQUEST = f"GET {PATH}/Users HTTP/1.1\r\nHost: localhost:%d\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"


async def status(served: Served) -> int:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
        session.get(f"{served.base_url}/Users", ssl=served.trusting()) as response,
    ):
        return response.status


async def test_sockets_handed_over_are_served_and_the_manager_hears_how_it_is(tmp_path: Path) -> None:
    async with scripted_upstream(answers(LIST)) as upstream:
        with manager(tmp_path, "public", "admin") as held:
            served = await held.start(held.settings(upstream.url))
            assert f"port {held.port}, tenants jira" in await held.hears("READY=1")
            assert await status(served) == 200
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{served.admin_port}/readyz") as ready,
            ):
                assert ready.status == 200
            await held.hears("WATCHDOG=1")
            served.signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in await held.hears("RELOADING=1")
            await held.hears("READY=1")
            (tmp_path / "gateway.toml").write_text("[[[")
            served.signal(signal.SIGHUP)
            await held.hears("RELOADING=1")
            assert "settings read last are refused" in await held.hears("READY=1")
            served.signal(signal.SIGTERM)
            await held.hears("STOPPING=1")

            assert await served.ends() == 0


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "public:admin"}, "fewer were handed over"),
        ({"LISTEN_FDS": "0"}, "no number of sockets"),
    ],
)
async def test_a_wrong_handover_is_said_without_a_traceback(
    tmp_path: Path, environment: dict[str, str], says: str
) -> None:
    with manager(tmp_path) as held:
        served = await held.start(held.settings("http://127.0.0.1:1"), environment)
        exit_code = await served.ends()

    assert exit_code == 1
    assert says in served.said[-1]["message"]
    assert "exception" not in served.said[-1]


async def test_systemd_itself_hands_a_socket_over(tmp_path: Path) -> None:
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        assert not os.environ.get("CI"), "install Debian's package systemd"
        pytest.skip("install Debian's package systemd")
    port = unused_port()
    async with scripted_upstream(answers(LIST)) as upstream:
        with manager(tmp_path) as held:
            config = held.settings(upstream.url)
        under = (activate, f"--listen=127.0.0.1:{port}", "--fdname=public", "--setenv=PATH")
        process = await start("serve", "--config", str(config), under=under)
        served = Served(process, tmp_path, port, 0)
        await until(partial(listens, port))  # which calls, and so has the gateway started
        ready = await served.says("ready")
        served.signal(signal.SIGTERM)

        assert ready["port"] == port
        assert await served.ends() == 0


def listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Load:
    """Requests on kept-alive connections, at a rate; whatever is not answered with 200 has failed."""

    served: Served
    answered: list[float] = field(default_factory=list)  # loop seconds
    closing: int = 0  # answers that were the last of their connection
    failed: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        trusting = self.served.trusting()
        async with asyncio.TaskGroup() as clients:
            for number in range(CONNECTIONS):
                clients.create_task(self._call_again_and_again(number, trusting))

    async def _call_again_and_again(self, number: int, trusting: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + number / RATE
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self.over.is_set():
            await asyncio.sleep(due - loop.time())
            due = max(due + CONNECTIONS / RATE, loop.time())
            try:
                async with asyncio.timeout(30):
                    if connection is None:
                        connection = await asyncio.open_connection("localhost", self.served.port, ssl=trusting)
                    if await self._is_the_last(*connection):
                        connection = None
            except (OSError, EOFError, TimeoutError) as error:
                self.failed.append(repr(error))
                connection = None
        if connection is not None:
            connection[1].close()

    async def _is_the_last(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Call once; whether the connection ended with the answer, as it said."""
        writer.write((REQUEST % self.served.port).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readexactly(int(head.partition("Content-Length: ")[2].partition("\r\n")[0]))
        self.answered.append(asyncio.get_running_loop().time())
        if not head.startswith("HTTP/1.1 200 "):
            self.failed.append(head)
        if "Connection: close" not in head:
            return False
        self.closing += 1
        if await reader.read():
            self.failed.append("something behind the last answer")
        writer.close()
        return True


async def restart(held: Manager, served: Served, config: Path) -> Served:
    """As `systemctl restart` does: the next one is started once the last has ended."""
    served.signal(signal.SIGTERM)
    assert await served.ends() == 0
    following = await held.start(config, UNWATCHED)
    await held.hears("READY=1")
    return following


@pytest.mark.parametrize("restarts", [3, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
async def test_restarts_and_reloads_under_load_lose_not_one_request(tmp_path: Path, restarts: int) -> None:
    async with scripted_upstream(answers(LIST)) as upstream:
        with manager(tmp_path) as held:
            config = held.settings(upstream.url, PLENTY)
            served = await held.start(config, UNWATCHED)
            await held.hears("READY=1")
            load = Load(served)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(load.run())
                for _ in range(restarts):
                    await asyncio.sleep(1)
                    served.signal(signal.SIGHUP)
                    await held.hears("RELOADING=1")
                    await held.hears("READY=1")
                    served = await restart(held, served, config)
                await asyncio.sleep(1)
                load.over.set()
            served.signal(signal.SIGTERM)
            assert await served.ends() == 0

    longest = max(after - before for before, after in pairwise(load.answered))
    sys.stdout.write(f"{len(load.answered)} requests, longest gap {longest:.2f} s\n")
    assert load.failed == []
    assert len(load.answered) > 100 * restarts
    assert load.closing >= restarts * CONNECTIONS
