"""What a whole gateway puts on record beside its requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
