"""Whether an upstream serves: what probes find, and how they and real requests weigh."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.refusal import Reason
from gateway.stages.forwarding.health import SERVED_SECONDS, Health, ProbeResult, after_probe, after_request
from tests.ports import unused_port
from tests.stages.forwarding.building import OK, make_tenant, path_to, path_to_script
from tests.upstreams import Conversation, answers, answers_then_closes, http_answer, json_answer
from tests.worlds import NOW

KANTEGA = json_answer(
    {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "401",
        "detail": "Not authorized for this operation",
    },
    401,
)
GOOD, BAD = ProbeResult(True, True, 0.1), ProbeResult(False, False, 0.1, "no connection")
SERVED = Health(True, NOW, NOW)


async def test_a_probe_asks_one_thing_and_gives_no_credential_away() -> None:
    async with path_to_script(answers(KANTEGA)) as (path, upstream):
        await path.upstream.probe(path.node)

        [seen] = upstream.requests
        assert (seen.method, seen.target) == ("GET", "/scim/zbs848185728/v2/Users?startIndex=1&count=1")
        assert seen.all("Authorization") == []


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (KANTEGA, True),
        (OK, True),
        (json_answer({}, 429), True),
        (http_answer(401), False),
        (http_answer(401, {"Content-Type": "text/html"}, b"<html>"), False),
        (http_answer(200, {"Content-Type": "text/html"}, b"<html>"), False),
        (http_answer(302, {"Location": "/login"}), False),
        (json_answer({}, 404), False),
        (json_answer({}, 500), False),
        (json_answer({}, 503), False),
    ],
)
async def test_any_complete_answer_is_reachable_and_a_scim_answer_healthy(answer: bytes, healthy: bool) -> None:
    async with path_to_script(answers(answer)) as (path, _):
        result = await path.upstream.probe(path.node)

        assert (result.reachable, result.healthy, bool(result.note)) == (True, healthy, not healthy)
        assert path.node.health.healthy is healthy


async def test_a_broken_answer_or_none_is_not_reachable() -> None:
    async with path_to_script(answers_then_closes(b"HTTP/1.1 200")) as (path, _):
        assert not (await path.upstream.probe(path.node)).reachable
    async with path_to(make_tenant(f"http://127.0.0.1:{unused_port()}")) as path:
        assert not (await path.upstream.probe(path.node)).reachable
        assert path.node.health.healthy is False


async def test_a_probe_of_a_closed_upstream_finds_nobody_and_does_not_raise() -> None:
    async with path_to_script(answers(KANTEGA)) as (path, upstream):
        await path.upstream.aclose()

        assert not (await path.upstream.probe(path.node)).reachable
        assert upstream.received == []


async def test_nothing_is_known_before_the_first_word() -> None:
    async with path_to(make_tenant()) as path:
        assert path.node.health.healthy is None


async def test_a_real_request_sets_the_health() -> None:
    async with path_to_script(answers(OK, http_answer(503))) as (path, _):
        before = time.time()
        await path.forward()
        health = path.node.health
        assert health == Health(True, health.known_at, health.known_at)
        assert before <= health.known_at <= time.time()
        await path.forward()
        assert path.node.health.healthy is False
        assert path.node.health.note.startswith("upstream-unavailable")


async def test_a_node_is_probed_when_it_is_time_and_not_twice_at_once() -> None:
    goes_on = asyncio.Event()

    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await goes_on.wait()
        await conversation.send(KANTEGA)

    async with path_to_script(play) as (path, upstream), asyncio.TaskGroup() as tasks:
        assert path.upstream.nodes_to_probe() == [path.node]
        probing = tasks.create_task(path.upstream.probe(path.node))
        await upstream.has_seen(1)
        assert path.upstream.nodes_to_probe() == []
        goes_on.set()
        await probing

        assert path.node.health.healthy
        assert path.upstream.nodes_to_probe() == []
        assert path.node.probe_at > asyncio.get_running_loop().time()


def test_a_probe_alone_never_speaks_against_an_upstream_that_serves() -> None:
    assert after_probe(SERVED, BAD, NOW + SERVED_SECONDS - 1) == SERVED
    assert after_probe(SERVED, BAD, NOW + SERVED_SECONDS).healthy is False


def test_a_probe_counts_where_no_request_says_more() -> None:
    assert after_probe(Health(), GOOD, NOW) == Health(True, NOW)
    assert after_probe(Health(), BAD, NOW) == Health(False, NOW, None, "no connection")
    assert after_probe(Health(False, NOW, NOW), GOOD, NOW + 1).healthy is True


@pytest.mark.parametrize("reason", [None, Reason.UPSTREAM_BUSY, Reason.UPSTREAM_TOO_LARGE])
def test_a_delivery_overrules_an_older_probe(reason: Reason | None) -> None:
    assert after_request(Health(False, NOW - 1), reason, "note", NOW) == SERVED


@pytest.mark.parametrize("reason", [Reason.UPSTREAM_CREDENTIAL, Reason.UPSTREAM_TIMEOUT, Reason.UPSTREAM_NOT_SCIM])
def test_a_failed_delivery_counts_at_once(reason: Reason) -> None:
    assert after_request(SERVED, reason, "note", NOW + 1) == Health(False, NOW + 1, NOW, f"{reason.slug}: note")


@pytest.mark.parametrize("reason", [Reason.CLIENT_GONE, Reason.QUEUE_TIMEOUT])
def test_a_request_that_was_never_sent_says_nothing(reason: Reason) -> None:
    assert after_request(SERVED, reason, "note", NOW + 1) == SERVED


def test_a_probe_cannot_know_that_the_credential_is_accepted_again() -> None:
    refused = Health(False, NOW, None, "upstream-credential: status 401")

    assert after_probe(refused, GOOD, NOW + 15) == refused
    assert after_probe(Health(False, NOW, None, "no connection"), GOOD, NOW + 15).healthy
