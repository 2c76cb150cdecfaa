"""`scim-gateway health` against listeners that are well, unwell, silent, or something else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner, Result

from gateway.cli.health import command
from tests.ports import unused_port


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Gives one caller these bytes, whatever it asks for, and hangs up; nothing: says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)
                if not answer:
                    ended.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/livez"
        ended.set()
        thread.join(10)


def answer(status: str, body: str, *fields: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *fields, "", body)
    return "\r\n".join(lines).encode()


def health(url: str, *words: str, **environment: str) -> Result:
    return CliRunner().invoke(command, ["--url", url, *words], env=environment)


def test_a_gateway_that_is_well_is_told_by_exit_code_0() -> None:
    with answering(answer("200 OK", "[+]audit ok\nready\n")) as url:
        result = health(url)

    assert (result.exit_code, result.stdout, result.stderr) == (0, "[+]audit ok\nready\n", "")


def test_a_gateway_that_is_not_ready_says_why_and_exits_with_1() -> None:
    with answering(answer("503 Service Unavailable", "[-]audit failed: disk full\nnot ready\n")) as url:
        result = health(url)

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "[-]audit failed: disk full\nnot ready\n")


def test_a_machine_gets_one_object() -> None:
    with answering(answer("503 Service Unavailable", "not ready\n")) as url:
        result = health(url, "--json")

    assert json.loads(result.stdout) == {"ok": False, "status": 503, "text": "not ready"}
    assert result.exit_code == 1


def test_nobody_there_is_told_with_what_to_look_at() -> None:
    result = health(f"http://127.0.0.1:{unused_port()}/livez")

    assert result.exit_code == 1
    assert "nobody listens there; does admin.address of the settings say so?" in result.stderr


def test_a_silent_listener_is_unwell_in_time() -> None:
    with answering(b"") as url:
        result = health(url, "--timeout", "0.1")

    assert (result.exit_code, result.stderr) == (1, f"{url}: no answer in time\n")


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x00\x05hello", b"HTTP/1.1 ok\r\n\r\n"])
def test_what_is_no_answer_of_http_is_unwell(said: bytes) -> None:
    with answering(said) as url:
        result = health(url)

    assert result.exit_code == 1
    assert url in result.stderr


def test_another_address_is_never_asked_instead() -> None:
    with answering(answer("200 OK", "ok")) as elsewhere:
        with answering(answer("302 Found", "", f"Location: {elsewhere}")) as url:
            assert health(url).exit_code == 1

        assert health(elsewhere).exit_code == 0  # nobody had come


def test_a_proxy_of_the_environment_is_not_taken() -> None:
    with answering(answer("200 OK", "ok")) as url:
        result = health(url, http_proxy=f"http://127.0.0.1:{unused_port()}")

    assert result.exit_code == 0


def test_a_terminal_gets_no_escape_sequences() -> None:
    with answering(answer("503 Service Unavailable", "\x1b[2Jready")) as url:
        result = health(url)

    assert result.stderr == "\N{REPLACEMENT CHARACTER}[2Jready\n"


@pytest.mark.parametrize("url", ["https://127.0.0.1:9443/livez", "127.0.0.1:9443", "file:///etc/passwd", ""])
def test_an_address_that_cannot_be_the_admin_listeners_is_refused(url: str) -> None:
    result = health(url)

    assert result.exit_code == 2
    assert "http://HOST:PORT/livez" in result.stderr


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:x/livez", "http://127.0.0.1:9443/a b"])
def test_an_address_that_is_none_is_unwell_and_no_traceback(url: str) -> None:
    result = health(url)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"{url}: ")
