"""Reloads that come in the middle of a request."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import SecretStr

from tests.end_to_end.reloads import post_across_a_reload
from tests.houses import house
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.worlds import UPSTREAM_TOKEN

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "a"}


async def test_a_request_whose_body_is_on_its_way_outlives_a_reload_that_changes_its_upstream(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer(USER, 201))) as upstream, house(tmp_path, upstream.url) as it:
        secret = SecretStr("another" * 5)
        async with post_across_a_reload(it, json.dumps(USER).encode(), upstream_token=secret) as (reader, _, _):
            answer = await reader.readuntil(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 201")
    assert upstream.requests[-1].all("Authorization") == [f"Bearer {UPSTREAM_TOKEN}"]
