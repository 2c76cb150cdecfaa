"""What is passed on, and what every fault of an upstream becomes. On real sockets."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from gateway.exchange import Stage
from gateway.refusal import Reason
from tests.stages.forwarding.building import (
    BODY,
    HEAD,
    OK,
    USER,
    MiB,
    assert_failed,
    make_operation,
    path_to_script,
)
from tests.upstreams import (
    Conversation,
    Script,
    answers,
    answers_then_closes,
    answers_then_keeps_silent,
    http_answer,
    json_answer,
)

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
JSON = b'{"id": "1", "userName": "ada"}'


async def test_only_three_fields_come_back_and_only_if_they_are_unambiguous() -> None:
    answer = json_answer(
        USER,
        201,
        {"Location": "http://x/Users/1", "ETag": 'W/"1"', "Server": "Jira", "Set-Cookie": "a=b", "X-Powered-By": "y"},
    )
    double = answer.replace(b"ETag:", b"Location: http://evil/\r\nETag:")
    async with path_to_script(answers(answer, double)) as (path, _):
        first, second = await path.forward(), await path.forward()

    assert first.answer is not None
    assert second.answer is not None
    assert first.answer.fields == {"Location": "http://x/Users/1", "ETag": 'W/"1"'}
    assert list(second.answer.fields) == ["ETag"]


@pytest.mark.parametrize("value", ["caf\xe9", "a\x01b", "a\tb"])
async def test_a_field_value_that_is_not_plain_ascii_is_left_out(value: str) -> None:
    async with path_to_script(answers(json_answer(USER, fields={"Location": value}))) as (path, _):
        delivery = await path.forward()

    assert delivery.answer is None or "Location" not in delivery.answer.fields


@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 412, 500, 501])
async def test_a_scim_answer_is_passed_on_whatever_its_status(status: int) -> None:
    message = USER if status < 400 else {"schemas": [ERROR], "status": str(status)}
    async with path_to_script(answers(json_answer(message, status))) as (path, upstream):
        delivery = await path.forward(make_operation("POST", "/Users", body=BODY))

        [attempt] = delivery.attempts
        assert delivery.reason is None
        assert delivery.answer is not None
        assert delivery.answer.status == status == attempt.status
        assert (attempt.node, attempt.stage) == (f"127.0.0.1:{upstream.port}", Stage.ANSWERED)
        assert not delivery.outcome_is_unknown


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("DELETE", http_answer(204)),
        ("PATCH", http_answer(204)),
        ("GET", http_answer(304, {"ETag": 'W/"1"'})),
        ("POST", http_answer(201)),
        ("GET", http_answer(404)),
        ("PUT", http_answer(500)),
    ],
)
async def test_an_answer_without_a_body_is_an_answer(method: str, answer: bytes) -> None:
    async with path_to_script(answers(answer)) as (path, upstream):
        delivery = await path.forward(make_operation(method))
        again = await path.forward(make_operation(method))

        assert delivery.answer is not None
        assert delivery.answer.body == b""
        assert again.reason is None
        assert len(upstream.received) == 1, "the connection is reused"


async def test_an_interim_answer_is_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with path_to_script(answers(early + OK)) as (path, _):
        delivery = await path.forward()

    assert delivery.answer is not None
    assert delivery.answer.status == 200


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_every_framing_of_a_complete_answer_is_understood(head: str) -> None:
    body = b'8\r\n{"id":1}\r\n0\r\n\r\n' if "chunked" in head else b'{"id":1}'
    async with path_to_script(answers_then_closes(head.encode() + body)) as (path, _):
        delivery = await path.forward()

    assert delivery.reason is None
    assert delivery.answer is not None
    assert delivery.answer.body == b'{"id":1}'


async def test_gzip_that_nobody_asked_for_is_unpacked() -> None:
    packed = http_answer(200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(JSON))
    async with path_to_script(answers(packed)) as (path, _):
        delivery = await path.forward()

    assert delivery.answer is not None
    assert delivery.answer.body == JSON
    assert "Content-Encoding" not in delivery.answer.fields


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.UPSTREAM_CREDENTIAL),
        (403, Reason.UPSTREAM_CREDENTIAL),
        (429, Reason.UPSTREAM_BUSY),
        (502, Reason.UPSTREAM_UNAVAILABLE),
        (503, Reason.UPSTREAM_UNAVAILABLE),
        (504, Reason.UPSTREAM_UNAVAILABLE),
        (300, Reason.UPSTREAM_REDIRECT),
        (301, Reason.UPSTREAM_REDIRECT),
        (307, Reason.UPSTREAM_REDIRECT),
    ],
)
async def test_a_status_that_is_no_answer_for_the_client_is_a_reason(status: int, reason: Reason) -> None:
    async with path_to_script(answers(json_answer(USER, status))) as (path, _):
        assert_failed(await path.forward(), reason, Stage.ANSWERED, status)


async def test_a_busy_upstream_is_passed_on_with_nothing_but_its_wish() -> None:
    async with path_to_script(answers(json_answer(USER, 429, {"Retry-After": "17", "Location": "x"}))) as (path, _):
        delivery = await path.forward()

    assert delivery.answer is not None
    assert delivery.answer.fields == {"Retry-After": "17"}
    assert delivery.answer.body == b""


async def test_a_redirect_is_not_followed_and_our_token_goes_nowhere() -> None:
    async with path_to_script(answers(OK)) as (_, elsewhere):
        away = http_answer(302, {"Location": f"{elsewhere.url}/steal"})
        async with path_to_script(answers(away)) as (path, upstream):
            for method in ("GET", "POST", "DELETE"):
                assert_failed(await path.forward(make_operation(method)), Reason.UPSTREAM_REDIRECT, Stage.ANSWERED, 302)

            assert len(upstream.requests) == 3
        assert elsewhere.received == []


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "text/html; charset=utf-8", b"<html>log in</html>"),
        (404, "text/html", b"<html>nothing here</html>"),
        (500, "text/plain", b"java.lang.NullPointerException at com.kantega"),
        (200, "text/html", b"{}"),
        (200, "application/json", b"[]"),
        (200, "application/json", b"{}"),
        (404, "application/json", b'{"errorMessages": ["no such page"]}'),
        (200, "application/json", b'{"a":'),
        (200, "application/json", b'"text"'),
        (200, "application/json", b'{"a": NaN}'),
        (200, "application/json", b'{"a": "\xff"}'),
        (200, "application/json", b""),
    ],
)
async def test_what_is_not_scim_is_not_passed_on(status: int, content_type: str, body: bytes) -> None:
    async with path_to_script(answers(http_answer(status, {"Content-Type": content_type}, body))) as (path, _):
        delivery = await path.forward()

    assert_failed(delivery, Reason.UPSTREAM_NOT_SCIM, Stage.ANSWERED, status)
    assert delivery.answer is None


CHUNKED = "Transfer-Encoding: chunked\r\n"
BROKEN = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 2",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head without its end": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n",
    "no body": f"{HEAD}Content-Length: 8\r\n\r\n".encode(),
    "half a body": f'{HEAD}Content-Length: 8\r\n\r\n{{"a"'.encode(),
    "no chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode(),
    "half a chunk": f'{HEAD}Transfer-Encoding: chunked\r\n\r\n8\r\n{{"a"'.encode(),
    "no last chunk": f'{HEAD}Transfer-Encoding: chunked\r\n\r\n8\r\n{{"a": 1}}\r\n'.encode(),
    "no end of trailers": f'{HEAD}Transfer-Encoding: chunked\r\n\r\n8\r\n{{"a": 1}}\r\n0\r\n'.encode(),
    "half a body without length": f'{HEAD}\r\n{{"a"'.encode(),
    "no body and no length": f"{HEAD}\r\n".encode(),
}
MALFORMED = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "garbage in the status line": b"HTTP/1.1 two-hundred OK\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "status 099": b"HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\n{}",
    "status 600": b"HTTP/1.1 600 High\r\nContent-Length: 2\r\n\r\n{}",
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "101 with a body": b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 2\r\n\r\n{}",
    "both framings": f"{HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
    "both framings, other order": f"{HEAD}{CHUNKED}Content-Length: 2\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
    "two lengths": f"{HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} ".encode(),
    "two equal lengths": f"{HEAD}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
    "a list of lengths": f"{HEAD}Content-Length: 2, 2\r\n\r\n{{}}".encode(),
    "a signed length": f"{HEAD}Content-Length: +2\r\n\r\n{{}}".encode(),
    "an endless length": f"{HEAD}Content-Length: {'9' * 40}\r\n\r\n{{}}".encode(),
    "a folded field": json_answer(USER, fields={"Location": "a\r\n folded"}),
    "a folded length": f"{HEAD}Content-Length: 1\r\n 0\r\n\r\n{{}}        ".encode(),
    "a folded transfer coding": f"{HEAD}Transfer-Encoding: gzip,\r\n chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
    "a foreign transfer coding": f"{HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
    "chunked twice": f"{HEAD}{CHUNKED}{CHUNKED}\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
    "a hexadecimal prefix": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{{}}\r\n0\r\n\r\n".encode(),
    "more than its chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}{{}}\r\n0\r\n\r\n".encode(),
    "NUL in a field": f"{HEAD}X-A: a\0b\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
    "a field of 9000 bytes": f"{HEAD}X-A: {'a' * 9000}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
    "a flood of fields": HEAD.encode() + b"X-A: a\r\n" * 100 + b"Content-Length: 2\r\n\r\n{}",
    "an unknown content coding": http_answer(200, {"Content-Encoding": "br"}, b"{}"),
    "two content codings": http_answer(200, {"Content-Encoding": "gzip, gzip"}, b"{}"),
    "gzip that is none": http_answer(200, {"Content-Encoding": "gzip"}, b"{}"),
    "cut gzip": http_answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"{}")[:-3]),
    "gzip cut before its data": http_answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"{}")[:10]),
    "gzip and more": http_answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"{}") + b"x"),
}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("reply", [*BROKEN.values(), *MALFORMED.values()], ids=[*BROKEN, *MALFORMED])
async def test_a_broken_answer_is_none_and_the_outcome_is_unknown(reply: bytes, method: str) -> None:
    async with path_to_script(answers_then_closes(reply)) as (path, upstream):
        delivery = await path.forward(make_operation(method))

        assert_failed(delivery, Reason.UPSTREAM_BROKEN, Stage.SENT)
        assert delivery.outcome_is_unknown
        await upstream.has_lost(1)
        assert len(upstream.requests) == 1, "it was sent once, and not again"


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_silence_at_any_point_ends_with_the_budget(reply: bytes) -> None:
    async with path_to_script(answers_then_keeps_silent(reply), budget=0.5) as (path, upstream):
        assert_failed(await path.forward(make_operation("POST")), Reason.UPSTREAM_TIMEOUT, Stage.SENT)
        await upstream.has_lost(1)


@pytest.mark.parametrize("piece", ["head", "body"])
async def test_a_reset_is_a_broken_answer(piece: str) -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        if piece == "body":
            await conversation.send_apart(OK[:-5])
        conversation.reset()

    async with path_to_script(play) as (path, _):
        assert_failed(await path.forward(make_operation("PUT")), Reason.UPSTREAM_BROKEN, Stage.SENT)


async def _flood(conversation: Conversation, head: bytes, piece: bytes) -> None:
    await conversation.request()
    await conversation.send(head)
    while True:
        await conversation.send(piece)


def _floods(head: str, piece: bytes) -> Script:
    return lambda conversation: _flood(conversation, head.encode(), piece)


LARGE: dict[str, Script] = {
    "announced": _floods(f"{HEAD}Content-Length: {3 * MiB}\r\n\r\n", b"x" * 65536),
    "chunked": _floods(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "in chunks of one byte": _floods(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10000),
    "a chunk extension without end": _floods(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 65536),
    "without length": _floods(f"{HEAD}\r\n", b"x" * 65536),
    "interim answers without end": _floods("", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
}


@pytest.mark.parametrize("script", LARGE.values(), ids=LARGE)
async def test_an_answer_without_measure_is_dropped_early(script: Script) -> None:
    async with path_to_script(script, max_answer_bytes=MiB // 4) as (path, upstream):
        assert_failed(await path.forward(), Reason.UPSTREAM_TOO_LARGE, Stage.SENT)
        await upstream.has_lost(1)


def _framed(body: bytes, framing: str) -> bytes:
    match framing:
        case "gzip":
            return http_answer(200, {"Content-Encoding": "gzip"}, gzip.compress(body))
        case "chunked":
            chunk = f"{len(body):x}".encode() + b"\r\n" + body + b"\r\n0\r\n\r\n"
            return http_answer(200, {"Transfer-Encoding": "chunked"}, chunk, framed=False)
        case _:
            return http_answer(200, {}, body)


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
async def test_the_largest_allowed_answer_passes_and_one_byte_more_does_not(framing: str) -> None:
    largest = b'{"id":"' + b"x" * (65536 - 9) + b'"}'
    replies = [_framed(body, framing) for body in (largest, largest + b" ")]
    async with path_to_script(answers(*replies), max_answer_bytes=65536) as (path, _):
        assert (await path.forward()).reason is None
        assert_failed(await path.forward(), Reason.UPSTREAM_TOO_LARGE, Stage.SENT)


@pytest.mark.parametrize(("method", "reason"), [("GET", Reason.UPSTREAM_TIMEOUT), ("POST", None), ("DELETE", None)])
async def test_a_read_is_given_up_early_and_a_write_is_waited_for(method: str, reason: Reason | None) -> None:
    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await asyncio.sleep(0.05)
        await conversation.send(OK)

    limits = {"budget_seconds": 2, "first_byte_seconds": 0.02}
    async with path_to_script(play, limits=limits) as (path, _):
        delivery = await path.forward(make_operation(method))

        assert delivery.reason is reason
