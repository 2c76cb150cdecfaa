"""Every attack of `cases`, on a real socket through TLS, judged by what the upstream saw: nothing, or exactly one
request, as inspected."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.attacks.cases import ALL, Case
from tests.houses import House, house_in_a_thread
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN

ANSWER = b'{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"id":"1"}'
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


@dataclass
class Recorder:
    """An upstream that keeps every byte it was sent and answers each request alike."""

    port: int
    heads: list[bytes] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)


def _record(listening: socket.socket, recorder: Recorder) -> None:
    while True:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_converse, args=(accepted, recorder), daemon=True).start()


def _converse(accepted: socket.socket, recorder: Recorder) -> None:
    data = b""
    with accepted, suppress(OSError):
        while piece := accepted.recv(65_536):
            recorder.raw += piece
            data += piece
            while b"\r\n\r\n" in data:
                head, _, rest = data.partition(b"\r\n\r\n")
                length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
                size = int(length[1]) if length else 0
                if len(rest) < size:
                    break
                data = rest[size:]
                if b"\r\nAuthorization: " in head:  # the probe has none
                    recorder.heads.append(head)
                accepted.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n"
                    % len(ANSWER)
                    + ANSWER
                )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        recorder = Recorder(listening.getsockname()[1])
        threading.Thread(target=_record, args=(listening, recorder), daemon=True).start()
        yield recorder
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def fortress(tmp_path_factory: pytest.TempPathFactory, upstream: Recorder) -> Iterator[House]:
    limits = {"requests_per_second": 100_000, "burst": 100_000}
    directory = tmp_path_factory.mktemp("fortress")
    with house_in_a_thread(
        directory, f"http://127.0.0.1:{upstream.port}", limits=limits, listen={"body_seconds": 0.4, "head_seconds": 0.4}
    ) as built:
        yield built


def filled(data: bytes, port: int) -> bytes:
    parts = {b"AUTH": b"Authorization: Bearer " + TOKEN.encode(), b"HOST": b"Host: localhost:%d" % port}
    parts |= {b"BASE": PATH.encode(), b"PORT": b"%d" % port}
    for name, value in parts.items():
        data = data.replace(name, value)
    return data


def attack(house: House, data: bytes, *, closes: bool = False) -> tuple[bytes, bool]:
    """What the gateway answers, and whether it ended the connection; where it `closes` one, that is waited for."""
    heard = b""
    with (
        socket.create_connection(("127.0.0.1", house.port), timeout=10) as plain,
        house.trusting().wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        with suppress(OSError):
            tls.sendall(data)
        try:
            while piece := tls.recv(65_536):
                heard += piece
                tls.settimeout(10 if closes else 0.2)
        except TimeoutError:
            return heard, False
        except (ssl.SSLError, OSError):
            pass
    return heard, True


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_the_upstream_sees_nothing_or_exactly_what_was_inspected(
    case: Case, fortress: House, upstream: Recorder
) -> None:
    before, seen_bytes = len(upstream.heads), len(upstream.raw)
    heard, ended = attack(fortress, filled(case.data, fortress.port), closes=case.closes)
    seen = upstream.heads[before:]
    raw = bytes(upstream.raw[seen_bytes:])

    statuses = [int(status) for status in _STATUS.findall(heard)]
    assert statuses, "even an attacker gets an answer"
    assert statuses[0] in case.statuses
    assert len(statuses) == 1, "what stands behind is no second request"
    assert ended or not case.closes
    assert len(seen) == (case.target is not None)
    assert b"victim" not in raw
    assert b"evil" not in raw
    assert b"X-Injected" not in raw
    assert TOKEN.encode() not in raw
    if case.target is None:
        refusal_is_scim_and_reflects_nothing(heard)
    for head in seen:
        assert case.target is not None
        assert head.split(b" ")[1] == filled(case.target, fortress.port)
        assert b"\r\nAuthorization: Bearer " + UPSTREAM_TOKEN.encode() in head
        assert head.lower().count(b"content-length") <= 1
        assert b"transfer-encoding" not in head.lower()


def refusal_is_scim_and_reflects_nothing(heard: bytes) -> None:
    head, _, body = heard.partition(b"\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 ")
    assert b"server:" not in head.lower()
    assert b"urn:ietf:params:scim:api:messages:2.0:Error" in body
    for word in (b"victim", b"evil", b"Traceback", b"aiohttp", b"mallory", b"127.0.0.1"):
        assert word not in heard


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(ALL) >= 150
    assert len({case.name for case in ALL}) == len(ALL)


def test_every_attack_is_on_record(fortress: House) -> None:
    def told() -> int:
        """Lines about requests; those that count what had none come when their minute is over."""
        return sum(line["event"] not in ("suppressed", "notice") for line in fortress.audit_lines())

    before = told()
    attack(fortress, filled(b"GET BASE/Users/%2e%2e HTTP/1.1\r\nHOST\r\nAUTH\r\n\r\n", fortress.port))

    # Strangers have a quota of lines a minute, so that they cannot fill the disk; the count goes on in the metrics.
    assert told() - before in (0, 1)
    assert any(line.get("reason") == "framing-ambiguous" for line in fortress.audit_lines())


def test_the_directory_is_not_touched_by_the_suite(fortress: House) -> None:
    assert sorted(path.name for path in Path(fortress.directory).iterdir()) == ["audit", "state", "tls"]
