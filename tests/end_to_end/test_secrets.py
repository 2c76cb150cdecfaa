"""No secret gets out: everything that a whole gateway emits in a run full of them is searched, in every spelling."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from gateway.cli.logs import JsonFormatter
from tests.end_to_end.secrets_cases import (
    BAD,
    BASIC_PASSWORD,
    BOB,
    BROKEN_SETTINGS,
    ECHOES,
    GOOD,
    INSIDE,
    PASSWORD,
    SECRETS,
    STRANGER,
    UPSTREAM_PASSWORD,
    USERS,
    echoes,
    patch,
    to_the_gateway,
)
from tests.end_to_end.spellings import SPELLINGS, in_base64, json_escaped, leaks
from tests.houses import House, house
from tests.upstreams import Conversation, Script, json_answer, scripted_upstream
from tests.worlds import TOKEN, UPSTREAM_TOKEN, sha256

LIMITS = {"requests_per_second": 100_000, "burst": 100_000}
SECONDS = 10.0


# --- the search itself


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.__name__)
def test_a_secret_is_found_in_every_spelling(spelling: Callable[[str], str], secret: str) -> None:
    assert leaks(f'{{"detail":"it was {spelling(secret)}."}}', secret)
    assert leaks(f"it was {spelling(secret)}.".encode(), secret)


@pytest.mark.parametrize(
    ("text", "secret", "found"),
    [
        ("nothing at all", PASSWORD, False),
        (PASSWORD[:-1], PASSWORD, False),
        (PASSWORD.swapcase(), PASSWORD, False),
        ("", PASSWORD, False),
        (sha256(TOKEN), TOKEN, False),
        (in_base64(TOKEN[:-3]), TOKEN, False),
        (json.dumps({"a": json.dumps({"b": PASSWORD})}), PASSWORD, True),
        (html.escape(PASSWORD), PASSWORD, True),
        (quote(json_escaped(TOKEN)), TOKEN, True),
        (base64.urlsafe_b64encode(b"??>" + PASSWORD.encode()), PASSWORD, True),
        (TOKEN.encode().hex().upper(), TOKEN, True),
        (json.dumps(quote(PASSWORD, safe="")), PASSWORD, True),
    ],
)
def test_a_search_finds_neither_too_much_nor_too_little(text: str | bytes, secret: str, *, found: bool) -> None:
    assert leaks(text, secret) is found


# --- the run


def echoing(replies: dict[str, bytes]) -> Script:
    """Answers a target that ends in a reply's name with it, any other with Bob; closes after what may be no HTTP."""

    async def play(conversation: Conversation) -> None:
        while True:
            asked = await conversation.request()
            name = asked.target.partition("?")[0].rpartition("/")[2]
            reply = replies.get(name)
            if reply is None:
                await conversation.send(json_answer({**BOB, "totalResults": 0}, 201 if asked.method == "POST" else 200))
                continue
            authority = f"127.0.0.1:{conversation.upstream.port:05}"
            await conversation.send(reply.replace(INSIDE.encode(), authority.encode()))
            if not name.startswith(tuple("12345")):
                return

    return play


@dataclass
class Emitted:
    """Everything that came out of a run."""

    answers: dict[str, bytes] = field(default_factory=dict)
    streams: dict[str, bytes] = field(default_factory=dict)  # files by their names, the log, pages of the admin
    events: set[str] = field(default_factory=set)
    reached: bytes = b""  # what the upstream got
    written: bytes = b""  # the bodies in it
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the gateway and its upstream know each other."""

    name: str
    credential: str  # of the upstream
    sent: str  # as it is in the upstream's request
    changes: dict[str, Any]
    password: str = "dropped"  # a user's, as it arrives there


MANNERS = (
    Manner("bearer", UPSTREAM_TOKEN, UPSTREAM_TOKEN, {}),
    Manner(
        "basic",
        UPSTREAM_PASSWORD,
        in_base64(f"gateway:{UPSTREAM_PASSWORD}"),
        {"upstream_token": None, "upstream_username": "gateway", "upstream_password": UPSTREAM_PASSWORD},
    ),
    Manner("passwords-pass", UPSTREAM_TOKEN, UPSTREAM_TOKEN, {"sync_passwords": True}, PASSWORD),
)
CREDENTIALS = [
    {"name": "okta-2027", "token_sha256": sha256(TOKEN)},
    {"name": "basic-2027", "username": "okta", "password_sha256": sha256(BASIC_PASSWORD)},
]


class _Keeper(logging.Handler):
    """Every record of the process, as it would stand in the log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def everything_logged() -> Iterator[_Keeper]:
    root, keeper = logging.getLogger(), _Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        yield keeper
    finally:
        root.setLevel(level)
        root.removeHandler(keeper)


async def say(it: House, data: bytes, *, address: str = "127.0.0.1", tls: bool = True) -> bytes:
    """Sends bytes on a connection of their own, from an address of this host; what comes back."""
    filled = data.replace(b"HOST", f"localhost:{it.port}".encode())
    secured: dict[str, Any] = {"ssl": it.trusting(), "server_hostname": "localhost"} if tls else {}
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port, local_addr=(address, 0), **secured)
        heard = b""
        with suppress(ConnectionError, ssl.SSLError):
            writer.write(filled)
            while piece := await reader.read(65_536):
                heard += piece
        writer.transport.abort()
    return heard


async def ask_for_echoes(it: House, emitted: Emitted) -> None:
    fields = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
    document = patch({"op": "replace", "value": {"password": PASSWORD, "active": True}})
    async with aiohttp.ClientSession(headers=fields, auto_decompress=False) as session:
        for name in ECHOES:
            method, body = ("PATCH", json.dumps(document)) if name.endswith("user-password") else ("GET", None)
            url = URL(f"{it.base_url}/Users/{name}", encoded=True)
            async with session.request(method, url, data=body, ssl=it.trusting(), allow_redirects=False) as response:
                head = [f"{response.status} {response.reason}".encode(), *map(b": ".join, response.raw_headers)]
                emitted.answers[name] = b"\r\n".join([*head, b"", await response.read()])


async def look_at_the_admin(it: House, emitted: Emitted) -> None:
    async with aiohttp.ClientSession() as session:
        for page in ("/metrics", "/readyz?verbose", "/", f"/{TOKEN}"):
            async with session.get(it.admin_url + page) as response:
                emitted.streams[f"admin {page[:9]}"] = str(response.raw_headers).encode() + await response.read()
        async with session.get(it.admin_url + "/readyz", headers={"Accept": "application/json"}) as response:
            emitted.streams["admin readyz as json"] = await response.read()


async def live(directory: Path, manner: Manner) -> Emitted:
    emitted = Emitted()
    changes = {"limits": LIMITS, "credentials": CREDENTIALS, "listen": {"body_seconds": 0.5, "head_seconds": 0.5}}
    with everything_logged() as log:
        async with scripted_upstream(echoing(echoes(manner.credential, manner.password))) as upstream:
            emitted.authority = f"127.0.0.1:{upstream.port}"
            async with house(directory, upstream.url, **changes, **manner.changes) as it:
                await ask_for_echoes(it, emitted)
                for name, data in GOOD.items():
                    emitted.answers[f"good {name}"] = await say(it, data)
                for number, (name, data) in enumerate(BAD.items()):
                    # Each is a stranger of his own: one alone has a few lines on record, and is locked out.
                    emitted.answers[f"bad {name}"] = await say(it, data, address=f"127.0.1.{number + 1}")
                data = to_the_gateway(f"GET {USERS}/{PASSWORD}")
                emitted.answers["bad without-tls"] = await say(it, data, tls=False)
                await look_at_the_admin(it, emitted)
            emitted.events = {line["event"] for line in it.audit_lines()}
            emitted.reached = b"".join(upstream.received)
            emitted.written = b"\n".join(seen.body for seen in upstream.requests if seen.method != "GET")
    emitted.streams["log"] = "\n".join(log.lines).encode()
    return emitted


@pytest.fixture(scope="module", params=MANNERS, ids=lambda manner: manner.name)
def manner(request: pytest.FixtureRequest) -> Manner:
    assert isinstance(request.param, Manner)
    return request.param


@pytest.fixture(scope="module")
def emitted(manner: Manner, tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    directory = tmp_path_factory.mktemp("secrets")
    emitted = asyncio.run(live(directory, manner))
    for file in sorted(directory.rglob("*")):
        if file.is_file() and file.parent.name != "tls":
            emitted.streams[f"file {file.relative_to(directory)}"] = file.read_bytes()
    return emitted


# --- what must hold


def found_in(text: bytes, authority: str = "") -> list[str]:
    found = [name for name, secret in SECRETS.items() if leaks(text, secret)]
    return [*found, INSIDE] if authority and leaks(text, authority) else found


def test_the_run_is_full_of_secrets(emitted: Emitted, manner: Manner) -> None:
    assert manner.sent.encode() in emitted.reached
    assert emitted.events >= {"intent", "outcome", "refusal", "unparsed", "notice"}
    assert b'"logger":"gateway.access"' in emitted.streams["log"]
    assert b"scim_gateway" in emitted.streams["admin /metrics"]
    assert b"[+]" in emitted.streams["admin /readyz?v"]
    statuses = {int(answer.removeprefix(b"HTTP/1.1 ")[:3]) for answer in emitted.answers.values() if answer}
    assert statuses >= {200, 201, 400, 401, 404, 409, 421, 429, 431, 500}
    silent = {name for name, answer in emitted.answers.items() if not answer}
    assert silent <= {"bad without-tls"}


def test_only_a_password_that_may_pass_reaches_the_upstream(emitted: Emitted, manner: Manner) -> None:
    assert leaks(emitted.written, PASSWORD) is (manner.password == PASSWORD)
    assert not leaks(emitted.reached, STRANGER)
    assert not leaks(emitted.reached, BASIC_PASSWORD)


@pytest.mark.parametrize("name", ECHOES)
def test_an_echo_of_the_upstream_stays_inside(name: str, emitted: Emitted) -> None:
    assert found_in(emitted.answers[name], emitted.authority) == []


@pytest.mark.parametrize("name", [*(f"good {name}" for name in GOOD), *(f"bad {name}" for name in BAD)])
def test_an_answer_reflects_no_secret_of_its_request(name: str, emitted: Emitted) -> None:
    assert found_in(emitted.answers[name], emitted.authority) == []


def test_no_file_log_or_page_of_the_gateway_holds_a_secret(emitted: Emitted) -> None:
    assert betrayed(line for line in lines_of(emitted) if not _ESCAPED_TOKEN.search(line)) == []
    assert len(emitted.streams) >= 7


def test_a_token_with_an_escape_in_a_path_is_hidden_on_record(emitted: Emitted) -> None:
    assert betrayed(line for line in lines_of(emitted) if _ESCAPED_TOKEN.search(line)) == []


_ESCAPED_TOKEN = re.compile(rb'"path":"[^"]*%5F')


def lines_of(emitted: Emitted) -> list[bytes]:
    return [name.encode() + b": " + line for name, text in emitted.streams.items() for line in text.split(b"\n")]


def betrayed(lines: Iterable[bytes]) -> list[tuple[list[str], bytes]]:
    """What was found in which line; line by line, so that a failure shows where."""
    return [(found, line[:400]) for line in lines if (found := found_in(line))]


@pytest.mark.parametrize("name", BROKEN_SETTINGS)
def test_what_check_says_of_broken_settings_holds_no_secret(name: str, tmp_path: Path) -> None:
    assert found_in(said_of(BROKEN_SETTINGS[name], tmp_path, "check")) == []


@pytest.mark.parametrize("name", ["token-as-digest", "credential-in-an-url", "credential-with-a-line-end", "no-toml"])
@pytest.mark.parametrize("command", [("check", "--json"), ("serve",)], ids=" ".join)
def test_no_command_says_a_secret_of_broken_settings(command: tuple[str, ...], name: str, tmp_path: Path) -> None:
    assert found_in(said_of(BROKEN_SETTINGS[name], tmp_path, *command)) == []


def said_of(settings: str, directory: Path, *command: str) -> bytes:
    """What the real program says of a settings file, and of a password in the environment where none belongs."""
    file, program = directory / "gateway.toml", Path(sys.executable).with_name("scim-gateway")
    file.write_text(settings, encoding="utf-8")
    environment = os.environ | {"SCIM_GATEWAY__TENANTS__JIRA__LIMITS__CONCURRENT": PASSWORD}
    done = subprocess.run(
        [program, *command, "--config", file], env=environment, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 78, done.stderr
    assert done.stdout + done.stderr != b""
    return done.stdout + done.stderr
