"""The listener and its TLS: what is negotiated, what is bounded, what has a name, and certificates that change."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trustme
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.server.http import assert_c_parser
from gateway.server.listener import handshake_failure_name, listening_socket
from tests.server.building import hear, served, write_pair
from tests.waiting import until

GET = b"GET /Users HTTP/1.1\r\nHost: localhost\r\n\r\n"
GRADER = Path(".venv-tls/bin/python")


async def test_tls_1_2_and_1_3_are_spoken_with_aead_and_http_1_1(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            it.trusting.minimum_version = it.trusting.maximum_version = version
            it.trusting.set_alpn_protocols(["h2", "http/1.1"])
            _, writer = await it.connect()
            tls = writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "http/1.1"
            assert "GCM" in tls.cipher()[0] or "CHACHA20" in tls.cipher()[0]
            writer.close()


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA"])
async def test_ciphers_without_forward_secrecy_or_aead_are_refused(tmp_path: Path, ciphers: str) -> None:
    async with served(tmp_path) as it:
        it.trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        it.trusting.set_ciphers(ciphers)
        with pytest.raises(OSError, match=r".*"):
            await it.connect()
        await until(lambda: it.listener.handshakes["no-shared-cipher"])


async def test_a_failed_handshake_has_a_name_and_an_address(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, handshake_seconds=0.2) as it:
        it.listener.on_failure = lambda address, name: told.append((address, name))
        for data, name in ((b"GET / HTTP/1.1\r\n\r\n", "plain-http"), (b"\x00" * 50, "not-tls"), (b"", "timeout")):
            _, writer = await asyncio.open_connection("127.0.0.1", it.listener.port)
            writer.write(data)
            await until(partial(told.__contains__, ("127.0.0.1", name)))
            writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                "127.0.0.1", it.listener.port, ssl=ssl.create_default_context(), server_hostname="x"
            )

    assert it.listener.handshakes["ok"] in (0, 1)  # TLS 1.3: the server is done before the client distrusts it
    assert it.listener.handshakes_in_flight == 0


async def test_connections_are_capped_and_service_returns_when_one_ends(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, max_connections=2) as it:
        it.listener.on_failure = lambda address, name: told.append((address, name))
        first, second = await it.connect(), await it.connect()
        with pytest.raises(OSError, match=r".*"):
            await it.connect()
        assert it.listener.rejected["connections"] == 1
        assert told == [("127.0.0.1", "connections")]
        first[1].close()
        await first[1].wait_closed()
        await until(lambda: it.server.open_connections == 1)
        third = await it.connect()
        third[1].write(GET)
        assert b"200 OK" in await hear(third[0])
        second[1].close()
        third[1].close()


async def test_a_handshake_that_dawdles_while_others_wait_is_cut_off(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    async with served(tmp_path, max_handshakes=2) as it:
        it.listener.on_failure = lambda address, name: told.append((address, name))
        strangers = [await asyncio.open_connection("127.0.0.1", it.listener.port) for _ in range(2)]
        await until(lambda: it.listener.handshakes_in_flight == 2)

        assert b"200 OK" in await it.say(GET)
        assert it.listener.handshakes["crowded-out"] == 1
        assert told == [("127.0.0.1", "crowded-out")]
        assert it.listener.handshakes_in_flight <= 1
        for _, writer in strangers:
            writer.close()


async def test_a_burst_of_clients_waits_for_its_handshakes_and_loses_none(tmp_path: Path) -> None:
    async with served(tmp_path, max_handshakes=2) as it:
        heard = await asyncio.gather(*(it.say(GET) for _ in range(12)))

    assert [one.count(b"200 OK") for one in heard] == [1] * 12
    assert it.listener.rejected["connections"] == 0


async def test_an_end_lets_in_nobody_new_and_drops_nobody_who_was_let_in(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        plain = socket.create_connection(("127.0.0.1", it.listener.port))
        plain.setblocking(False)
        await until(lambda: it.listener.handshakes_in_flight == 1)
        it.listener.end()
        await until(lambda: not it.listener.accepting)

        with pytest.raises(ConnectionRefusedError):
            await it.connect()
        reader, writer = await asyncio.open_connection(sock=plain, ssl=it.trusting, server_hostname="localhost")
        writer.write(GET)
        assert b"200 OK" in await hear(reader)
        writer.close()


async def test_who_waits_with_the_kernel_at_an_end_is_left_to_whoever_has_the_socket(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        other = it.listener._listening.dup()
        it.listener.end()
        plain = socket.create_connection(("127.0.0.1", it.listener.port))
        await until(lambda: not it.listener.accepting)
        taken, _ = other.accept()

        assert taken.getpeername() == plain.getsockname()
        for one in (taken, plain, other):
            one.close()


async def test_a_new_certificate_is_served_and_old_connections_go_on(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        reader, writer = await it.connect()
        authority = trustme.CA()
        write_pair(authority, tmp_path)
        await it.certificates.look()
        authority.configure_trust(it.trusting)
        _, other = await it.connect()
        served_now = other.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(GET)
        assert b"200 OK" in await hear(reader)
        writer.close()
        other.close()

    written = x509.load_pem_x509_certificate((tmp_path / "fullchain.pem").read_bytes())
    assert x509.load_der_x509_certificate(served_now).serial_number == written.serial_number


async def test_a_symlink_that_is_swapped_is_a_new_certificate(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        before = it.certificates.expires_at, it.certificates._present
        (tmp_path / "next").mkdir()
        write_pair(trustme.CA(), tmp_path / "next")
        for name in ("fullchain.pem", "key.pem"):
            (tmp_path / "link").symlink_to(tmp_path / "next" / name)
            (tmp_path / "link").replace(tmp_path / name)
        await it.certificates.look()

        assert it.certificates._present is not before[1]


@pytest.mark.parametrize("spoiled", ["key.pem", "fullchain.pem"])
@pytest.mark.parametrize("content", [b"", b"garbage", None])
async def test_a_bad_pair_keeps_the_old_one_loudly_and_a_good_one_heals_it(
    tmp_path: Path, spoiled: str, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as it:
        good = (tmp_path / spoiled).read_bytes()
        if content is None:
            (tmp_path / "other").mkdir()
            write_pair(trustme.CA(), tmp_path / "other")
            content = (tmp_path / "other" / spoiled).read_bytes()  # half of another pair
        (tmp_path / spoiled).write_bytes(content)
        await it.certificates.look()
        await it.certificates.look()
        assert b"200 OK" in await it.say(GET)
        assert it.certificates.refused
        assert caplog.text.count("the old one is kept") == 1
        (tmp_path / spoiled).write_bytes(good)
        await it.certificates.look()

        assert not it.certificates.refused


async def test_a_certificate_of_an_unknown_version_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        pem = (tmp_path / "fullchain.pem").read_bytes()
        der = x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)
        odd = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
        (tmp_path / "fullchain.pem").write_text(ssl.DER_cert_to_PEM_cert(odd))

        await it.certificates.look()

        assert it.certificates.reloads["refused"] == 1
        assert b"200 OK" in await it.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def test_an_expired_certificate_is_not_swapped_in(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        leaf = trustme.CA().issue_cert(
            "localhost", not_after=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        )
        (tmp_path / "fullchain.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
        (tmp_path / "key.pem").write_bytes(leaf.private_key_pem.bytes())
        await it.certificates.look()

        assert "expired" in it.certificates.refused


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (TimeoutError(), "timeout"),
        (
            ConnectionAbortedError("SSL handshake is taking longer than 60.0 seconds: aborting the connection"),
            "timeout",
        ),
        (ConnectionResetError(), "reset"),
        (OSError("something new"), "other"),
        (ssl.SSLError(1, "something new"), "other"),
    ],
)
def test_names_of_failures_are_a_closed_list(error: Exception, name: str) -> None:
    assert handshake_failure_name(error) == name


def test_the_pure_python_parser_is_refused() -> None:
    script = "from gateway.server.http import assert_c_parser; assert_c_parser()"
    ran = subprocess.run(
        [sys.executable, "-c", script], env={"AIOHTTP_NO_EXTENSIONS": "1"}, capture_output=True, text=True, check=False
    )

    assert_c_parser()
    assert ran.returncode != 0
    assert "pure-Python HTTP parser" in ran.stderr


def test_uvloop_serves_as_asyncio_does(tmp_path: Path) -> None:
    async def visit() -> bytes:
        async with served(tmp_path) as it:
            return await it.say(GET + GET) + await it.say(b"BAD\r\n\r\n")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        heard = runner.run(visit())

    assert heard.count(b"200 OK") == 2
    assert heard.count(b"400 Bad Request") == 1


def test_a_port_that_is_taken_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listening_socket(f"127.0.0.1:{taken.getsockname()[1]}")
