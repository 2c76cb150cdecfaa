"""Behind a balancer: whom it announces is who calls, and whatever else comes first is refused and has a name."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from tests.server.building import OK, FakePipeline, Served, hear, served
from tests.waiting import until

T = TypeVar("T")

GET = b"GET /Users HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
V1 = b"PROXY TCP4 203.0.113.9 10.0.0.5 51234 443\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([203, 0, 113, 9, 10, 0, 0, 5, 200, 34, 1, 187])
V2_WITH_TLVS = V2[:14] + b"\x00\x13" + V2[16:] + b"\x02\x00\x04host"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
UNKNOWN = b"PROXY UNKNOWN\r\n"
BEHIND: dict[str, object] = {"proxy_protocol": "required", "trusted_proxies": ["127.0.0.0/8", "::1"]}


def visit(it: Served, header: bytes, pieces: int = 1) -> bytes:
    """Send a header with the ClientHello right behind it, the first bytes in so many pieces; then speak TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = it.trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", it.listener.port), timeout=3) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = header + outgoing.read()
        size = -(-len(first) // pieces)
        for start in range(0, len(first), size):
            plain.sendall(first[start : start + size])

        def carry_on(step: Callable[[], T]) -> T:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65_536))

        carry_on(tls.do_handshake)
        tls.write(GET)
        return carry_on(lambda: tls.read(65_536))


async def say(it: Served, data: bytes, *, reset: bool = False) -> bytes:
    """Send bytes without TLS, end (or reset the connection), and hear what comes until the other side ends it too."""

    def in_its_own_time() -> bytes:
        with socket.create_connection(("127.0.0.1", it.listener.port), timeout=3) as plain, suppress(ConnectionError):
            plain.sendall(data)
            if not reset:
                plain.shutdown(socket.SHUT_WR)
                return plain.recv(65_536)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return b""

    try:
        return await asyncio.to_thread(in_its_own_time)
    except OSError:  # it was ended before we could end it
        return b""


async def begin_tls(it: Served, header: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    plain = socket.create_connection(("127.0.0.1", it.listener.port))
    plain.sendall(header)
    plain.setblocking(False)
    return await asyncio.open_connection(sock=plain, ssl=it.trusting, server_hostname="localhost")


@pytest.mark.parametrize(
    ("header", "address", "counted"),
    [
        (V1, "203.0.113.9", "proxied"),
        (b"PROXY TCP6 2001:db8::7 ::1 51234 443\r\n", "2001:db8::7", "proxied"),
        (V2, "203.0.113.9", "proxied"),
        (V2_WITH_TLVS, "203.0.113.9", "proxied"),
        (LOCAL, "127.0.0.1", "local"),
        (UNKNOWN, "127.0.0.1", "local"),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 51234 443\r\n", "127.0.0.1", "local"),
    ],
)
async def test_whom_the_balancer_announces_is_who_calls(
    tmp_path: Path, header: bytes, address: str, counted: str
) -> None:
    async with served(tmp_path, None, **BEHIND) as it:
        heard = await asyncio.to_thread(visit, it, header)

        assert b"200 OK" in heard
        assert it.pipeline.requests[0].address == address
        assert it.listener.proxy_headers == {counted: 1}


@pytest.mark.parametrize("header", [V1, V2_WITH_TLVS])
async def test_a_header_may_come_in_pieces_with_tls_right_behind_it(tmp_path: Path, header: bytes) -> None:
    async with served(tmp_path, None, **BEHIND) as it:
        for pieces in (2, 3, 40):
            assert b"200 OK" in await asyncio.to_thread(visit, it, header, pieces)

        assert {request.address for request in it.pipeline.requests} == {"203.0.113.9"}


async def test_what_is_no_request_is_on_record_with_the_address_announced(tmp_path: Path) -> None:
    async with served(tmp_path, None, head_seconds=0.05, **BEHIND) as it:
        reader, writer = await begin_tls(it, V1)
        writer.write(b"\x00\x00\x00")
        await hear(reader)
        writer.close()

        assert it.pipeline.unparsed[0].address == "203.0.113.9"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "proxy-header-missing"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), "proxy-header-missing"),
        (b"PROXY TCP4 203.0.113.9 10.0.0.5 51234\r\n", "proxy-header-malformed"),
        (V2[:12] + b"\x21\x31" + V2[14:], "proxy-header-malformed"),
        (b"PROXY TCP4 " + b"1" * 200, "proxy-header-too-long"),
        (SIGNATURE + b"\x21\x11\xff\xff", "proxy-header-too-long"),
        (V1[:20], "proxy-header-cut"),
        (V2[:20], "proxy-header-cut"),
    ],
)
async def test_a_header_that_cannot_be_believed_is_refused_and_has_a_name(
    tmp_path: Path, data: bytes, name: str
) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, None, **BEHIND) as it:
        it.listener.on_failure = lambda address, failure: told.append((address, failure))
        heard = await say(it, data)

        assert heard == b""
        assert told == [("127.0.0.1", name)]
        assert it.listener.proxy_headers == {name: 1}
        assert not it.listener.handshakes
        assert b"200 OK" in await asyncio.to_thread(visit, it, V1)


async def test_a_stranger_is_turned_away_whatever_he_announces(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, proxy_protocol="required", trusted_proxies=["10.0.0.0/8"]) as it:
        it.listener.on_failure = lambda address, failure: told.append((address, failure))
        for data in (V1, V2, LOCAL, b""):
            await say(it, data)

    assert told == [("127.0.0.1", "proxy-untrusted")] * 4
    assert it.listener.proxy_headers == {"proxy-untrusted": 4}
    assert not it.pipeline.requests


async def test_a_header_that_is_late_is_refused_within_the_handshakes_time(tmp_path: Path) -> None:
    async with served(tmp_path, None, handshake_seconds=0.05, **BEHIND) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.listener.port)
        writer.write(V1[:-1])
        await hear(reader)
        writer.close()

        assert it.listener.proxy_headers == {"proxy-header-timeout": 1}


async def test_header_and_handshake_share_one_time_limit(tmp_path: Path) -> None:
    async with served(tmp_path, None, handshake_seconds=0.05, **BEHIND) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.listener.port)
        writer.write(V1)
        await hear(reader)
        writer.close()

        await until(lambda: it.listener.handshakes == {"timeout": 1})


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("data", "counted"), [(LOCAL, {"local": 1}), (UNKNOWN, {"local": 1}), (b"", {"health-check": 1})]
)
async def test_a_health_check_is_no_failed_handshake(
    tmp_path: Path, data: bytes, counted: dict[str, int], reset: bool
) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, None, **BEHIND) as it:
        it.listener.on_failure = lambda address, failure: told.append((address, failure))
        await say(it, data, reset=reset)
        await until(lambda: it.listener.proxy_headers and not it.listener.handshakes_in_flight)

        # A reset throws away what the kernel had not handed over yet.
        assert it.listener.proxy_headers in ((counted, {"health-check": 1}) if reset else (counted,))
        assert not told
        assert not it.listener.handshakes


async def test_a_failed_handshake_is_the_announced_clients(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, None, **BEHIND) as it:
        it.listener.on_failure = lambda address, failure: told.append((address, failure))
        for header in (V1, LOCAL):
            await say(it, header + bytes(50))
        await say(it, V2)

    assert told == [("203.0.113.9", "not-tls"), ("127.0.0.1", "not-tls"), ("203.0.113.9", "reset")]


async def test_whoever_is_crowded_out_is_the_announced_client(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, None, max_handshakes=1, **BEHIND) as it:
        it.listener.on_failure = lambda address, failure: told.append((address, failure))
        _, writer = await asyncio.open_connection("127.0.0.1", it.listener.port)
        writer.write(V1)
        await until(lambda: it.listener.proxy_headers)

        assert b"200 OK" in await asyncio.to_thread(visit, it, LOCAL)
        assert told == [("203.0.113.9", "crowded-out")]
        writer.close()


async def test_without_the_setting_a_header_is_no_tls(tmp_path: Path) -> None:
    async with served(tmp_path, trusted_proxies=["127.0.0.1"]) as it:
        await say(it, V1)
        await until(lambda: it.listener.handshakes)

        assert it.listener.handshakes == {"not-tls": 1}
        assert not it.listener.proxy_headers


@pytest.mark.parametrize(
    ("header", "address"),
    [("none", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9"), ("forwarded", "198.51.100.1")],
)
async def test_a_proxy_that_ends_tls_names_the_client_in_the_header_of_the_settings(
    tmp_path: Path, header: str, address: str
) -> None:
    fields = b"X-Forwarded-For: 192.0.2.1, 203.0.113.9\r\nForwarded: for=198.51.100.1\r\n\r\n"
    async with served(tmp_path, forwarded_header=header, trusted_proxies=["127.0.0.1"]) as it:
        await it.say(GET.replace(b"\r\n\r\n", b"\r\n" + fields))

        assert it.pipeline.requests[0].address == address


async def test_who_announced_proxies_is_believed_further_and_strangers_are_not(tmp_path: Path) -> None:
    request = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
    for trusted, address in ((["127.0.0.1", "203.0.113.9"], "198.51.100.1"), (["127.0.0.1"], "203.0.113.9")):
        settings = {"proxy_protocol": "required", "forwarded_header": "x-forwarded-for", "trusted_proxies": trusted}
        async with served(tmp_path, FakePipeline(OK), **settings) as it:
            reader, writer = await begin_tls(it, V1)
            writer.write(request)
            await hear(reader)
            writer.close()

            assert it.pipeline.requests[0].address == address


async def test_a_reload_changes_who_is_trusted(tmp_path: Path) -> None:
    async with served(tmp_path, proxy_protocol="required", trusted_proxies=["10.0.0.0/8"]) as it:
        await say(it, V1)
        it.server.use(it.server.listen.model_copy(update={"trusted_proxies": ("127.0.0.1",)}))

        assert b"200 OK" in await asyncio.to_thread(visit, it, V1)
        assert it.listener.proxy_headers == {"proxy-untrusted": 1, "proxied": 1}


async def test_whoever_was_let_in_before_a_reload_announces_nobody_after_it(tmp_path: Path) -> None:
    async with served(tmp_path, None, max_handshakes=1, trusted_proxies=["10.0.0.5"]) as it:
        with (
            socket.create_connection(("127.0.0.1", it.listener.port)),  # has the only place for a handshake
            socket.create_connection(("127.0.0.1", it.listener.port)) as waiting,
        ):
            await until(lambda: it.listener.handshakes_in_flight == 1)
            await asyncio.sleep(0.05)  # the other one is let in, and waits for the place
            it.server.use(it.server.listen.model_copy(update={"proxy_protocol": "required"}))
            waiting.sendall(V1)
            await until(lambda: it.listener.proxy_headers)

    assert it.listener.proxy_headers == {"proxy-untrusted": 1}
