"""Everything that an application may answer, or fail to answer, beside a SCIM message: one row each."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.scenes import ERROR, SUCCESS, USER, Play, Seen, Talk, scene, serve, success
from tests.upstreams import Conversation, http_answer, json_answer

HTML = b"<html><body>Bad Gateway</body></html>"
WHOLE = json_answer(USER)
HEAD = WHOLE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
# Another node may do better at these; the others come out the same there.
OF_ONE_NODE = {
    f"upstream-{name}" for name in ("unreachable", "timeout", "unavailable", "broken", "not-scim", "redirect")
}

Ending = Callable[[Conversation], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to misbehave, and what must become of a request that meets it."""

    name: str
    play: Play
    reason: str | None
    stage: str = "sent"
    node_status: int | None = None  # on record, of the node's answer
    outcome: str = "unknown"
    executed: int = 1
    status: int = 429  # what the client gets
    padding: int = 0

    def expected(self, method: str, nodes: int) -> Seen:
        """The fault is the first node's; a second one is well."""
        first = (0, self.stage, self.node_status)
        elsewhere = self.reason in OF_ONE_NODE and (method == "GET" or self.stage == "not-sent")
        if nodes == 2 and elsewhere:
            status = SUCCESS[method]
            return Seen(status, None, "executed", (first, (1, "answered", status)), (self.executed, 1))
        return Seen(self.status, self.reason, self.outcome, (first,), (self.executed, *(0,) * (nodes - 1)))


def closes(_: Conversation) -> None:
    """The end of a script closes its connection."""


def resets(conversation: Conversation) -> None:
    conversation.reset()


async def keeps_silent(conversation: Conversation) -> None:
    await conversation.silence()


def executes_then(data: bytes, ending: Ending = closes) -> Play:
    """Carries a request out, sends these bytes, perhaps none, and ends so."""

    async def play(talk: Talk) -> None:
        await talk.execute()
        await talk.send(data)
        ended = ending(talk.conversation)
        if asyncio.iscoroutine(ended):
            await ended

    return play


def after_the_head(ending: Ending) -> Play:
    """Reads a head and not the body behind it, carries nothing out, and ends so."""

    async def play(talk: Talk) -> None:
        await talk.head()
        ended = ending(talk.conversation)
        if asyncio.iscoroutine(ended):
            await ended

    return play


def answers_always(data: bytes, *, executes: bool = True) -> Play:
    """The same answer to every request; the connection is kept."""

    async def play(talk: Talk) -> None:
        while True:
            await (talk.execute() if executes else talk.operation())
            await talk.send(data)

    return play


async def drips(talk: Talk) -> None:
    """A byte now and then: no silence is long, and the answer never whole."""
    await talk.execute()
    for position in range(len(WHOLE)):
        await talk.send(WHOLE[position : position + 1])
        await asyncio.sleep(0.05)


def scim_error(status: int) -> bytes:
    return json_answer({"schemas": [ERROR], "status": str(status), "detail": "It failed"}, status)


def gzipped(body: bytes) -> bytes:
    return http_answer(200, {"Content-Type": "application/scim+json", "Content-Encoding": "gzip"}, body)


def answer_with_length(length: int) -> bytes:
    fields = {"Content-Type": "application/scim+json", "Content-Length": str(length)}
    return http_answer(200, fields, json.dumps(USER).encode(), framed=False)


PACKED = gzip.compress(json.dumps(USER).encode())
SIZE = len(json.dumps(USER))

BROKEN = [
    Fault("reset within the request", after_the_head(resets), "upstream-broken", executed=0, padding=300_000),
    Fault("reset after the head", after_the_head(resets), "upstream-broken", executed=0),
    Fault("reset before the answer", executes_then(b"", resets), "upstream-broken"),
    Fault("closed before the answer", executes_then(b""), "upstream-broken"),
    Fault("reset within the answer's head", executes_then(HEAD[:30], resets), "upstream-broken"),
    Fault("closed within the answer's head", executes_then(HEAD[:30]), "upstream-broken"),
    Fault("reset behind the answer's head", executes_then(HEAD, resets), "upstream-broken"),
    Fault("reset within the answer's body", executes_then(WHOLE[:-9], resets), "upstream-broken"),
    Fault("closed within the answer's body", executes_then(WHOLE[:-9]), "upstream-broken"),
    Fault("a length too long", executes_then(answer_with_length(SIZE + 9)), "upstream-broken"),
    Fault("a length too short", answers_always(answer_with_length(SIZE - 9)), "upstream-broken"),
    Fault("two lengths", answers_always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
          "upstream-broken"),
    Fault("two answers at once", answers_always(WHOLE + WHOLE), "upstream-broken"),
    Fault("101", answers_always(http_answer(101, {"Upgrade": "h2c", "Connection": "upgrade"}, framed=False)),
          "upstream-broken"),
    Fault("no HTTP", answers_always(b"SSH-2.0-OpenSSH_9.9\r\n"), "upstream-broken"),
    Fault("cut gzip", answers_always(gzipped(PACKED[:-9])), "upstream-broken"),
    Fault("no gzip", answers_always(gzipped(b"{}")), "upstream-broken"),
]  # fmt: skip
SILENT = [
    Fault("silence within the request", after_the_head(keeps_silent), "upstream-timeout", executed=0, padding=300_000),
    Fault("silence before the answer", executes_then(b"", keeps_silent), "upstream-timeout"),
]
SILENT_WITHIN = [
    Fault("silence within the answer's head", executes_then(HEAD[:30], keeps_silent), "upstream-timeout"),
    Fault("silence within the answer's body", executes_then(WHOLE[:-9], keeps_silent), "upstream-timeout"),
    Fault("a byte at a time", drips, "upstream-timeout"),
]
ANSWERED = [
    *(Fault(f"{status} in HTML", answers_always(http_answer(status, {"Content-Type": "text/html"}, HTML)),
            "upstream-unavailable", "answered", status) for status in (502, 503, 504)),
    Fault("500 in HTML", answers_always(http_answer(500, {"Content-Type": "text/html"}, HTML)),
          "upstream-not-scim", "answered", 500),
    Fault("500 in SCIM", answers_always(scim_error(500)), None, "answered", 500, status=500),
    Fault("404 in SCIM", answers_always(scim_error(404), executes=False),
          None, "answered", 404, "not-executed", 0, 404),
    *(Fault(f"{status} in SCIM", answers_always(scim_error(status), executes=False),
            "upstream-credential", "answered", status, "not-executed", 0) for status in (401, 403)),
    Fault("429 in SCIM", answers_always(scim_error(429), executes=False),
          "upstream-busy", "answered", 429, "not-executed", 0),
    Fault("a redirect", answers_always(http_answer(302, {"Location": "http://127.0.0.1:1/login"})),
          "upstream-redirect", "answered", 302),
    Fault("a page instead of SCIM", answers_always(http_answer(200, {"Content-Type": "text/html"}, HTML)),
          "upstream-not-scim", "answered", 200),
    Fault("JSON of another kind", answers_always(json_answer({"ok": True})), "upstream-not-scim", "answered", 200),
    Fault("text that says it is SCIM",
          answers_always(http_answer(200, {"Content-Type": "application/scim+json"}, HTML)),
          "upstream-not-scim", "answered", 200),
]  # fmt: skip


async def check(fault: Fault, nodes: int, directory: Path, **limits: float) -> None:
    async with scene(directory, fault.play, *[serve] * (nodes - 1), limits=limits) as it:
        replies = await it.ask_each(padding=fault.padding)
        seen = {method: it.seen(reply) for method, reply in replies.items()}

    assert seen == {method: fault.expected(method, nodes) for method in replies}


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("fault", [*BROKEN, *ANSWERED], ids=lambda fault: fault.name)
async def test_what_is_no_answer_is_a_call_to_come_back_and_no_write_is_sent_twice(
    fault: Fault, nodes: int, tmp_path: Path
) -> None:
    await check(fault, nodes, tmp_path, budget_seconds=5)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("fault", SILENT, ids=lambda fault: fault.name)
async def test_a_node_that_begins_no_answer_is_given_up_in_time_for_another(
    fault: Fault, nodes: int, tmp_path: Path
) -> None:
    await check(fault, nodes, tmp_path, budget_seconds=5, first_byte_seconds=0.4)


@pytest.mark.parametrize("fault", SILENT_WITHIN, ids=lambda fault: fault.name)
async def test_an_answer_that_does_not_end_is_given_up_when_the_budget_is(fault: Fault, tmp_path: Path) -> None:
    await check(fault, 1, tmp_path, budget_seconds=1)


async def test_a_read_that_ended_with_the_budget_is_not_begun_elsewhere_and_says_why_it_failed(tmp_path: Path) -> None:
    async with scene(tmp_path, executes_then(WHOLE[:-9], keeps_silent), serve, limits={"budget_seconds": 1}) as it:
        seen = it.seen(await it.ask("GET"))

    assert (seen.status, seen.reason, seen.outcome) == (429, "upstream-timeout", "unknown")
    assert seen.attempts[0] == (0, "sent", None)
    assert seen.executions == (1, 0)


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ],
    ids=["100", "103", "102 and 103"],
)
async def test_interim_answers_are_no_answers(interim: bytes, tmp_path: Path) -> None:
    async def play(talk: Talk) -> None:
        while True:
            request = await talk.execute()
            await talk.conversation.send_apart(interim, success(request.method))

    async with scene(tmp_path, play) as it:
        for method, reply in (await it.ask_each()).items():
            status = SUCCESS[method]
            assert it.seen(reply) == Seen(status, None, "executed", ((0, "answered", status),), (1,))
            assert "link" not in reply.fields
