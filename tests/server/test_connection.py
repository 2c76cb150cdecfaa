"""One connection, as bytes: what reaches the pipeline, what is refused before, and how long anything may take."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from gateway.caller import Caller
from gateway.exchange import Answer, Request
from gateway.refusal import Reason
from gateway.server import listener
from gateway.server.adapter import answer_bytes
from gateway.server.connection import Connection
from tests.server.building import FakePipeline, hear, served
from tests.waiting import until

GET = b"GET /Users HTTP/1.1\r\nHost: localhost\r\n\r\n"
GARBLED_RECORD = b"\x17\x03\x03\x00\x20" + b"x" * 32
POST = b"POST /Users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/scim+json\r\n"


async def test_a_request_reaches_the_pipeline_as_it_was_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        heard = await it.say(b"GET /a/%2e%2e/b?x=%41 HTTP/1.1\r\nHost: localhost\r\nX-Y:  z \r\n\r\n")

    request = it.pipeline.requests[0]
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert request.target == "/a/%2e%2e/b?x=%41"
    assert request.fields.all("x-y") == ("z",)
    assert request.address == "127.0.0.1"
    assert not request.has_body


async def test_an_answer_has_a_length_and_a_date_and_no_banner(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        heard = (await it.say(GET)).lower()

    assert b"\r\ncontent-length: 10\r\n" in heard
    assert b"\r\ndate: " in heard
    assert b"server:" not in heard
    assert b"python" not in heard
    assert b"aiohttp" not in heard


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_never_has_a_body_has_neither_body_nor_length(tmp_path: Path, status: int) -> None:
    async with served(tmp_path, FakePipeline(answer=Answer(status, (), b""))) as it:
        heard = await it.say(GET)

    assert heard.endswith(b"\r\n\r\n")
    assert b"content-length" not in heard.lower()


async def test_an_answer_to_head_has_no_body(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        heard = await it.say(GET.replace(b"GET", b"HEAD"))

    assert heard.endswith(b"\r\n\r\n")


async def test_a_connection_serves_one_request_after_another(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        reader, writer = await it.connect()
        for _ in range(3):
            writer.write(GET)
            assert b"200 OK" in await hear(reader)
        writer.close()

    assert len(it.pipeline.requests) == 3


async def test_each_request_of_a_connection_has_its_own_fields(tmp_path: Path) -> None:
    others = (b"Authorization: Bearer a", b"Authorization: Bearer b", b"Authorization: Bearer b", b"X: 1")
    async with served(tmp_path) as it:
        for other in others:
            await it.say(GET.replace(b"\r\n\r\n", b"\r\n" + other + b"\r\n\r\n"))
        await it.say(b"".join(GET.replace(b"\r\n\r\n", b"\r\n" + other + b"\r\n\r\n") for other in others))

    last = [request.fields.pairs[-1] for request in it.pipeline.requests]
    assert last == [(name, value) for name, value in (other.decode().split(": ") for other in others)] * 2


async def test_requests_sent_at_once_are_answered_in_their_order(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        heard = await it.say(GET + POST + b"Content-Length: 2\r\n\r\n{}" + GET)

    assert heard.count(b"HTTP/1.1 200 OK") == 3
    assert it.pipeline.bodies == [b"{}"]


async def test_a_client_that_wants_the_end_gets_it(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        heard = await it.say(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert b"\r\nConnection: close\r\n" in heard
    assert heard.endswith(b"<END>")


async def test_a_body_in_pieces_is_put_together(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await it.say(POST[:20], POST[20:] + b"Content-Le", b"ngth: 6\r\n\r", b"\nab", b"cd", b"ef")

    assert it.pipeline.bodies == [b"abcdef"]


async def test_a_chunked_body_is_put_together_and_ends_its_connection(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        heard = await it.say(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" + GET)

    assert it.pipeline.bodies == [b"abc"]
    assert len(it.pipeline.requests) == 1
    assert heard.count(b"HTTP/1.1") == 1
    assert heard.endswith(b"<END>")


@pytest.mark.parametrize(
    "body", [b"2\nab\n0\n\n", b"zz\r\n", b"2\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n", b"0x2\r\nab\r\n0\r\n\r\n"]
)
async def test_a_malformed_chunk_is_refused_and_nothing_behind_it_is_read(tmp_path: Path, body: bytes) -> None:
    async with served(tmp_path) as it:
        heard = await it.say(POST + b"Transfer-Encoding: chunked\r\n\r\n" + body + GET)

    assert b"HTTP/1.1 400" in heard
    assert heard.count(b"HTTP/1.1") == 1
    assert heard.endswith(b"<END>")
    assert it.pipeline.bodies == []


async def test_a_chunk_that_goes_wrong_later_is_refused_at_once_and_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, FakePipeline(body_seconds=60)) as it:
        reader, writer = await it.connect()
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await it.pipeline.entered.wait()
        writer.write(b"zz\r\n\r\n" + GET)
        heard = await hear(reader)
        writer.close()

    assert heard.startswith(b"HTTP/1.1 400")
    assert heard.endswith(b"<END>")
    assert [refusal.reason for refusal in it.pipeline.refusals] == [Reason.FRAMING_AMBIGUOUS]
    assert "Traceback" not in caplog.text


async def test_what_comes_behind_a_refused_chunked_request_is_dropped_quietly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, FakePipeline(answer=Answer(401, (), b"{}"), reads=False)) as it:
        reader, writer = await it.connect()
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        heard = await hear(reader)
        writer.write(b"zz\r\n\r\n" + GET)
        heard += await hear(reader)
        writer.close()

    assert heard.count(b"HTTP/1.1") == 1
    assert it.pipeline.unparsed == []
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Reason.FRAMING_AMBIGUOUS),
        (b"GET / HTTP/0.9\r\n\r\n", Reason.VERSION_UNSUPPORTED),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Reason.VERSION_UNSUPPORTED),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", Reason.METHOD_UNSUPPORTED),
        (b"\x16\x03\x01\x00", Reason.HEAD_MALFORMED),
        (b"GET /" + b"a" * 9000, Reason.HEAD_TOO_LARGE),
    ],
)
async def test_what_never_was_a_request_is_answered_on_record_and_ends(
    tmp_path: Path, data: bytes, reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with served(tmp_path) as it:
            heard = await it.say(data + GET)

    assert heard.startswith(b"HTTP/1.1 %d " % reason.status)
    assert heard.endswith(b"<END>")
    assert [one.reason for one in it.pipeline.unparsed] == [reason]
    assert it.pipeline.requests == []
    assert "Traceback" not in caplog.text


async def test_a_refused_request_takes_the_ones_before_it_not_back(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        heard = await it.say(GET + b"BAD\r\n\r\n" + GET)

    assert heard.count(b"HTTP/1.1 200") == 1
    assert heard.count(b"HTTP/1.1 400") == 1
    assert len(it.pipeline.requests) == 1


async def test_100_continue_is_said_when_the_body_is_read_and_not_before(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        reader, writer = await it.connect()
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        first = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"{}")
        heard = await hear(reader)
        writer.close()

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"HTTP/1.1 200" in heard


async def test_100_continue_is_never_said_to_whom_the_pipeline_refuses(tmp_path: Path) -> None:
    async with served(tmp_path, FakePipeline(answer=Answer(401, (), b"{}"), reads=False)) as it:
        heard = await it.say(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")

    assert heard.startswith(b"HTTP/1.1 401")
    assert b"100 Continue" not in heard


async def test_a_body_that_nobody_read_ends_the_connection(tmp_path: Path) -> None:
    async with served(tmp_path, FakePipeline(reads=False)) as it:
        heard = await it.say(POST + b"Content-Length: 500\r\n\r\n" + b"x" * 10)

    assert b"Connection: close" in heard


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (POST + b"Content-Length: 5000\r\n\r\n", Reason.BODY_TOO_LARGE),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + b"x" * 5000, Reason.BODY_TOO_LARGE),
        (POST + b"Content-Length: 10\r\n\r\nabc", Reason.BODY_TIMEOUT),
    ],
)
async def test_a_body_is_bounded_in_bytes_and_time(tmp_path: Path, data: bytes, reason: Reason) -> None:
    async with served(tmp_path, FakePipeline(max_body_bytes=1000)) as it:
        heard = await it.say(data)

    assert heard.startswith(b"HTTP/1.1 %d" % reason.status)
    assert [refusal.reason for refusal in it.pipeline.refusals] == [reason]


async def test_a_client_that_hangs_up_in_its_body_is_told_apart(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        reader, writer = await it.connect()
        writer.write(POST + b"Content-Length: 10\r\n\r\nabc")
        await it.pipeline.entered.wait()
        writer.transport.abort()
        await until(lambda: it.pipeline.refusals)

    assert [refusal.reason for refusal in it.pipeline.refusals] == [Reason.CLIENT_GONE]
    assert reader is not None


@pytest.mark.parametrize("farewell", ["reset", "close"])
async def test_a_client_that_hangs_up_while_it_waits_is_told_of_once(tmp_path: Path, farewell: str) -> None:
    told: list[bool] = []
    async with served(tmp_path, FakePipeline(waits=True)) as it:
        _, writer = await it.connect()
        writer.write(GET)
        await it.pipeline.entered.wait()
        [caller] = it.pipeline.callers
        assert not caller.is_gone
        caller.on_gone = lambda: told.append(caller.is_gone)
        writer.transport.abort() if farewell == "reset" else writer.close()
        await until(lambda: told)
        it.pipeline.goes_on.set()

    assert told == [True]


async def test_a_client_that_got_its_answer_is_no_longer_told_of(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await it.say(GET)
        await until(lambda: not it.server.open_connections)

    assert [caller.is_gone for caller in it.pipeline.callers] == [False]


async def test_the_time_of_a_request_begins_when_its_head_is_whole(tmp_path: Path) -> None:
    async with served(tmp_path, FakePipeline(waits=True)) as it:
        now = asyncio.get_running_loop().time
        reader, writer = await it.connect()
        connected_at = now()
        writer.write(GET)
        await it.pipeline.entered.wait()
        first_at = now()
        writer.write(GET)
        it.pipeline.goes_on.set()
        await hear(reader)
        writer.close()

    first, second = it.pipeline.callers
    assert connected_at <= first.began_at <= first_at <= second.began_at


async def test_a_head_that_does_not_come_is_refused_in_time(tmp_path: Path) -> None:
    async with served(tmp_path, head_seconds=0.1) as it:
        heard = await it.say(b"GET /Users HTT")

    assert heard.startswith(b"HTTP/1.1 408")
    assert it.pipeline.unparsed[0].reason is Reason.HEAD_TIMEOUT


async def test_a_head_that_trickles_gets_no_more_time(tmp_path: Path) -> None:
    async with served(tmp_path, head_seconds=0.2) as it:
        reader, writer = await it.connect()
        async with asyncio.timeout(2):
            for byte in GET * 10:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
                if it.pipeline.unparsed:
                    break
        writer.close()

    assert it.pipeline.unparsed[0].reason is Reason.HEAD_TIMEOUT
    assert reader is not None


@pytest.mark.parametrize("said", [b"", GET])
async def test_a_silent_connection_ends(tmp_path: Path, said: bytes) -> None:
    async with served(tmp_path, head_seconds=0.1, idle_seconds=0.1) as it:
        reader, writer = await it.connect()
        writer.write(said)
        async with asyncio.timeout(2):
            heard = await reader.read()
        writer.close()

    assert heard.count(b"HTTP/1.1") == (1 if said else 0)


async def test_a_reader_that_takes_nothing_is_hung_up_on(tmp_path: Path) -> None:
    large = Answer(200, (), b"x" * (32 << 20))
    async with served(tmp_path, FakePipeline(answer=large), write_seconds=0.2) as it:
        reader, writer = await it.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a client that stops reading
        writer.write(GET)
        await it.pipeline.entered.wait()
        await until(lambda: not it.server.open_connections)
        writer.transport.abort()

    assert it.server.open_connections == 0
    assert reader is not None


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("size", [70_000, 140_000, 400_000, 1_000_000])
def test_a_large_body_sent_at_once_is_read_whole(
    tmp_path: Path, size: int, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def send() -> bytes:
        async with served(tmp_path, FakePipeline(body_seconds=1)) as it:
            return await it.say(POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(send()).startswith(b"HTTP/1.1 200")


async def test_the_last_answer_waits_for_a_slow_reader_before_the_connection_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SHUTDOWN_SECONDS", 0.05)
    large = Answer(200, (), b"x" * (16 << 20))
    async with served(tmp_path, FakePipeline(answer=large)) as it:
        reader, writer = await it.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await it.pipeline.entered.wait()
        await asyncio.sleep(0.2)  # longer than a connection's end may take
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        heard = await reader.read()
        writer.close()

    assert len(heard.partition(b"\r\n\r\n")[2]) == len(large.body)


async def test_a_drain_that_begins_while_an_answer_is_written_does_not_wait_for_the_idle(tmp_path: Path) -> None:
    large = Answer(200, (), b"x" * (16 << 20))
    async with served(tmp_path, FakePipeline(answer=large)) as it:
        reader, writer = await it.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET)
        await it.pipeline.entered.wait()
        await until(lambda: any(one.writing_paused for one in it.server.connections))
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(it.server.drain(30))
            await asyncio.sleep(0)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            heard = await reader.read()
            writer.close()

    assert len(heard.partition(b"\r\n\r\n")[2]) == len(large.body)


@dataclass
class CutShort(FakePipeline):
    """Works until it is cancelled, and then takes a moment to put that on record."""

    recorded: bool = False

    async def serve(self, request: Request, caller: Caller) -> Answer:
        self.entered.set()
        try:
            return await asyncio.Future[Answer]()
        finally:
            await asyncio.sleep(0.02)
            self.recorded = True


@pytest.mark.parametrize("client_is_gone", [False, True])
async def test_a_drain_ends_when_what_it_cut_off_is_on_record(tmp_path: Path, client_is_gone: bool) -> None:
    pipeline = CutShort()
    async with served(tmp_path, pipeline) as it:
        _, writer = await it.connect()
        writer.write(GET)
        await pipeline.entered.wait()
        if client_is_gone:
            writer.transport.abort()
            await asyncio.gather(*(one.gone for one in it.server.connections if isinstance(one, Connection)))
        await it.server.drain(0.01)

        assert pipeline.recorded
        writer.transport.abort()


async def test_a_tls_record_that_cannot_be_read_is_a_client_that_is_gone(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        _, writer = await it.connect()
        writer.write(POST + b"Content-Length: 10\r\n\r\nabc")
        await it.pipeline.entered.wait()
        behind_tls = writer.transport.get_extra_info("socket")
        await asyncio.get_running_loop().run_in_executor(None, os.write, behind_tls.fileno(), GARBLED_RECORD)
        await until(lambda: it.pipeline.refusals)
        writer.transport.abort()

    assert [refusal.reason for refusal in it.pipeline.refusals] == [Reason.CLIENT_GONE]


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "\x00"])
def test_an_answer_whose_field_would_begin_another_answer_is_not_written(value: str) -> None:
    with pytest.raises(ValueError, match="control byte"):
        answer_bytes(Answer(200, (("Location", value),), b""), close=False)


def test_an_answer_may_hold_a_tab() -> None:
    assert b"ETag: a\tb\r\n" in answer_bytes(Answer(200, (("ETag", "a\tb"),), b""), close=False)


async def test_a_drain_lets_the_request_under_way_end_and_hangs_up_on_the_idle(tmp_path: Path) -> None:
    async with served(tmp_path, FakePipeline(waits=True)) as it:
        idle_reader, idle_writer = await it.connect()
        reader, writer = await it.connect()
        writer.write(GET)
        await it.pipeline.entered.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(it.server.drain(2))
            assert await idle_reader.read() == b""
            it.pipeline.goes_on.set()
            heard = await hear(reader)
        idle_writer.close()
        writer.close()

    assert b"HTTP/1.1 200" in heard
    assert b"Connection: close" in heard


async def test_while_draining_a_silent_connection_may_still_ask_and_learns_that_it_ends(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        (reader, writer), (silent_reader, silent_writer) = await it.connect(), await it.connect()
        await until(lambda: it.server.open_connections == 2)
        it.server.begin_to_drain(0.1)
        writer.write(GET)
        async with asyncio.timeout(2):
            heard = await reader.read()  # to its end
            assert await silent_reader.read() == b""

        assert b"HTTP/1.1 200" in heard
        assert b"Connection: close" in heard
        await until(lambda: it.server.open_connections == 0)
        silent_writer.close()
        writer.close()


async def test_a_connection_told_to_go_on_before_the_drain_may_go_on_once(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        reader, writer = await it.connect()
        writer.write(GET)
        assert b"Connection: close" not in await reader.readuntil(b'"1"}')
        it.server.begin_to_drain(1)
        writer.write(GET)

        assert b"Connection: close" in await reader.read()
        writer.close()


async def test_a_connection_whose_handshake_ends_while_draining_is_served_once(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        it.server.begin_to_drain(0.1)
        (reader, writer), (silent_reader, silent_writer) = await it.connect(), await it.connect()
        writer.write(GET)

        async with asyncio.timeout(2):
            assert b"Connection: close" in await reader.read()
            assert await silent_reader.read() == b""
        silent_writer.close()
        writer.close()
