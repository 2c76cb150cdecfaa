"""A whole gateway sends its audit log to a syslog server: all of it, and operators see how far it is."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.houses import House, house
from tests.sinks.servers import Papers, serving
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import TOKEN

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "ada"}


async def ask(it: House) -> int:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
        session.get(f"{it.base_url}/Users/1", ssl=it.trusting()) as response,
    ):
        return response.status


async def page(it: House, path: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(it.admin_url + path) as response:
        return await response.text()


async def test_every_line_of_a_gateway_reaches_its_syslog_server(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    async with serving(papers) as server, scripted_upstream(answers(json_answer(USER))) as upstream:
        async with house(tmp_path, upstream.url, audit={"syslog": papers.section(server.port)}) as it:
            assert await ask(it) == 200
            await until(lambda: b'"operation":"user.get"' in server.received)
            shown = await page(it, "/readyz?verbose")
            assert "[+]audit sink syslog ok" in shown
        log = b"".join(file.read_bytes() for file in sorted((tmp_path / "audit").glob("*.jsonl"))).splitlines()

    assert [line for line in log[:-1] if line not in server.received] == []  # "stop" follows after the next start


async def test_a_syslog_server_that_is_away_holds_up_nobody(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    section = papers.section(1)  # nobody listens there
    async with (
        scripted_upstream(answers(json_answer(USER))) as upstream,
        house(tmp_path, upstream.url, audit={"syslog": section}) as it,
    ):
        await until(lambda: it.instance.sinks[0].problem)
        assert await ask(it) == 200

        shown = await page(it, "/readyz?verbose")
        assert "[!]audit sink syslog failed: Connect call failed" in shown
        assert shown.endswith("ready\n")
        await until(lambda: it.instance.sinks[0].lag_lines >= 2)
