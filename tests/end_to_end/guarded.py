"""The guard as its people meet it: `scim-gateway serve` before the real application, alerts, and the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from gateway.cli import control
from gateway.rehearsal.application import Application
from tests.end_to_end.processes import PATIENCE_SECONDS, Served, serving
from tests.worlds import TOKEN
from tests.worlds_application import ask as ask_application

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
WEBHOOK_TOKEN = "webhook-secret-0123456789"
PEOPLE = 3  # who may lose access before it is a wave


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got."""

    status: int
    fields: Mapping[str, str]  # names in lower case
    document: Any  # None for no body

    @property
    def slug(self) -> str | None:
        """The name of a refusal, as its text shows it."""
        detail: str = (self.document or {}).get("detail", "")
        return detail.rpartition("[")[2].partition(",")[0] if "[" in detail else None


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Receiver:
    """Takes alerts for as long as it runs, whatever restarts meanwhile."""

    url: str = ""
    got: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)  # Authorization, event

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for _, event in self.got if event["event"] == kind]

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((request.headers.get("Authorization"), await request.json()))
        return web.Response(status=204)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A running gateway with a guard."""

    served: Served
    application: Application
    session: aiohttp.ClientSession

    @property
    def directory(self) -> Path:
        return self.served.directory

    async def ask(self, method: str, target: str, body: object = None) -> Reply:
        """One request of the client."""
        async with self.session.request(method, self.served.base_url + target, json=body) as response:
            text = await response.text()
            fields = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, fields, json.loads(text) if text else None)

    async def switch(self, user: str, *, active: bool) -> Reply:
        """Deactivate or reactivate somebody, as Okta says it."""
        return await self.ask("PATCH", f"/Users/{user}", replacing({"active": active}))

    async def end(self, number: signal.Signals) -> None:
        """End the process by a signal."""
        self.served.signal(number)
        code = await self.served.ends()
        assert code == (0 if number is signal.SIGTERM else -number)

    async def resettle(self, **guard: object) -> None:
        """Give the running process another guard."""
        file = self.directory / "gateway.toml"
        file.write_text(file.read_text().partition("[tenants.jira.guard]")[0] + guard_section(**guard))
        self.served.signal(signal.SIGHUP)
        await self.served.says("read again and are in use")

    async def switch_off(self, *users: str) -> list[int]:
        """Deactivate one after the other: the statuses."""
        return [(await self.switch(user, active=False)).status for user in users]

    async def guard(self, *words: str) -> Said:
        """`scim-gateway guard`, as a person runs it."""
        return await guard(*words, "--config", str(self.directory / "gateway.toml"))

    async def holds(self) -> list[dict[str, Any]]:
        """What `guard list --tasks --json` tells, without the half second which that process takes to start."""
        answer = await asyncio.to_thread(control.ask, self.directory / "state", "guard.list", tasks=True)
        holds: list[dict[str, Any]] = json.loads(json.dumps(answer["holds"]))
        return holds

    async def operators(self, path: str) -> str:
        """A page of the admin listener."""
        async with self.session.get(f"http://127.0.0.1:{self.served.admin_port}{path}") as response:
            return await response.text()

    async def metrics_that_show(self, line: str) -> str:
        """All metrics, once they hold a line: gauges are set about once a second."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line not in (shown := await self.operators("/metrics")):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.05)
        return shown

    def record(self) -> list[dict[str, Any]]:
        """The audit log, as far as its lines are whole."""
        files = sorted((self.directory / "audit").glob("audit-*.jsonl"))
        lines = [line for file in files for line in file.read_text(encoding="ascii").splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def notices(self, kind: str) -> list[dict[str, Any]]:
        return [line["details"] for line in self.record() if line.get("notice") == kind]

    async def away(self) -> set[str]:
        """Ids of those who are inactive at the application, asked past the gateway."""
        users = (await ask_application(self.application, "GET", "/Users?count=500"))["Resources"]
        return {user["id"] for user in users if user["active"] is False}


@asynccontextmanager
async def guarded(
    directory: Path,
    application: Application,
    receiver: Receiver | None = None,
    upstream: str | None = None,
    **guard: object,
) -> AsyncIterator[Guarded]:
    """A gateway with a guard until the block ends; entered again with the same directory it is the same instance.

    `upstream` is put before it in the place of the application.
    """
    more = guard_section(**guard)
    if receiver is not None:
        more += f'[alerts]\nwebhook_url = "{receiver.url}"\nwebhook_token = "{WEBHOOK_TOKEN}"\n'
    fields = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
    async with (
        serving(directory, upstream or application.origin, guard=None, more=more) as served,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=served.trusting()),
            headers=fields,
            timeout=aiohttp.ClientTimeout(total=15),
        ) as session,
    ):
        yield Guarded(served, application, session)


def guard_section(**guard: object) -> str:
    """Settings of a guard that holds a fourth leaver within the hour."""
    settings = {"people": PEOPLE, "directory_size": 1000, **guard}
    return "[tenants.jira.guard]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


async def guard(*words: str) -> Said:
    """`scim-gateway guard` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "guard", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("SCIM_GATEWAY")},
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver of alerts on a socket."""
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/alerts", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/alerts"
        yield receiver
    finally:
        await runner.cleanup()


async def people(application: Application, *names: str) -> list[str]:
    """New active users at the application: their ids."""
    made = [await ask_application(application, "POST", "/Users", user(name)) for name in names]
    return [one["id"] for one in made]


async def group(application: Application, name: str, members: list[str]) -> str:
    """A new group there: its id."""
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": member} for member in members]}
    made: dict[str, str] = await ask_application(application, "POST", "/Groups", body)
    return made["id"]


def user(name: str) -> dict[str, Any]:
    return {"schemas": [USER], "userName": f"{name}@example.com", "active": True}


def replacing(value: object, path: str | None = None) -> dict[str, Any]:
    """A PATCH with one replace."""
    where = {} if path is None else {"path": path}
    return {"schemas": [PATCH], "Operations": [{"op": "replace", **where, "value": value}]}
