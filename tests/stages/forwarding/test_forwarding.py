"""What is sent, when, and what happens when an instance stops or reloads. On real sockets."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from gateway import __version__
from gateway.exchange import Stage
from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding import Upstream, open_upstreams
from tests.stages.forwarding.building import (
    BODY,
    OK,
    USER,
    MiB,
    assert_failed,
    make_operation,
    make_tenant,
    path_to,
    path_to_script,
)
from tests.upstreams import (
    Conversation,
    answers,
    answers_then_keeps_silent,
    json_answer,
    unused_port,
)
from tests.worlds import NOW, UPSTREAM_TOKEN


async def test_the_request_is_written_from_scratch_with_our_credential() -> None:
    operation = make_operation(
        "PUT", body=BODY, fields=(("If-Match", 'W/"1"'), ("Connection", "close"), ("Authorization", "Bearer x"))
    )
    async with path_to_script(answers(OK)) as (path, upstream):
        await path.forward(operation)

        [seen] = upstream.requests
    assert (seen.method, seen.target, seen.version, seen.body) == (
        "PUT",
        "/scim/zbs848185728/v2/Users/1",
        "HTTP/1.1",
        BODY,
    )
    assert sorted(seen.fields) == [
        ("Accept", "application/scim+json"),
        ("Accept-Encoding", "identity"),
        ("Authorization", f"Bearer {UPSTREAM_TOKEN}"),
        ("Content-Length", str(len(BODY))),
        ("Content-Type", "application/scim+json"),
        ("Host", f"127.0.0.1:{upstream.port}"),
        ("If-Match", 'W/"1"'),
        ("User-Agent", f"scim-gateway/{__version__}"),
        ("X-Request-Id", "req-1"),
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_write_always_says_its_length_and_is_never_chunked(method: str) -> None:
    async with path_to_script(answers(OK)) as (path, upstream):
        for body in (b"", BODY, b'{"a":"' + b"x" * MiB + b'"}'):
            assert (await path.forward(make_operation(method, body=body))).reason is None

        assert [seen.all("Content-Length") for seen in upstream.requests] == [["0"], [str(len(BODY))], [str(MiB + 8)]]
        assert not any(seen.all("Transfer-Encoding") or seen.all("Expect") for seen in upstream.requests)
        assert upstream.requests[0].all("Content-Type") == []


async def test_a_read_has_no_body_framing() -> None:
    async with path_to_script(answers(OK)) as (path, upstream):
        await path.forward()

        assert upstream.requests[0].all("Content-Length") == []
        assert upstream.requests[0].all("Content-Type") == []


@pytest.mark.parametrize(
    "query",
    [
        "filter=userName%20eq%20%22a%2Bb%40example.com%22",
        "filter=userName+eq+%22a%2bb@example.com%22&startIndex=1&count=100",
        "filter=a%zz&&=;a[]{}|^`\\'",
        "a=%2e%2e/%2F..//?b",
    ],
)
async def test_path_and_query_arrive_byte_for_byte(query: str) -> None:
    async with path_to_script(answers(OK), upstream_path="/other/v2") as (path, upstream):
        await path.forward(make_operation(path="/Users/a%2eb%40c:d~", query=query))

        assert upstream.requests[0].target == f"/other/v2/Users/a%2eb%40c:d~?{query}"


@pytest.mark.parametrize("query", ["a b", "a#b", "a\r\nX: y", "a\x00", "\udcc3\udca4", "ä"])
async def test_what_a_url_library_would_change_is_refused_and_not_sent(query: str) -> None:
    async with path_to_script(answers(OK)) as (path, upstream):
        with pytest.raises(Refusal, match="target-malformed"):
            await path.forward(make_operation(query=query))

        assert upstream.received == []


async def test_basic_credentials_and_none_are_spoken_too() -> None:
    basic: dict[str, object] = {
        "upstream_token": None,
        "upstream_username": "zbs848185728",
        "upstream_password": "geheim-ä",
    }
    for settings, expected in ((basic, ["Basic emJzODQ4MTg1NzI4OmdlaGVpbS3DpA=="]), ({"upstream_token": None}, [])):
        async with path_to_script(answers(OK), **settings) as (path, upstream):
            await path.forward()

            assert upstream.requests[0].all("Authorization") == expected


async def test_proxies_and_logins_of_the_environment_do_not_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setitem(os.environ, name, f"http://127.0.0.1:{unused_port()}")
    async with path_to_script(answers(OK)) as (path, _):
        assert (await path.forward()).reason is None


async def test_a_cookie_is_never_sent_back() -> None:
    async with path_to_script(answers(json_answer(USER, fields={"Set-Cookie": "JSESSIONID=1; Path=/"}))) as (
        path,
        upstream,
    ):
        await path.forward()
        await path.forward()

        assert [seen.all("Cookie") for seen in upstream.requests] == [[], []]


async def test_a_refused_connection_is_provably_not_sent() -> None:
    async with path_to(make_tenant(f"http://127.0.0.1:{unused_port()}")) as path:
        delivery = await path.forward(make_operation("POST", body=BODY))

    assert_failed(delivery, Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)
    assert "refused" in delivery.note.lower()
    assert not delivery.outcome_is_unknown


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    async with path_to(make_tenant("http://nowhere.invalid:5501")) as path:
        delivery = await path.forward()

    assert_failed(delivery, Reason.UPSTREAM_UNREACHABLE, Stage.NOT_SENT)


async def test_a_request_without_time_left_is_not_sent() -> None:
    async with path_to_script(answers(OK), budget=2) as (path, upstream):
        late = await path.forward(received_at=NOW - 2)
        of_tomorrow = await path.forward(received_at=NOW + 86400)

        assert (late.reason, late.attempts) == (Reason.UPSTREAM_TIMEOUT, ())
        assert of_tomorrow.reason is None
        assert len(upstream.requests) == 1


async def test_time_spent_before_counts() -> None:
    async with path_to_script(answers_then_keeps_silent(b""), budget=50) as (path, _):
        delivery = await path.forward(received_at=NOW - 49.95)

    assert_failed(delivery, Reason.UPSTREAM_TIMEOUT, Stage.SENT)
    assert delivery.attempts[0].seconds < 1


async def test_closing_waits_for_requests_under_way() -> None:
    go = asyncio.Event()

    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await go.wait()
        await conversation.send(OK)
        await conversation.silence()

    async with path_to_script(play) as (path, upstream), asyncio.TaskGroup() as tasks:
        under_way = tasks.create_task(path.forward())
        await upstream.has_seen(1)
        closing = tasks.create_task(path.upstream.aclose())
        await asyncio.sleep(0)
        go.set()
        await closing

        assert (await under_way).reason is None
        with pytest.raises(Refusal, match="stopping"):
            await path.forward()


async def test_closing_waits_no_longer_than_told() -> None:
    async with path_to_script(answers_then_keeps_silent(b"")) as (path, upstream), asyncio.TaskGroup() as tasks:
        under_way = tasks.create_task(path.forward())
        await upstream.has_seen(1)
        await path.upstream.aclose(within_seconds=0.01)

        assert_failed(await under_way, Reason.UPSTREAM_BROKEN, Stage.SENT)


async def test_a_reload_keeps_the_connections_of_an_unchanged_upstream() -> None:
    tenant, url = make_tenant(), "http://127.0.0.1:2"
    old = open_upstreams({"jira": tenant, "wiki": tenant, "gone": tenant})
    new = open_upstreams({"jira": tenant, "wiki": make_tenant(url)}, old)

    assert new["jira"] is old["jira"]
    assert new["wiki"] is not old["wiki"]
    for upstream in {*old.values(), *new.values()}:
        await upstream.aclose()
    assert open_upstreams({}, old) == {}


CHANGES: list[dict[str, Any]] = [
    {"url": "http://127.0.0.1:2"},
    {"upstream_token": "another"},
    {"upstream_path": "/elsewhere"},
    {"max_answer_bytes": 4096},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_a_changed_upstream_is_another(change: dict[str, Any]) -> None:
    upstream = Upstream(make_tenant())

    assert upstream.suits(make_tenant(budget=9))
    assert not upstream.suits(make_tenant(**change))
    await upstream.aclose()
    assert not upstream.suits(make_tenant())


async def test_a_credential_that_was_not_read_is_noticed_at_the_start() -> None:
    with pytest.raises(ValueError, match="was not read"):
        Upstream(make_tenant(upstream_token=None, upstream_token_file="/secrets/jira"))
