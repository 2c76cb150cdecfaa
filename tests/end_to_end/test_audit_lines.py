"""What a whole gateway puts on record beside its requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from gateway.settings.models import Settings
from tests.houses import house
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import PATH, TOKEN

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "a"}


async def test_a_connection_that_never_spoke_tls_is_on_record(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer(USER))) as upstream, house(tmp_path, upstream.url) as it:
        _, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: any(line["event"] == "connection" for line in it.audit_lines()))
        writer.close()
        (line,) = [line for line in it.audit_lines() if line["event"] == "connection"]

    assert (line["address"], line["failure"]) == ("127.0.0.1", "plain-http")


async def test_a_line_names_the_settings_that_its_request_was_judged_by_although_others_came_meanwhile(
    tmp_path: Path,
) -> None:
    async with scripted_upstream(answers(json_answer(USER, 201))) as upstream, house(tmp_path, upstream.url) as it:
        jira = it.instance.settings.tenants["jira"].model_copy(update={"sync_passwords": True})
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
        head += f"Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n").encode())
        await reader.readuntil(b"\r\n\r\n")
        it.instance.request_reload()
        await until(lambda: it.instance.pipeline is not before)
        writer.write(body)
        await reader.readuntil(b"}")
        writer.write(head.encode() + body)
        await until(lambda: sum(line["event"] == "outcome" for line in it.audit_lines()) == 2)
        writer.close()
        lines = it.audit_lines()

    (start,) = [line["details"]["settings"] for line in lines if line.get("notice") == "start"]
    (reload,) = [line["details"] for line in lines if line.get("notice") == "reload"]
    assert [line["settings"] for line in lines if "settings" in line] == [start] * 2 + [reload["settings"]] * 2
    assert start != reload["settings"]
    assert reload["changes"] == [{"key": "tenants.jira.sync_passwords", "kind": "added", "new": True}]
