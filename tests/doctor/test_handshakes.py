"""TLS as a stranger meets it, against real servers: each way of being wrong is named, and the token stays with us."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.doctor.findings import Finding, Grade
from gateway.doctor.visit import Limits, Visit
from gateway.server.tls import server_context
from tests.doctor.authorities import Issued, intermediate, issue, root, write, write_good
from tests.doctor.scenes import findings, tls_server
from tests.ports import unused_port
from tests.upstreams import (
    Conversation,
    answers,
    answers_then_keeps_silent,
    http_answer,
    scripted_upstream,
)
from tests.worlds import PATH, TOKEN

PAGE = http_answer(404, {"Content-Type": "text/html", "Server": "nginx"}, b"<html>404</html>")


def visit(port: int, *, host: str = "localhost", ca_file: Path | None = None, connect_seconds: float = 20) -> Visit:
    limits = Limits(patience_seconds=20, connect_seconds=connect_seconds)
    return Visit(f"https://{host}:{port}{PATH}", TOKEN, ca_file=ca_file, limits=limits)


def good(name: str = "localhost", *, begins_days: float = -10, ends_days: float = 90) -> Issued:
    return issue(name, intermediate(), hosts=(name,), begins_days=begins_days, ends_days=ends_days)


def _of_strangers() -> tuple[Issued, ...]:
    stranger = issue("Strangers", None, is_authority=True)
    return issue("localhost", stranger, hosts=("localhost",)), stranger


def _of_an_old_intermediate() -> tuple[Issued, ...]:
    old = issue("Old", root(), is_authority=True, ends_days=-1)
    return issue("localhost", old, hosts=("localhost",)), old


Chain = Callable[[], tuple[Issued, ...]]


@pytest.mark.parametrize(
    ("chain", "grade", "seen", "mend"),
    [
        (lambda: (good(ends_days=-1), intermediate()), Grade.FAULT, "the certificate has expired on", "renew it"),
        (lambda: (good(begins_days=1), intermediate()), Grade.FAULT, "is not valid before", "are the clocks right"),
        (lambda: (good("other.test"), intermediate()), Grade.FAULT, "is for other.test, not for localhost", "names"),
        (lambda: (issue("localhost", None, hosts=("localhost",)),), Grade.FAULT, "signed by itself", "Okta and Entra"),
        (lambda: (good(),), Grade.FAULT, "the intermediate certificate is missing", "fullchain.pem"),
        (_of_strangers, Grade.FAULT, "not trusted here: CN=Strangers", "--ca-file"),
        (_of_an_old_intermediate, Grade.FAULT, "the intermediate certificate CN=Old has expired", "renew"),
        (lambda: (good(ends_days=20), intermediate()), Grade.WARNING, "in 19 days", "renew"),
        (lambda: (good(), intermediate()), Grade.OK, "2 certificates sent", ""),
    ],
    ids=["expired", "not yet", "name", "self-signed", "alone", "strangers", "old intermediate", "soon", "good"],
)
async def test_each_way_of_a_certificate_to_be_wrong_is_named(
    tmp_path: Path, chain: Chain, grade: Grade, seen: str, mend: str
) -> None:
    leaf, *others = chain()
    (tmp_path / "root.pem").write_bytes(root().pem)
    async with tls_server(server_context(*write(tmp_path, leaf, *others)), PAGE) as port:
        found = await findings(visit(port, ca_file=tmp_path / "root.pem"))

    assert_is(found["certificate"], grade, seen, mend)
    assert "a web page answered, not the gateway: status 404 of nginx" in found["wrong-token"].seen


async def test_the_token_is_not_shown_to_whom_the_certificate_does_not_prove(tmp_path: Path) -> None:
    """Not even where the stranger answers a wrong token as a gateway would."""
    refusal = http_answer(
        401,
        {"Content-Type": "application/scim+json"},
        b'{"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "401", "detail": "No"}',
    )
    pair = write(tmp_path, issue("localhost", None, hosts=("localhost",)))
    async with scripted_upstream(answers(refusal), server_context(*pair)) as server:
        found = await findings(visit(server.port))

    assert found["wrong-token"].grade is Grade.OK
    assert found["token"].grade is Grade.SKIPPED
    assert "the certificate is not trusted" in found["token"].seen
    assert TOKEN not in str(server.received)


@pytest.mark.parametrize(
    ("lowest", "highest", "grade", "seen", "mend"),
    [
        ("TLSv1", "TLSv1_1", Grade.FAULT, "only TLS 1.1 or older is spoken", "switch on TLS 1.2"),
        ("TLSv1", "TLSv1_3", Grade.WARNING, "TLS 1.1 or older is accepted too", "switch off"),
        ("TLSv1_3", "TLSv1_3", Grade.WARNING, "only TLS 1.3", "accept TLS 1.2 as well"),
        ("TLSv1_2", "TLSv1_2", Grade.OK, "TLS 1.2, and nothing older", ""),
    ],
)
async def test_versions_of_tls_are_told_apart(
    tmp_path: Path, lowest: str, highest: str, grade: Grade, seen: str, mend: str
) -> None:
    async with tls_server(context_of(write_good(tmp_path, "localhost"), lowest, highest), PAGE) as port:
        found = await findings(visit(port, ca_file=tmp_path / "root.pem"))

    assert_is(found["tls"], grade, seen, mend)


def context_of(pair: tuple[Path, Path], lowest: str, highest: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion[lowest]
        context.maximum_version = ssl.TLSVersion[highest]
    context.load_cert_chain(*pair)
    return context


async def test_a_port_that_speaks_plain_http_is_named() -> None:
    async def web_server(conversation: Conversation) -> None:
        await conversation.anything()  # a handshake is no request to it
        await conversation.send(http_answer(400, {"Content-Type": "text/html"}, b"<html>400</html>"))

    async with scripted_upstream(web_server) as server:
        found = await findings(visit(server.port))

    assert_is(found["tls"], Grade.FAULT, "does not speak TLS", "is it the port of http")
    assert found["certificate"].seen == '"tls" has a fault'


async def test_a_port_that_says_nothing_is_named() -> None:
    async with scripted_upstream(answers_then_keeps_silent(b"")) as server:
        found = await findings(visit(server.port, connect_seconds=0.5))

    assert_is(found["tls"], Grade.FAULT, "no TLS handshake within 0.5 s", "accepts connections and does not speak")


async def test_a_port_that_hangs_up_is_named() -> None:
    async def hang_up(conversation: object) -> None:
        return

    async with scripted_upstream(hang_up) as server:
        found = await findings(visit(server.port))

    assert_is(found["tls"], Grade.FAULT, "the TLS handshake failed", "cuts it short")


async def test_a_dead_port_is_named() -> None:
    found = await findings(visit(unused_port()))

    assert_is(found["port"], Grade.FAULT, "refused the connection (nobody listens)", "start the gateway")
    assert {found[name].seen for name in ("tls", "token", "links")} == {'"port" has a fault'}
    assert found["times"].grade is Grade.SKIPPED


async def test_a_port_that_a_firewall_drops_is_named() -> None:
    """A listener whose queue is full answers no SYN, as behind a firewall that drops."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        found = await findings(visit(full.getsockname()[1], host="127.0.0.1", connect_seconds=0.5))

    assert_is(found["port"], Grade.FAULT, "does not answer within 0.5 s", "let firewalls and routes pass")


async def test_a_name_that_nobody_knows_is_named() -> None:
    found = await findings(visit(443, host="scim-gateway.invalid"))

    assert_is(found["dns"], Grade.FAULT, "scim-gateway.invalid cannot be resolved", "make a DNS record")


async def test_a_name_that_cannot_even_be_asked_for_is_named() -> None:
    found = await findings(visit(443, host="a" * 70))

    assert_is(found["dns"], Grade.FAULT, "cannot be resolved", "make a DNS record")


async def test_a_name_with_an_underscore_is_named() -> None:
    found = await findings(visit(443, host="scim_gateway.invalid"))

    assert_is(found["name"], Grade.FAULT, "holds a '_'", "Okta refuses")


def assert_is(found: Finding, grade: Grade, seen: str, mend: str) -> None:
    assert found.grade is grade, found
    assert seen in found.seen
    assert mend in found.mend
