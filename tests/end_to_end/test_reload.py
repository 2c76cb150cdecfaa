"""Reloads that come in the middle of a request."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from pydantic import SecretStr

from gateway.settings.models import Settings
from tests.houses import house
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "a"}


async def test_a_request_whose_body_is_on_its_way_outlives_a_reload_that_changes_its_upstream(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer(USER, 201))) as upstream, house(tmp_path, upstream.url) as it:
        jira = it.instance.settings.tenants["jira"].model_copy(update={"upstream_token": SecretStr("another" * 5)})
        new = it.instance.settings.model_copy(update={"tenants": {"jira": jira}})
        before = it.instance.pipeline

        async def reread() -> Settings:
            return new

        it.instance._reread = reread
        body = json.dumps(USER).encode()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", it.port, ssl=it.trusting(), server_hostname="localhost"
        )
        head = f"POST {PATH}/Users HTTP/1.1\r\nHost: localhost:{it.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        writer.write(f"{head}Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n".encode())
        writer.write(b"Expect: 100-continue\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        it.instance.request_reload()
        await until(lambda: it.instance.pipeline is not before)
        writer.write(body)
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert answer.startswith(b"HTTP/1.1 201")
    assert upstream.requests[-1].all("Authorization") == [f"Bearer {UPSTREAM_TOKEN}"]
