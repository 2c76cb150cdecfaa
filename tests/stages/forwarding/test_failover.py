"""Which node a request goes to, and to which next. On real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.exchange import Delivery, Outcome, Stage
from gateway.refusal import Reason
from gateway.stages.forwarding import State, Upstream, open_upstreams
from gateway.stages.forwarding.answers import Verdict
from gateway.stages.forwarding.breaker import FAILURES, Breaker
from gateway.stages.forwarding.connection import UpstreamConnection
from gateway.stages.forwarding.pool import Origin, connect_tcp
from tests.ports import unused_port
from tests.stages.forwarding.building import (
    BODY,
    OK,
    Path,
    make_operation,
    make_tenant,
    path_to,
    path_to_script,
    path_to_scripts,
)
from tests.upstreams import (
    Conversation,
    Script,
    ScriptedUpstream,
    answers,
    answers_then_closes,
    answers_then_keeps_silent,
    http_answer,
    json_answer,
    scripted_upstream,
)
from tests.worlds import FakeCaller

WRITES = ["POST", "PUT", "PATCH", "DELETE"]
BAD = answers(http_answer(503))
NOT_SCIM = answers(http_answer(200, {"Content-Type": "text/html"}, b"<html>"))
KANTEGA = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "401"}, 401)


def stages(delivery: Delivery) -> list[Stage]:
    return [attempt.stage for attempt in delivery.attempts]


def is_down(upstream: Upstream, *nodes: int) -> None:
    """Have a breaker open, as failures would, with a pause that does not end by itself."""
    for number in nodes:
        upstream.nodes[number].breaker = Breaker(State.OPEN, pauses=1, until=upstream._loop.time() + 3600)


def unreachable_and(upstream: ScriptedUpstream) -> list[str]:
    return [f"http://127.0.0.1:{unused_port()}", upstream.url]


@pytest.mark.parametrize("method", ["GET", *WRITES])
async def test_what_was_provably_not_sent_goes_to_the_next_node(method: str) -> None:
    async with scripted_upstream(answers(OK)) as second:
        async with path_to(make_tenant(upstream=unreachable_and(second))) as path:
            delivery = await path.forward(make_operation(method))

        assert delivery.reason is None
        assert stages(delivery) == [Stage.NOT_SENT, Stage.ANSWERED]
        assert [attempt.node for attempt in delivery.attempts] == [node.name for node in path.upstream.nodes]
        assert delivery.outcome is Outcome.EXECUTED
        assert [seen.method for seen in second.requests] == [method]
        assert second.requests[0].all("Host") == [f"127.0.0.1:{second.port}"]


async def test_a_node_that_takes_no_connection_in_time_is_followed_by_the_next() -> None:
    async with scripted_upstream(answers(OK)) as second:
        urls = unreachable_and(second)

        async def connect(origin: Origin, make: Callable[[], UpstreamConnection], seconds: float) -> UpstreamConnection:
            if origin.port != second.port:
                raise TimeoutError
            return await connect_tcp(origin, make, seconds)

        async with path_to(make_tenant(upstream=urls), connect) as path:
            delivery = await path.forward(make_operation("POST", body=BODY))

        assert (delivery.reason, stages(delivery)) == (None, [Stage.NOT_SENT, Stage.ANSWERED])


async def test_every_node_is_tried_once_and_the_last_reason_is_told() -> None:
    urls = [f"http://127.0.0.1:{unused_port()}" for _ in range(3)]
    async with path_to(make_tenant(upstream=list(dict.fromkeys(urls)))) as path:
        delivery = await path.forward(make_operation("POST"))

    assert stages(delivery) == [Stage.NOT_SENT] * len(set(urls))
    assert len({attempt.node for attempt in delivery.attempts}) == len(set(urls))
    assert delivery.reason is Reason.UPSTREAM_UNREACHABLE
    assert delivery.outcome is Outcome.NOT_EXECUTED


@pytest.mark.parametrize(
    "script",
    [answers_then_closes(b""), answers_then_closes(OK[:-3]), BAD, NOT_SCIM],
    ids=["none", "cut", "503", "html"],
)
@pytest.mark.parametrize("method", ["GET", *WRITES])
async def test_only_a_get_that_was_sent_goes_to_another_node(method: str, script: Script) -> None:
    async with path_to_scripts(script, answers(OK), answers(OK)) as (path, nodes):
        delivery = await path.forward(make_operation(method))

        assert [len(node.requests) for node in nodes] == ([1, 1, 0] if method == "GET" else [1, 0, 0])
        assert (delivery.reason is None) is (method == "GET")
        assert delivery.outcome is (Outcome.EXECUTED if method == "GET" else Outcome.UNKNOWN)


async def test_a_get_goes_to_another_node_once_and_no_more() -> None:
    async with path_to_scripts(BAD, BAD, answers(OK)) as (path, nodes):
        delivery = await path.forward()

        assert [len(node.requests) for node in nodes] == [1, 1, 0]
        assert delivery.reason is Reason.UPSTREAM_UNAVAILABLE


async def test_a_get_whose_time_is_over_goes_nowhere_else() -> None:
    async with path_to_scripts(answers_then_keeps_silent(b""), answers(OK), limits={"budget_seconds": 0.05}) as (
        path,
        nodes,
    ):
        delivery = await path.forward()

        assert [len(node.requests) for node in nodes] == [1, 0]
        assert delivery.answer is None


async def test_a_get_that_the_first_node_leaves_without_an_answer_gets_one_from_the_second_in_time() -> None:
    limits = {"budget_seconds": 2, "first_byte_seconds": 0.02}
    async with path_to_scripts(answers_then_keeps_silent(b""), answers(OK), limits=limits) as (path, nodes):
        delivery = await path.forward()

        assert (delivery.reason, stages(delivery)) == (None, [Stage.SENT, Stage.ANSWERED])
        assert [len(node.requests) for node in nodes] == [1, 1]


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500])
async def test_an_answer_that_another_node_would_give_too_is_the_answer(status: int) -> None:
    message = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status)}
    async with path_to_scripts(answers(json_answer(message, status)), answers(OK)) as (path, nodes):
        delivery = await path.forward()

        assert [len(node.requests) for node in nodes] == [1, 0]
        assert stages(delivery) == [Stage.ANSWERED]


async def test_a_caller_who_has_gone_is_not_taken_to_a_second_node() -> None:
    async with path_to_scripts(answers(OK), answers(OK)) as (path, nodes):
        delivery = await path.forward(caller=FakeCaller(is_gone=True))

        assert delivery.reason is Reason.CLIENT_GONE
        assert len(delivery.attempts) == 1
        assert [node.received for node in nodes] == [[], []]
        assert path.node.breaker.failures == 0


# The primary ------------------------------------------------------------------------------------------


async def test_every_request_goes_to_the_primary() -> None:
    async with path_to_scripts(answers(OK), answers(OK)) as (path, nodes):
        for _ in range(6):
            await path.forward()

        assert [len(node.requests) for node in nodes] == [6, 0]
        assert path.transitions == []


async def test_another_primary_is_chosen_when_it_fails_and_kept_when_it_is_back() -> None:
    async with path_to_scripts(BAD, answers(OK), answers(OK)) as (path, nodes):
        for _ in range(FAILURES):
            await path.forward(make_operation("POST"))
        first, second, _ = path.upstream.nodes
        assert (first.state, path.upstream.primary) == (State.OPEN, first)
        await path.forward(make_operation("POST"))
        assert path.upstream.primary is second
        path.upstream._set_breaker(first, Breaker(), "it is back")
        await path.forward(make_operation("POST"))

        assert path.upstream.primary is second
        assert [len(node.requests) for node in nodes] == [FAILURES, 2, 0]


async def test_each_transition_is_told_once() -> None:
    async with path_to_scripts(BAD, answers(OK)) as (path, _):
        for _ in range(FAILURES + 3):
            await path.forward(make_operation("POST"))
        first, second = (node.name for node in path.upstream.nodes)

        assert [(told.node, told.before, told.after) for told in path.transitions] == [
            (first, "in-service", "out-of-service"),
            (second, "spare", "primary"),
        ]
        assert path.transitions[0].why == "status 503"
        assert first in path.transitions[1].why
        assert {told.tenant_name for told in path.transitions} == {"jira"}


async def test_one_node_alone_is_left_alone_too_and_nothing_is_sent_meanwhile() -> None:
    async with path_to_script(BAD) as (path, upstream):
        for _ in range(FAILURES):
            await path.forward(make_operation("POST"))
        delivery = await path.forward(make_operation("POST"))

        assert len(upstream.requests) == FAILURES
        assert (delivery.attempts, delivery.reason) == ((), Reason.UPSTREAM_UNREACHABLE)
        assert delivery.outcome is Outcome.NOT_EXECUTED
        assert f"{path.node.name} out-of-service" in delivery.note
        assert path.upstream.healthy is False


@pytest.mark.parametrize("script", [answers(json_answer({}, 401)), answers(json_answer({}, 429))], ids=["401", "429"])
async def test_what_is_not_the_nodes_fault_does_not_open_its_breaker(
    script: Script,
) -> None:
    async with path_to_script(script) as (path, upstream):
        for _ in range(3 * FAILURES):
            await path.forward(make_operation("POST"))

        assert len(upstream.requests) == 3 * FAILURES
        assert path.node.state is State.CLOSED


async def test_an_open_breaker_closes_the_idle_connections_of_its_node() -> None:
    replies = [OK, *[http_answer(503)] * FAILURES]
    async with path_to_script(answers(*replies)) as (path, upstream):
        for _ in replies:
            await path.forward(make_operation("POST"))
        await upstream.has_lost(len(upstream.received))

        assert len(path.node.pool) == 0


async def test_a_probe_that_is_answered_well_brings_a_node_back() -> None:
    async with path_to_script(answers(KANTEGA, OK)) as (path, _):
        for _ in range(FAILURES):
            path.upstream._note_request(path.node, Verdict(None, Reason.UPSTREAM_UNAVAILABLE, "note"), 503)
        assert not path.node.admits
        assert path.upstream.nodes_to_probe() == []  # it is left alone for now
        path.node.breaker = Breaker(State.OPEN, pauses=1, until=0.0)
        path.node.probe_at = path.upstream._loop.time() + 99
        assert path.upstream.nodes_to_probe() == [path.node]  # for its pause is over
        await path.upstream.probe(path.node)

        assert path.node.state is State.CLOSED
        assert (await path.forward()).reason is None


async def test_a_node_that_is_there_but_odd_gets_one_request_to_see() -> None:
    goes_on = asyncio.Event()

    async def play(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await goes_on.wait()
            await conversation.send(OK)

    async with path_to_script(play) as (path, upstream), asyncio.TaskGroup() as tasks:
        path.node.breaker = Breaker(State.HALF_OPEN, pauses=1)
        trying = tasks.create_task(path.forward())
        await upstream.has_seen(1)
        second = await path.forward()
        goes_on.set()

        assert (second.attempts, second.reason) == ((), Reason.UPSTREAM_UNREACHABLE)
        assert (await trying).reason is None
        assert path.node.state is State.CLOSED
        assert (await path.forward()).reason is None


@pytest.mark.parametrize("how", ["gone", "cancelled"])
async def test_the_one_request_to_see_that_ends_without_proof_lets_another_try(how: str) -> None:
    async with path_to_script(answers_then_keeps_silent(b"")) as (path, upstream):
        path.node.breaker = Breaker(State.HALF_OPEN, pauses=1)
        if how == "gone":
            await path.forward(caller=FakeCaller(is_gone=True))
        else:
            async with asyncio.TaskGroup() as tasks:
                trying = tasks.create_task(path.forward())
                await upstream.has_seen(1)
                trying.cancel()

        assert path.node.admits


async def test_a_drained_node_gets_no_request_and_the_next_one_does() -> None:
    async with scripted_upstream(answers(OK)) as first, scripted_upstream(answers(OK)) as second:
        urls = [first.url, second.url]
        async with path_to(make_tenant(upstream=urls, upstream_drained=[first.url])) as path:
            await path.forward()

            assert (path.node.state, path.upstream.primary.name) == (State.DRAINED, f"127.0.0.1:{second.port}")
        assert [len(node.requests) for node in (first, second)] == [0, 1]


async def test_an_upstream_that_is_drained_altogether_sends_nothing() -> None:
    async with scripted_upstream(answers(OK)) as first:
        async with path_to(make_tenant(first.url, upstream_drained=[first.url])) as path:
            delivery = await path.forward()

        assert (delivery.attempts, delivery.reason) == ((), Reason.UPSTREAM_UNREACHABLE)
        assert "drained" in delivery.note
        assert first.received == []


async def test_a_reload_keeps_the_primary_and_what_is_known_of_its_nodes() -> None:
    async with scripted_upstream(answers(OK)) as first, scripted_upstream(answers(OK)) as second:
        tenants = {"jira": make_tenant(upstream=[first.url, second.url])}
        old = open_upstreams(tenants)
        is_down(old["jira"], 0)
        await Path(old["jira"]).forward()
        new = open_upstreams(tenants, old)
        await old["jira"].aclose()
        path = Path(new["jira"])
        await path.forward()

        assert path.upstream.primary is path.upstream.nodes[1]
        assert path.node.state is State.OPEN
        assert [seen.connection for seen in second.requests] == [0, 0]
        await new["jira"].aclose()


async def test_a_connection_that_was_stale_is_replaced_at_the_same_node() -> None:
    """The keep-alive race: the node closed as we wrote, and has provably read nothing."""
    async with path_to_scripts(answers_then_closes(OK), answers(OK)) as (path, nodes):
        for number in range(1, 4):
            assert (await path.forward(make_operation("POST"))).reason is None
            await nodes[0].has_lost(number)

        assert [len(node.requests) for node in nodes] == [3, 0]
        assert path.node.breaker.failures == 0


async def test_a_stale_connection_does_not_cost_a_node_its_one_request_to_see() -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(OK)
        await conversation.request()  # and dropped when it has been read

    async with path_to_script(play) as (path, _):
        await path.forward()
        path.node.breaker = Breaker(State.HALF_OPEN, pauses=1)
        delivery = await path.forward()

        assert delivery.reason is None
        assert path.node.state is State.CLOSED


async def test_whoever_waits_for_a_place_at_a_node_that_goes_out_of_service_is_served_by_another() -> None:
    limits = {"budget_seconds": 5, "connections": 1}
    async with (
        path_to_scripts(answers_then_keeps_silent(b""), answers(OK), limits=limits) as (path, nodes),
        asyncio.TaskGroup() as tasks,
    ):
        stuck = tasks.create_task(path.forward(make_operation("POST")))
        await nodes[0].has_seen(1)
        waiting = [tasks.create_task(path.forward(make_operation("POST"))) for _ in range(3)]
        await asyncio.sleep(0)
        for _ in range(FAILURES):
            path.upstream._note_request(path.node, Verdict(None, Reason.UPSTREAM_UNAVAILABLE, "note"), 503)
        found = await asyncio.gather(*waiting)
        stuck.cancel()

        assert [stages(delivery) for delivery in found] == [[Stage.NOT_SENT, Stage.ANSWERED]] * 3
        assert (len(nodes[0].requests), len(nodes[1].requests)) == (1, 3)
    assert path.node._free == 1, "nobody keeps a place that was never there"
