"""The overview of an instance that runs, as the command line reads it over the control socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.settings.models import Settings
from tests.houses import House, house
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import PATH, TOKEN

EMPTY = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0})


async def status(of: House, *words: str) -> Result:
    directory = ("--state-directory", str(of.directory / "state"))
    return await asyncio.to_thread(CliRunner().invoke, main, ["status", *directory, *words])


async def told_by(of: House) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((await status(of, "--json")).stdout)
    return told


async def ask(of: House) -> None:
    fields = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=fields) as session,
        session.get(of.base_url + "/Users", ssl=of.trusting()) as answer,
    ):
        assert answer.status == 200


async def test_one_page_shows_everything_of_an_instance_with_which_all_is_well(tmp_path: Path) -> None:
    async with scripted_upstream(answers(EMPTY)) as upstream, house(tmp_path, upstream.url) as built:
        await ask(built)
        ran = await status(built)
        told = await told_by(built)

    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("All is well.\n\ninstance ")
    for part in (
        f"tenant jira (okta)  {PATH}",
        f"  node       127.0.0.1:{upstream.port} (primary)  in-service; answers",
        "  requests   1 ok in ",
        "  guard      off; nothing is held",
        "  credential okta-2027  valid; never ends; used 0 s ago",
        f"listens      127.0.0.1:{built.port} for https://localhost:",
        "audit        line ",
        "signed up to line ",
        "certificate  ends 20",
    ):
        assert part in ran.stdout
    assert "not since the start" not in ran.stdout
    assert (told["well"], told["findings"]) == (True, [])
    assert told["tenants"][0]["answers"] == {"ok": 1}
    assert told["audit"]["last_line"] >= told["audit"]["signed_line"] > 0


async def test_what_is_wrong_comes_first_and_the_command_fails(tmp_path: Path) -> None:
    async with scripted_upstream(answers(EMPTY)) as upstream, house(tmp_path, upstream.url) as built:

        async def reread() -> Settings:
            raise ValueError("tenants.jira: no")

        built.instance._reread = reread
        built.instance.request_reload()
        await until(lambda: built.instance.reload_problem)
        ran = await status(built)

    assert ran.exit_code == 1
    assert ran.stdout.startswith("WRONG        the settings read last are refused, those of before are in use:")
    assert "-> scim-gateway check; then reload (SIGHUP)" in ran.stdout


async def test_an_application_that_is_away_is_named(tmp_path: Path) -> None:
    async with scripted_upstream(answers(EMPTY)) as upstream:
        gone = upstream.url
    async with house(tmp_path, gone) as built:
        (node,) = built.instance.upstreams["jira"].nodes
        await until(lambda: node.health.healthy is False)
        ran = await status(built)

    assert ran.exit_code == 1
    assert ran.stdout.startswith("WRONG        jira: the application does not serve: 127.0.0.1:")


async def test_the_requests_are_counted_in_the_background(tmp_path: Path) -> None:
    async with scripted_upstream(answers(EMPTY)) as upstream, house(tmp_path, upstream.url):
        running = [str(task.get_coro()) for task in asyncio.all_tasks()]

    assert any("Overview.run" in coroutine for coroutine in running)
