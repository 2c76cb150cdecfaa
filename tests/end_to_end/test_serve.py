"""`scim-gateway serve` as a process: signals, locks, reloads, and the TLS that a stranger meets."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from gateway.journal.keys import KEY_NAME, made_or_read
from gateway.journal.verifying import Request, verify
from tests.end_to_end.processes import Served, serving, start, write_settings
from tests.ports import unused_port
from tests.upstreams import Conversation, answers, http_answer, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import TOKEN, sha256

LIST = json_answer(
    {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0, "Resources": []}
)
GRADER = Path(".venv-tls/bin/python")
GRADER_IS_THERE = GRADER.exists()
OTHER = "another-token-0123456789-0123456789-abcdef"


async def status(served: Served, token: str = TOKEN) -> int:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(f"{served.base_url}/Users", ssl=served.trusting()) as response,
    ):
        await response.read()
        return response.status


async def admin(served: Served, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{served.admin_port}{path}") as response,
    ):
        return response.status, await response.text()


async def test_sigterm_lets_the_request_under_way_end_on_record_and_exits_0(tmp_path: Path) -> None:
    arrived, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            if request.all("Authorization"):
                arrived.set()
                await goes_on.wait()
            await conversation.send(LIST)

    async with (
        scripted_upstream(slow) as upstream,
        serving(tmp_path, upstream.url) as served,
        asyncio.TaskGroup() as tasks,
    ):
        under_way = tasks.create_task(status(served))
        await arrived.wait()
        served.signal(signal.SIGTERM)
        await served.says("stopping")
        assert (await admin(served, "/readyz"))[0] == 503
        with pytest.raises(aiohttp.ClientError):
            await status(served)
        goes_on.set()

        assert await under_way == 200
        assert await served.ends() == 0
    record = "".join(file.read_text() for file in sorted((tmp_path / "audit").glob("*.jsonl")))
    assert record.count('"event":"outcome"') == 1
    assert '"notice":"stop"' in record.splitlines()[-1]


async def test_a_request_that_outlasts_the_drain_is_cut_short_and_on_record(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def silent(conversation: Conversation) -> None:
        request = await conversation.request()
        if request.all("Authorization"):
            arrived.set()
        await conversation.silence()

    async with scripted_upstream(silent) as upstream, serving(tmp_path, upstream.url) as served:
        file = tmp_path / "gateway.toml"
        file.write_text(file.read_text().replace("drain_seconds = 5", "drain_seconds = 0.2"))
        served.signal(signal.SIGHUP)
        await served.says("read again and are in use")
        async with asyncio.TaskGroup() as tasks:
            under_way = tasks.create_task(asyncio.wait_for(asyncio.shield(_swallow(served)), 10))
            await arrived.wait()
            served.signal(signal.SIGTERM)
            assert await served.ends() == 0
            await under_way
    record = "".join(file.read_text() for file in sorted((tmp_path / "audit").glob("*.jsonl")))
    assert '"reason":"stopping"' in record


async def test_a_second_signal_ends_it_at_once_and_what_it_cut_off_is_on_record(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def silent(conversation: Conversation) -> None:
        request = await conversation.request()
        if request.all("Authorization"):
            arrived.set()
        await conversation.silence()

    async with (
        scripted_upstream(silent) as upstream,
        serving(tmp_path, upstream.url) as served,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(_swallow(served))
        await arrived.wait()
        served.signal(signal.SIGTERM)
        await served.says("stopping")
        served.signal(signal.SIGTERM)
        async with asyncio.timeout(4):
            assert await served.ends() == 1
    assert "Traceback" not in str(served.said)
    record = "".join(file.read_text() for file in sorted((tmp_path / "audit").glob("*.jsonl")))
    assert '"reason":"stopping"' in record


async def test_a_write_under_way_when_it_is_killed_is_told_by_the_next_start_and_the_log_holds(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def silent(conversation: Conversation) -> None:
        request = await conversation.request()
        if request.method == "POST":
            arrived.set()
        await conversation.silence()

    async def create(served: Served) -> None:
        user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann@example.com"}
        fields = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
        async with aiohttp.ClientSession(headers=fields) as session:
            with suppress(aiohttp.ClientError):
                await session.post(f"{served.base_url}/Users", json=user, ssl=served.trusting())

    async with scripted_upstream(silent) as upstream:
        async with serving(tmp_path, upstream.url) as served, asyncio.TaskGroup() as tasks:
            tasks.create_task(create(served))
            await arrived.wait()
            served.signal(signal.SIGKILL)
            await served.ends()
        for _ in range(2):
            async with serving(tmp_path, upstream.url) as served:
                served.signal(signal.SIGTERM)
                assert await served.ends() == 0
    record = (tmp_path / "audit" / "audit-000001.jsonl").read_text()
    verdict = verify(Request(tmp_path / "audit", (made_or_read(tmp_path / "state" / KEY_NAME).public_key(),)))

    assert record.count('"event":"interrupted"') == 1
    assert (verdict.finding, verdict.proven_to) == (None, verdict.last)


async def test_a_fault_in_reading_new_settings_keeps_the_old_ones(tmp_path: Path) -> None:
    async with scripted_upstream(answers(LIST)) as upstream, serving(tmp_path, upstream.url) as served:
        (tmp_path / "gateway.toml").write_text("a = " + "[" * 3000 + "]" * 3000)  # a RecursionError, of tomllib's
        served.signal(signal.SIGHUP)
        await served.says("refused and the old ones kept")

        assert await status(served) == 200


async def test_a_log_that_nobody_reads_holds_up_no_request_and_a_stop_says_the_rest(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # less than the start says
    async with scripted_upstream(answers(LIST)) as upstream:
        port, admin_port = unused_port(), unused_port()
        file = write_settings(tmp_path, upstream.url, port, admin_port)
        process = await start("serve", "--config", str(file), stdout=writing)
        os.close(writing)
        served = Served(process, tmp_path, port, admin_port)
        try:
            await until(lambda: '"notice":"start"' in _record(tmp_path), 10)
            async with asyncio.timeout(10):
                for _ in range(40):
                    assert await status(served) == 200
                assert (await admin(served, "/livez"))[0] == 200
            served.signal(signal.SIGTERM)
            await until(lambda: '"notice":"stop"' in _record(tmp_path), 10)
            with os.fdopen(reading, "rb") as log:
                said = [json.loads(line) for line in await asyncio.to_thread(log.readlines)]
            assert await served.ends() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert sum(line["logger"] == "gateway.access" for line in said) == 40
    assert [line["message"] for line in said if line["message"].startswith("stopp")]


def _record(directory: Path) -> str:
    return "".join(file.read_text() for file in sorted((directory / "audit").glob("*.jsonl")))


async def _swallow(served: Served) -> None:
    try:
        await status(served)
    except aiohttp.ClientError:
        return


async def test_a_second_instance_on_the_same_directories_is_refused(tmp_path: Path) -> None:
    async with scripted_upstream(answers(LIST)) as upstream, serving(tmp_path, upstream.url) as served:
        second = await start("serve", "--config", str(tmp_path / "gateway.toml"))
        said, _ = await second.communicate()

        assert second.returncode == 1
        assert f"is in use by process {served.process.pid}".encode() in said
        assert b"Traceback" not in said
        assert await status(served) == 200


async def test_a_reload_takes_new_settings_and_drops_nothing(tmp_path: Path) -> None:
    async with scripted_upstream(answers(LIST)) as upstream, serving(tmp_path, upstream.url) as served:
        assert await status(served, OTHER) == 401
        file = tmp_path / "gateway.toml"
        file.write_text(
            file.read_text() + f'[[tenants.jira.credentials]]\nname = "next"\ntoken_sha256 = "{sha256(OTHER)}"\n'
        )
        served.signal(signal.SIGHUP)
        await served.says("read again and are in use")

        assert await status(served, OTHER) == 200
        assert await status(served) == 200


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text + "\n[[[", "TOML"),
        (lambda text: text.replace('upstream_token_file = "secret"', 'upstream_token_file = "gone"'), "gone"),
        (lambda text: text.replace('directory = "audit"', 'directory = "elsewhere"'), "restart"),
    ],
    ids=["no TOML", "a missing secret", "a directory that is locked"],
)
async def test_a_reload_that_cannot_be_keeps_the_old_settings_and_says_why(
    tmp_path: Path, spoil: Callable[[str], str], why: str
) -> None:
    async with scripted_upstream(answers(LIST)) as upstream, serving(tmp_path, upstream.url) as served:
        file = tmp_path / "gateway.toml"
        file.write_text(spoil(file.read_text()))
        served.signal(signal.SIGHUP)
        refused = await served.says("the old ones kept")

        assert why in refused["message"]
        assert await status(served) == 200
        assert "settings failed" in (await admin(served, "/readyz?verbose"))[1]
        assert "scim_gateway_config_last_reload_successful 0.0" in (await admin(served, "/metrics"))[1]


async def test_a_port_that_is_taken_is_said_without_a_traceback(tmp_path: Path) -> None:
    async with scripted_upstream(answers(LIST)) as upstream, serving(tmp_path, upstream.url) as served:
        other = tmp_path / "other"
        other.mkdir()
        text = (tmp_path / "gateway.toml").read_text().replace('"state"', '"state2"').replace('"audit"', '"audit2"')
        (tmp_path / "second.toml").write_text(text)
        second = await start("serve", "--config", str(tmp_path / "second.toml"))
        said, _ = await second.communicate()

        assert second.returncode == 1
        assert b"in use" in said
        assert b"Traceback" not in said
        assert await status(served) == 200


async def test_sslyze_finds_mozillas_intermediate_profile(tmp_path: Path) -> None:
    if not GRADER_IS_THERE:
        assert not os.environ.get("CI"), "make servers installs the grader"
        pytest.skip("make servers installs the grader")
    async with scripted_upstream(answers(LIST)) as upstream, serving(tmp_path, upstream.url) as served:
        ran = await asyncio.to_thread(
            subprocess.run,
            [
                *(str(GRADER), "-m", "sslyze", "--mozilla_config=intermediate"),
                *(f"--certinfo_ca_file={tmp_path / 'tls/ca.pem'}", f"localhost:{served.port}"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert "OK - Compliant" in ran.stdout, ran.stdout[-3000:]


async def test_the_log_is_json_and_never_says_what_a_secret_is(tmp_path: Path) -> None:
    async with (
        scripted_upstream(answers(LIST, http_answer(500))) as upstream,
        serving(tmp_path, upstream.url) as served,
    ):
        await status(served)
        await status(served, OTHER)
        served.signal(signal.SIGTERM)
        assert await served.ends() == 0

    assert all(isinstance(line, dict) for line in served.said)
    assert TOKEN not in str(served.said)
    assert OTHER not in str(served.said)
    assert any(line.get("operation") == "user.list" for line in served.said)
