"""The caller: Okta's fields on the wire, and a name for every way to get no answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from gateway.rehearsal.caller import Target, calling
from gateway.rehearsal.replies import Trouble, Unanswered

TOKEN = "token-of-the-client-0123456789"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/scim+json\r\nContent-Length: 2\r\n\r\n{}"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of raw bytes on a free port."""
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


def answering(answer: bytes, heads: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return serve


def tls_server(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def trouble_of(target: Target) -> Trouble:
    with pytest.raises(Unanswered) as failure:
        async with calling(target) as caller:
            await caller.send("GET", "/Users")
    assert TOKEN not in failure.value.note
    return failure.value.trouble


async def test_a_request_looks_on_the_wire_like_oktas() -> None:
    heads: list[bytes] = []
    async with (
        server(answering(OK, heads)) as port,
        calling(Target(f"http://127.0.0.1:{port}/scim/v2/", TOKEN)) as caller,
    ):
        await caller.send("POST", "/Users?filter=a%2Bb%2e%2e+c%27", b"{}")

    line, *fields = heads[0].decode().split("\r\n")
    assert line == "POST /scim/v2/Users?filter=a%2Bb%2e%2e+c%27 HTTP/1.1"
    assert sorted(filter(None, fields)) == [
        "Accept-Charset: utf-8",
        "Accept-Encoding: gzip,deflate",
        "Accept: application/scim+json",
        f"Authorization: Bearer {TOKEN}",
        "Connection: Keep-Alive",
        "Content-Length: 2",
        "Content-Type: application/scim+json; charset=utf-8",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: Okta SCIM Client 1.0.0",
    ]


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    moved = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    heads: list[bytes] = []
    async with server(answering(moved, heads)) as port, calling(Target(f"http://127.0.0.1:{port}", TOKEN)) as caller:
        assert (await caller.send("GET", "/Users")).status == 307

    assert len(heads) == 1


async def test_a_server_of_the_trusted_ca_is_called() -> None:
    authority = trustme.CA()
    async with (
        server(answering(OK), tls_server(authority, "localhost")) as port,
        calling(Target(f"https://localhost:{port}", TOKEN, tls=trusting(authority))) as caller,
    ):
        assert (await caller.send("GET", "/Users")).status == 200


@pytest.mark.parametrize(("certified", "trusted"), [("localhost", False), ("elsewhere.example.com", True)])
async def test_a_certificate_that_does_not_fit_has_a_name(certified: str, trusted: bool) -> None:
    authority = trustme.CA()
    async with server(answering(OK), tls_server(authority, certified)) as port:
        tls = trusting(authority if trusted else trustme.CA())

        assert await trouble_of(Target(f"https://localhost:{port}", TOKEN, tls=tls)) is Trouble.CERTIFICATE


async def test_https_to_a_port_of_plain_http_is_trouble_with_tls() -> None:
    async def answer_in_the_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with server(answer_in_the_clear) as port:
        assert await trouble_of(Target(f"https://127.0.0.1:{port}", TOKEN)) is Trouble.TLS


async def test_a_closed_port_is_no_connection() -> None:
    async with server(answering(OK)) as port:
        pass

    assert await trouble_of(Target(f"http://127.0.0.1:{port}", TOKEN)) is Trouble.CONNECT


async def test_an_unknown_name_is_told_from_a_closed_port() -> None:
    assert await trouble_of(Target("http://nowhere.invalid", TOKEN)) is Trouble.NAME


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", b"SSH-2.0-OpenSSH_9.7\r\n"],
    ids=["nothing", "cut short", "not HTTP"],
)
async def test_an_answer_that_is_not_whole_is_no_answer(answer: bytes) -> None:
    async with server(answering(answer)) as port:
        assert await trouble_of(Target(f"http://127.0.0.1:{port}", TOKEN)) is Trouble.HUNG_UP


async def test_silence_ends_with_oktas_patience() -> None:
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with server(say_nothing) as port:
        target = Target(f"http://127.0.0.1:{port}", TOKEN, patience_seconds=0.05)
        try:
            assert await trouble_of(target) is Trouble.SILENCE
        finally:
            over.set()


async def test_an_endless_answer_is_cut_off() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * (1 << 20))
                await writer.drain()
        except ConnectionError:
            writer.close()

    async with server(pour) as port:
        assert await trouble_of(Target(f"http://127.0.0.1:{port}", TOKEN)) is Trouble.TOO_LARGE


def test_a_target_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Target("https://scim.example.com", TOKEN))
