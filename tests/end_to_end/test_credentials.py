"""Credentials made at run time as operators meet them: `serve` and `token` in processes of their own, under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.processes import Served, serving
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import TOKEN

NOBODY = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0})
OVERLAP_SECONDS = 2
WORKERS = 4  # with each token
NO_LIMIT = "[tenants.jira.limits]\nrequests_per_second = 10000\nburst = 10000\n"


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of a client; Unix seconds."""

    token: str
    sent_at: float
    answered_at: float
    status: int


@dataclass(slots=True)
class Clients:
    """Clients that ask without a pause, on connections that they keep."""

    served: Served
    trust: ssl.SSLContext
    over: asyncio.Event = field(default_factory=asyncio.Event)
    answered: list[Answered] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # by the log, but for requests

    async def run(self, token: str) -> None:
        """Go on with a token until it is over; a connection that is lost is an error."""
        fields = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=fields) as session:
            while not self.over.is_set():
                sent_at = time.time()
                async with session.get(self.served.base_url + "/Users", ssl=self.trust) as answer:
                    await answer.read()
                self.answered.append(Answered(token, sent_at, time.time(), answer.status))

    async def listen(self) -> None:
        """Take the log, a line a request, or the gateway would wait for somebody to."""
        assert self.served.process.stdout is not None
        while line := await self.served.process.stdout.readline():
            self.told += [line.decode()] if b"gateway.access" not in line else []

    async def status_of(self, token: str) -> int:
        """Of one request."""
        fields = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=fields) as session,
            session.get(self.served.base_url + "/Users", ssl=self.trust) as answer,
        ):
            return answer.status


@asynccontextmanager
async def gateway(directory: Path) -> AsyncIterator[Clients]:
    """A running process before an application that knows nobody."""
    async with (
        scripted_upstream(answers(NOBODY)) as upstream,
        serving(directory, upstream.url, more=NO_LIMIT) as served,
    ):
        yield Clients(served, served.trusting())


async def token(directory: Path, *words: str) -> dict[str, Any]:
    """What `scim-gateway token ... --json` prints, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "token", *words, "--tenant", "jira", "--json"),
        *("--config", str(directory / "gateway.toml")),
        stdout=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("SCIM_GATEWAY")},
    )
    out, _ = await process.communicate()
    told: dict[str, Any] = json.loads(out)
    return told


async def test_a_rotation_under_load_fails_no_request_and_the_old_token_stops_on_its_date(tmp_path: Path) -> None:
    async with gateway(tmp_path) as clients, asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(clients.listen())
        for _ in range(WORKERS):
            tasks.create_task(clients.run(TOKEN))
        await until(lambda: len(clients.answered) >= 5 * WORKERS)
        rotated = await token(tmp_path, "rotate", "--name", "okta-2027", "--overlap", f"{OVERLAP_SECONDS}s")
        for _ in range(WORKERS):
            tasks.create_task(clients.run(rotated["token"]))
        ends_at = rotated["replaced_ends_at"]
        await until(lambda: sum(one.token == TOKEN and one.sent_at > ends_at for one in clients.answered) >= 5)
        await until(lambda: "the credential okta-2027 has ended (rotated)" in "".join(clients.told))
        clients.over.set()
        listening.cancel()

    old = [one for one in clients.answered if one.token == TOKEN]
    new = [one for one in clients.answered if one.token != TOKEN]
    during = [one for one in old if one.answered_at < ends_at]
    assert {one.status for one in during} == {200}
    assert {one.status for one in new} == {200}
    assert {one.status for one in old if one.sent_at > ends_at} <= {401, 429}
    assert any(one.sent_at > ends_at for one in new), "the new one goes on"
    assert max(one.answered_at for one in during) > ends_at - 1, "the old one was in use to the last"


async def test_what_was_made_and_revoked_outlives_a_kill(tmp_path: Path) -> None:
    async with gateway(tmp_path) as clients:
        made = await token(tmp_path, "new", "--name", "made")
        await token(tmp_path, "revoke", "--name", "okta-2027", "--reason", "leaked")
        before = [await clients.status_of(one) for one in (made["token"], TOKEN)]
        clients.served.signal(signal.SIGKILL)
        await clients.served.ends()
    async with gateway(tmp_path) as clients:
        after = [await clients.status_of(one) for one in (made["token"], TOKEN)]
        listed = (await token(tmp_path, "list"))["credentials"]
        log = "".join(str(line) for line in clients.served.said)
    record = "".join(file.read_text() for file in sorted((tmp_path / "audit").glob("*.jsonl")))

    lines = [json.loads(line) for line in record.splitlines()]

    assert before == after == [200, 401]
    assert [(one["name"], one["state"]) for one in listed] == [("okta-2027", "revoked"), ("made", "valid")]
    assert "the credential okta-2027 of the settings opens nothing: revoked by" in log
    assert [line["notice"] for line in lines if "by" in line.get("details", {})] == [
        "credential-added",
        "credential-revoked",
    ]
    assert made["token"] not in record + log


async def test_a_reload_keeps_what_was_made_and_what_was_revoked(tmp_path: Path) -> None:
    async with gateway(tmp_path) as clients:
        made = await token(tmp_path, "new", "--name", "made")
        await token(tmp_path, "revoke", "--name", "okta-2027")
        clients.served.signal(signal.SIGHUP)
        await clients.served.says("in use")

        assert [await clients.status_of(one) for one in (made["token"], TOKEN)] == [200, 401]


async def test_a_file_of_credentials_that_cannot_be_read_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "credentials.sqlite3").write_bytes(b"no database at all" * 99)
    with pytest.raises(AssertionError, match=r"cannot start: the file of credentials .* is damaged"):
        async with gateway(tmp_path):
            pass
