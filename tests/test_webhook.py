"""The webhook against real receivers that take, fail, hang and recover; time is the test's own."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.rehearsal.certificates import make_development_certificates
from gateway.webhook import MAX_WAITING, Webhook
from tests.ports import unused_port
from tests.waiting import until

TOKEN = "webhook-secret-0123456789"
SECRET_PATH = "/services/T000/B000/secret-of-the-url"


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class Receiver:
    """An HTTP server that answers by a list of statuses, then with 204; `hang` instead of a status never answers."""

    statuses: list[int | str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.json()))
        status = self.statuses.pop(0) if self.statuses else 204
        if status == "hang":
            await asyncio.Event().wait()
        if status == "endless":
            answer = web.StreamResponse(status=200)
            await answer.prepare(request)
            while True:
                await answer.write(b"x" * 65_536)
        return web.Response(status=int(status), headers=self.fields)

    @property
    def events(self) -> list[Any]:
        return [event for _, event in self.got]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{SECRET_PATH}"


@asynccontextmanager
async def receiving(receiver: Receiver, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", receiver.port, ssl_context=tls)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(webhook: Webhook) -> AsyncIterator[Webhook]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(webhook.run())
        try:
            yield webhook
        finally:
            task.cancel()


def webhook_to(url: str, time: Time, token: str | None = TOKEN, timeout: float = 5.0) -> Webhook:
    return Webhook(url, token, timeout, clock=time.clock, sleep=time.sleep)


async def test_an_event_arrives_as_json_with_the_token() -> None:
    async with receiving(Receiver()) as receiver, running(webhook_to(receiver.url, Time())) as webhook:
        webhook.tell({"event": "hold", "people": 21})
        await until(lambda: webhook.counts["delivered"] == 1)

    (headers, event), *more = receiver.got
    assert not more
    assert event == {"event": "hold", "people": 21}
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"


async def test_without_a_token_no_authorization_is_sent() -> None:
    async with receiving(Receiver()) as receiver, running(webhook_to(receiver.url, Time(), None)) as webhook:
        webhook.tell({})
        await until(lambda: webhook.counts["delivered"] == 1)

    assert "Authorization" not in receiver.got[0][0]


async def test_an_event_is_told_as_it_was_then() -> None:
    event = {"people": 21}
    async with receiving(Receiver()) as receiver, running(webhook_to(receiver.url, Time())) as webhook:
        webhook.tell(event)
        event["people"] = 0
        await until(lambda: webhook.counts["delivered"] == 1)

    assert receiver.events == [{"people": 21}]


async def test_what_fails_for_now_is_sent_again_with_doubling_waits_and_nothing_overtakes_it() -> None:
    time = Time()
    async with (
        receiving(Receiver([500, 503, 429, 408])) as receiver,
        running(webhook_to(receiver.url, time)) as webhook,
    ):
        webhook.tell({"n": 1})
        webhook.tell({"n": 2})
        await until(lambda: webhook.counts["delivered"] == 2)

    assert time.slept == [1, 2, 4, 8]
    assert [event["n"] for event in receiver.events] == [1, 1, 1, 1, 1, 2]
    assert webhook.counts["failed"] == 0


@pytest.mark.parametrize("status", [400, 401, 404, 413, 301, 302, 307, 308])
async def test_what_fails_for_good_is_not_sent_again_and_the_next_is(status: int) -> None:
    time = Time()
    async with receiving(Receiver()) as elsewhere:
        receiver = Receiver([status], {"Location": elsewhere.url})
        async with receiving(receiver), running(webhook_to(receiver.url, time)) as webhook:
            webhook.tell({"n": 1})
            webhook.tell({"n": 2})
            await until(lambda: webhook.counts["delivered"] == 1)

    assert (webhook.counts["failed"], time.slept) == (1, [])
    assert [event["n"] for event in receiver.events] == [1, 2]
    assert elsewhere.got == []


async def test_a_receiver_that_hangs_is_asked_again() -> None:
    async with (
        receiving(Receiver(["hang"])) as receiver,
        running(webhook_to(receiver.url, Time(), timeout=0.05)) as webhook,
    ):
        webhook.tell({"n": 1})
        await until(lambda: webhook.counts["delivered"] == 1)

    assert [event["n"] for event in receiver.events] == [1, 1]


async def test_an_answer_without_an_end_holds_nobody_up() -> None:
    async with receiving(Receiver(["endless"])) as receiver, running(webhook_to(receiver.url, Time())) as webhook:
        webhook.tell({"n": 1})
        webhook.tell({"n": 2})
        await until(lambda: webhook.counts["delivered"] == 2)


async def test_a_receiver_that_is_away_for_half_an_hour_misses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    time, receiver = Time(), Receiver(port=unused_port())
    is_back, is_listening, began = asyncio.Event(), asyncio.Event(), time.now

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        if time.now - began > 1800:
            is_back.set()
            await is_listening.wait()

    async with running(Webhook(receiver.url, TOKEN, 5.0, time.clock, sleep)) as webhook:
        webhook.tell({"n": 1})
        webhook.tell({"n": 2})
        await is_back.wait()
        async with receiving(receiver):
            is_listening.set()
            await until(lambda: webhook.counts["delivered"] == 2)

    assert time.slept[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert max(time.slept) == 60
    assert [event["n"] for event in receiver.events] == [1, 2]
    assert caplog.text == ""


async def test_after_an_hour_events_are_dropped_and_the_log_says_so_once_until_it_heals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time, receiver = Time(), Receiver(port=unused_port())
    async with running(webhook_to(receiver.url, time)) as webhook:
        for n in range(3):
            webhook.tell({"n": n})
        await until(lambda: webhook.counts["failed"] == 3)
        tried_seconds = time.now - 1000.0
        async with receiving(receiver):
            webhook.tell({"n": 3})
            await until(lambda: webhook.counts["delivered"] == 1)

    assert 3500 < tried_seconds <= 3600  # for all of them: an hour from when each was told
    assert [event["n"] for event in receiver.events] == [3]
    assert caplog.text.count("does not take our events") == 1
    assert caplog.text.count("takes our events again") == 1


async def test_an_event_whose_hour_passed_in_the_queue_is_tried_once() -> None:
    time = Time()
    async with receiving(Receiver()) as receiver:
        webhook = webhook_to(receiver.url, time)
        webhook.tell({"n": 1})
        time.now += 7200
        async with running(webhook):
            await until(lambda: webhook.counts["delivered"] == 1)


async def test_when_too_many_wait_the_oldest_go_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(Receiver()) as receiver:
        webhook = webhook_to(receiver.url, Time())
        for n in range(MAX_WAITING + 5):
            webhook.tell({"n": n})
        assert webhook.counts["dropped"] == 5
        assert caplog.text.count("the oldest are dropped") == 1
        async with running(webhook):
            await until(lambda: receiver.got)

    assert receiver.events[0] == {"n": 5}


@pytest.mark.parametrize("event", [{"name": "\ud800"}, {("a",): 1}])
async def test_telling_never_raises(event: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(Receiver()) as receiver, running(webhook_to(receiver.url, Time())) as webhook:
        webhook.tell(event)
        webhook.tell({"path": Path("/x")})
        await until(lambda: webhook.counts["delivered"] == 1)

    assert webhook.counts["failed"] == 1
    assert "is no JSON" in caplog.text


async def test_what_is_not_delivered_at_the_stop_is_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(Receiver(["hang"])) as receiver, running(webhook_to(receiver.url, Time())) as webhook:
        webhook.tell({"n": 1})
        webhook.tell({"n": 2})
        await until(lambda: receiver.got)

    assert "2 events for 127.0.0.1 were not delivered before the stop" in caplog.text


@pytest.mark.parametrize("status", [500, 404, "away"])
async def test_neither_token_nor_url_is_ever_logged_or_shown(
    status: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiving(Receiver([status] * 200)) as receiver:
        if status == "away":
            receiver.port = unused_port()
        async with running(webhook_to(receiver.url, Time())) as webhook:
            webhook.tell({"n": 1})
            await until(lambda: webhook.counts["failed"] == 1)

    assert "does not take our events" in caplog.text
    for secret in (TOKEN, "secret-of-the-url"):
        assert secret not in caplog.text.replace(f'"POST {SECRET_PATH} HTTP/1.1"', "")  # the receiver's own log
        assert secret not in repr(webhook)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "hooks.example.com/secret",
        "http://[::1/secret",
        "ftp://127.0.0.1/secret",
        "http://127.0.0.1:99999/secret",
        "http://user:secret@127.0.0.1/",
    ],
)
def test_a_url_that_leads_nowhere_is_refused_unshown(url: str) -> None:
    with pytest.raises(ValueError, match="must be http:// or https:// with a host") as caught:
        Webhook(url, TOKEN, 5.0)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["a\\b", "a..b", "a" * 64])
async def test_a_url_that_only_the_client_finds_malformed_ends_nothing(host: str) -> None:
    time = Time()
    async with running(webhook_to(f"http://{host}/", time)) as webhook:
        webhook.tell({"n": 1})
        webhook.tell({"n": 2})
        await until(lambda: webhook.counts["failed"] == 2)

    assert time.slept == []


@pytest.mark.parametrize("token", ["two\nlines", "t\u00f6ken", "nul\x00"])
def test_a_token_that_no_header_takes_is_refused_unshown(token: str) -> None:
    with pytest.raises(ValueError, match="characters that no header field takes") as caught:
        Webhook("http://127.0.0.1/", token, 5.0)
    assert token not in str(caught.value)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    time = Time()
    async with receiving(Receiver()) as receiver, running(webhook_to(receiver.url, time)) as webhook:
        webhook.tell({"n": 1})
        await until(lambda: webhook.counts["delivered"] == 1)

    assert time.slept == []


async def test_no_cookie_is_kept() -> None:
    receiver = Receiver(fields={"Set-Cookie": "a=b; Path=/"})
    async with receiving(receiver), running(webhook_to(receiver.url, Time())) as webhook:
        webhook.tell({"n": 1})
        webhook.tell({"n": 2})
        await until(lambda: webhook.counts["delivered"] == 2)

    assert all("Cookie" not in headers for headers, _ in receiver.got)


async def test_a_receiver_whom_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    made = make_development_certificates(tmp_path, ("127.0.0.1",))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(made.certificate_file, made.key_file)
    receiver = Receiver(scheme="https")
    async with receiving(receiver, tls), running(webhook_to(receiver.url, Time())) as webhook:
        webhook.tell({"n": 1})
        await until(lambda: webhook.counts["failed"] == 1)

    assert receiver.got == []
