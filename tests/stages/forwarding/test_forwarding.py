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
from tests.ports import unused_port
from tests.stages.forwarding.building import (
    BODY,
    OK,
    USER,
    MiB,
    Path,
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
    scripted_upstream,
)
from tests.worlds import UPSTREAM_TOKEN, FakeCaller


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
        late = await path.forward(spent_seconds=2.01)
        in_time = await path.forward(spent_seconds=1)

        assert_failed(late, Reason.QUEUE_TIMEOUT, Stage.NOT_SENT)
        assert in_time.reason is None
        assert len(upstream.requests) == 1


async def test_time_spent_before_counts() -> None:
    async with path_to_script(answers_then_keeps_silent(b""), budget=50) as (path, _):
        delivery = await path.forward(spent_seconds=49.5)

    assert_failed(delivery, Reason.UPSTREAM_TIMEOUT, Stage.SENT)
    assert delivery.attempts[0].seconds < 10


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
        closing = tasks.create_task(path.forwarding.aclose())
        await asyncio.sleep(0)
        go.set()
        await closing

        assert (await under_way).reason is None
        with pytest.raises(Refusal, match="stopping"):
            await path.forward()


async def test_closing_waits_no_longer_than_told_and_keeps_no_connection() -> None:
    goes_on = asyncio.Event()

    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await goes_on.wait()
        await conversation.send(OK)
        await conversation.silence()

    async with path_to_script(play) as (path, upstream), asyncio.TaskGroup() as tasks:
        under_way = tasks.create_task(path.forward())
        await upstream.has_seen(1)
        await path.upstream.aclose(within_seconds=0.01)
        assert not under_way.done()
        goes_on.set()

        assert (await under_way).reason is None
        await upstream.has_lost(1)


async def test_a_write_without_enough_time_left_is_not_begun_and_a_read_is() -> None:
    """A write that is cut short has an unknown outcome; a read costs nothing but its time."""
    async with path_to_script(answers(OK), budget=2) as (path, upstream):
        write = await path.forward(make_operation("POST", body=BODY), spent_seconds=1.25)
        read = await path.forward(spent_seconds=1.25)
        in_time = await path.forward(make_operation("POST", body=BODY), spent_seconds=1)

        assert_failed(write, Reason.QUEUE_TIMEOUT, Stage.NOT_SENT)
        assert (read.reason, in_time.reason) == (None, None)
        assert [seen.method for seen in upstream.requests] == ["GET", "POST"]


async def test_nothing_is_begun_for_a_caller_who_has_gone() -> None:
    async with path_to_script(answers(OK)) as (path, upstream):
        delivery = await path.forward(make_operation("POST"), caller=FakeCaller(is_gone=True))

        assert_failed(delivery, Reason.CLIENT_GONE, Stage.NOT_SENT)
        assert upstream.requests == []


async def test_what_was_sent_runs_to_its_end_though_its_caller_hangs_up() -> None:
    caller = FakeCaller()

    async def play(conversation: Conversation) -> None:
        await conversation.request()
        caller.hang_up()
        await conversation.send(OK)

    async with path_to_script(play) as (path, _):
        assert (await path.forward(make_operation("POST"), caller=caller)).reason is None


async def test_a_reload_keeps_the_connections_of_an_unchanged_node() -> None:
    async with scripted_upstream(answers(OK)) as upstream:
        tenant = make_tenant(upstream.url)
        old = open_upstreams({"jira": tenant, "gone": tenant})
        await Path(old["jira"]).forward()
        new = open_upstreams({"jira": make_tenant(upstream.url, upstream_token="another-secret-0123456789")}, old)
        for one in old.values():
            await one.aclose()
        await Path(new["jira"]).forward()
        await new["jira"].aclose()

        assert [seen.connection for seen in upstream.requests] == [0, 0]
        assert upstream.requests[1].all("Authorization") == ["Bearer another-secret-0123456789"]
        await upstream.has_lost(1)
    assert open_upstreams({}, old) == {}


async def test_tenants_share_no_node_though_it_has_the_same_address() -> None:
    tenant = make_tenant()
    opened = open_upstreams({"jira": tenant, "wiki": tenant})

    assert opened["jira"].nodes[0] is not opened["wiki"].nodes[0]
    for upstream in opened.values():
        await upstream.aclose()


SAME: list[dict[str, Any]] = [{"budget": 9}, {"upstream_token": "another"}, {"upstream_path": "/elsewhere"}]
CHANGES: list[dict[str, Any]] = [
    {"url": "http://127.0.0.1:2"},
    {"max_answer_bytes": 4096},
    {"limits": {"connections": 2}},
    {"limits": {"first_byte_seconds": 2}},
]


@pytest.mark.parametrize("change", [*SAME, *CHANGES], ids=lambda change: next(iter(change)))
async def test_a_node_goes_on_unless_what_it_depends_on_has_changed(change: dict[str, Any]) -> None:
    old = open_upstreams({"jira": make_tenant()})
    new = open_upstreams({"jira": make_tenant(**change)}, old)

    assert (new["jira"].nodes == old["jira"].nodes) is (change in SAME)
    for upstream in (*old.values(), *new.values()):
        await upstream.aclose()


async def test_a_request_in_the_old_settings_goes_on_while_a_reload_closes_them() -> None:
    goes_on = asyncio.Event()

    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await goes_on.wait()
        await conversation.send(OK)
        await answers(OK)(conversation)

    async with scripted_upstream(play) as upstream, asyncio.TaskGroup() as tasks:
        old = open_upstreams({"jira": make_tenant(upstream.url)})
        under_way = tasks.create_task(Path(old["jira"]).forward())
        await upstream.has_seen(1)
        new = open_upstreams({"jira": make_tenant(upstream.url)}, old)
        closing = tasks.create_task(old["jira"].aclose())
        goes_on.set()
        await closing

        assert (await under_way).reason is None
        assert (await Path(new["jira"]).forward()).reason is None
        assert [seen.connection for seen in upstream.requests] == [0, 0]
        await new["jira"].aclose()


async def test_a_credential_that_was_not_read_is_noticed_at_the_start() -> None:
    with pytest.raises(ValueError, match="was not read"):
        open_upstreams({"jira": make_tenant(upstream_token=None, upstream_token_file="/secrets/jira")})


async def test_a_reload_that_fails_at_a_later_tenant_leaves_the_nodes_where_they_are() -> None:
    old = open_upstreams({"jira": make_tenant()})
    unread = make_tenant(upstream_token=None, upstream_token_file="/secrets/wiki")
    with pytest.raises(ValueError, match="was not read"):
        open_upstreams({"jira": make_tenant(), "wiki": unread}, old)

    assert old["jira"].nodes_to_probe() == list(old["jira"].nodes), "somebody still looks after them"
    await old["jira"].aclose()


async def test_a_node_that_is_drained_by_a_reload_and_put_back_is_told_of() -> None:
    told: list[tuple[str, str]] = []

    def open_again(old: dict[str, Upstream], *drained: str) -> dict[str, Upstream]:
        tenant = make_tenant(upstream_drained=drained)
        return open_upstreams(
            {"jira": tenant}, old, on_transition=lambda change: told.append((change.before, change.after))
        )

    first = open_again({})
    second = open_again(first, "http://127.0.0.1:1")
    third = open_again(second)

    assert told == [("in-service", "drained"), ("drained", "in-service")]
    for upstreams in (first, second, third):
        await upstreams["jira"].aclose()
