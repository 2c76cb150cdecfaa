"""What a whole gateway puts on record beside its requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.end_to_end.reloads import post_across_a_reload
from tests.houses import house
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until

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
        body = json.dumps(USER).encode()
        async with post_across_a_reload(it, body, sync_passwords=True) as (reader, writer, head):
            await reader.readuntil(b"}")
            writer.write(head + body)
            await until(lambda: sum(line["event"] == "outcome" for line in it.audit_lines()) == 2)
        lines = it.audit_lines()

    (start,) = [line["details"]["settings"] for line in lines if line.get("notice") == "start"]
    (reload,) = [line["details"] for line in lines if line.get("notice") == "reload"]
    assert [line["settings"] for line in lines if "settings" in line] == [start] * 2 + [reload["settings"]] * 2
    assert start != reload["settings"]
    assert reload["changes"] == [{"key": "tenants.jira.sync_passwords", "kind": "added", "new": True}]


async def test_a_start_that_fails_tells_of_what_it_found_all_the_same(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer(USER))) as upstream:
        async with house(tmp_path, upstream.url) as it:
            pass
        log = tmp_path / "audit" / "audit-000001.jsonl"
        log.write_bytes(log.read_bytes().replace(b'"notice":"start"', b'"notice":"sturt"') + b'{"seq":99,"v":2,"ev')
        with pytest.RaisesGroup(OSError):
            async with house(tmp_path, upstream.url, metrics={"address": f"127.0.0.1:{upstream.port}"}):
                pass
        notices = [line["notice"] for line in it.audit_lines() if line["event"] == "notice"]

    assert notices[-3:] == ["torn-line-set-aside", "audit-log-tampered", "start-failed"]
