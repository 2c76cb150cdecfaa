"""No secret gets out: everything that a whole gateway emits in a run full of them is searched, in every spelling."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
import pytest
from yarl import URL

from gateway.cli.logs import JsonFormatter
from tests.houses import House, house
from tests.upstreams import Conversation, Script, http_answer, json_answer, scripted_upstream
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256

PASSWORD = "Tr0ub4dor&3/of+the=user"  # what a client writes for a user; its odd characters are escaped everywhere
BASIC_PASSWORD = "a-basic-password-of-the-client-9f2c71aa"
UPSTREAM_PASSWORD = "the-application's-own+password/4d1e"
STRANGER = "scimgw_ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlk_999999"  # a token of ours, but of nobody here
SECRETS = {
    "client-token": TOKEN,
    "upstream-token": UPSTREAM_TOKEN,
    "upstream-password": UPSTREAM_PASSWORD,
    "user-password": PASSWORD,
    "basic-password": BASIC_PASSWORD,
    "unknown-token": STRANGER,
}
OF_THE_INSIDE = ("upstream-token", "upstream-password")
INSIDE = "127.0.0.1:00000"  # the upstream in a reply; its port, once known, has five digits too
ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"
USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BOB = {"schemas": [USER_SCHEMA], "id": "1", "userName": "bob"}
LIMITS = {"requests_per_second": 100_000, "burst": 100_000}
SECONDS = 10.0


# --- looking for a secret


def leaks(text: str | bytes, secret: str) -> bool:
    """Whether a text holds the secret: plain, in hexadecimal, in base64 wherever it starts there; and all of that
    escaped for URLs, JSON or HTML, twice at most."""
    views = _views(text if isinstance(text, str) else text.decode("latin-1"))
    if any(secret in view for view in views):
        return True
    if any(secret.encode().hex() in view.lower() for view in views):
        return True
    return any(part in view.replace("-", "+").replace("_", "/") for view in views for part in _base64_parts(secret))


def _views(text: str) -> set[str]:
    views = {text}
    for _ in range(2):
        views |= {unescape(view) for view in views for unescape in (unquote, html.unescape, _unescape_json)}
    return views


def _unescape_json(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r'\\(["\\/])', r"\1", text)


def _base64_parts(secret: str) -> tuple[str, ...]:
    """The characters that stand for the secret alone when 0, 1 or 2 bytes of a group of three come before it."""
    return tuple(
        base64.b64encode(b"\0" * before + secret.encode()).decode()[skipped : (before + len(secret)) * 8 // 6]
        for before, skipped in ((0, 0), (1, 2), (2, 3))
    )


def hexadecimal(text: str) -> str:
    return text.encode().hex()


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def behind_one_byte_in_base64(text: str) -> str:
    return in_base64(f":{text}")


def behind_a_scheme_in_base64(text: str) -> str:
    return in_base64(f"Bearer: {text}")  # 8 = 2 modulo 3


def percent_escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def json_escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def plain(text: str) -> str:
    return text


SPELLINGS: tuple[Callable[[str], str], ...] = (
    plain,
    in_base64,
    behind_one_byte_in_base64,
    behind_a_scheme_in_base64,
    percent_escaped,
    quote,
    json_escaped,
    hexadecimal,
)


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


# --- what the upstream says


def error_answer(status: int, detail: str, *, escaped: bool = False, **more: object) -> bytes:
    """A SCIM error; `escaped`: the detail stands in it as it is given, so that its escapes are JSON's."""
    document = json.dumps({"schemas": [ERROR_SCHEMA], "status": str(status), "detail": "@", **more})
    body = document.replace('"@"', f'"{detail}"' if escaped else json.dumps(detail))
    return http_answer(status, {"Content-Type": "application/scim+json"}, body.encode())


def in_details() -> dict[str, bytes]:
    told = SECRETS | {"inside": INSIDE}
    return {
        f"{status}-{spelling.__name__}-{name}": error_answer(
            status, f"your {spelling(secret)} is wrong", escaped=spelling is json_escaped
        )
        for status in (400, 401, 409, 500)
        for spelling in SPELLINGS
        for name, secret in told.items()
        if name != "inside" or spelling is plain
    }


def elsewhere() -> dict[str, bytes]:
    replies: dict[str, bytes] = {}
    for name in OF_THE_INSIDE:
        secret = SECRETS[name]
        echo = f"<html><title>{html.escape(secret)}</title>http://{INSIDE}/ {secret}</html>".encode()
        page = {"Content-Type": "text/html"}
        noisy = {
            "Set-Cookie": f"session={secret}",
            "X-Debug": f"Authorization: Bearer {secret}",
            "Server": f"{INSIDE} {secret}",
            "WWW-Authenticate": f'Bearer realm="{secret}"',
            "Via": f"1.1 {INSIDE}",
            "Retry-After": secret,
            "Content-Type": f"application/scim+json; token={secret}",
        }
        replies |= {f"html-{status}-{name}": http_answer(status, page, echo) for status in (200, 400, 404, 500, 503)}
        replies |= {f"fields-{status}-{name}": json_answer(BOB, status, noisy) for status in (200, 400, 429, 503)}
        replies |= {
            f"foreign-location-{name}": json_answer(BOB, 201, {"Location": f"https://other.internal/?token={secret}"}),
            f"relative-foreign-location-{name}": json_answer(BOB, 201, {"Location": f"//{INSIDE}/{secret}"}),
            f"redirect-{name}": http_answer(307, {"Location": f"https://other.internal/{secret}"}),
            f"etag-{name}": json_answer(BOB, 200, {"ETag": f'W/"{secret}"'}),
            f"own-location-{name}": json_answer(
                BOB, 201, {"Location": f"http://{INSIDE}{PATH}/Users/1?token={secret}"}
            ),
            f"scim-type-{name}": error_answer(400, "wrong", scimType=secret),
            f"other-members-{name}": error_answer(400, "wrong", trace=f"at {INSIDE}: {secret}"),
            f"reason-phrase-{name}": json_answer(BOB, 400).replace(b"Whatever", secret.encode()),
            f"no-http-{name}": f"HTTP/1.1 what {secret}\r\n\r\n".encode(),
            f"field-without-colon-{name}": f"HTTP/1.1 200 OK\r\nBearer {secret}\r\n\r\n".encode(),
            f"two-lengths-{name}": json_answer(BOB, 200, {"Content-Length": f"1{secret}"}),
            f"no-gzip-{name}": json_answer({"a": secret}, 200, {"Content-Encoding": "gzip"}),
            f"foreign-coding-{name}": json_answer(BOB, 200, {"Content-Encoding": secret}),
            f"no-chunk-{name}": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{secret}\r\n".encode(),
            f"no-json-{name}": http_answer(200, {"Content-Type": "application/json"}, f'{{"{secret}'.encode()),
        }
    return replies


ECHOES: dict[str, bytes] = in_details() | elsewhere()


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


# --- what clients say


def to_the_gateway(line: str, *fields: str, body: bytes = b"", token: str | None = TOKEN) -> bytes:
    """A request's bytes; HOST is filled in later."""
    lines = [f"{line} HTTP/1.1", "Host: HOST", "Connection: close", *fields]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def writing(line: str, document: object, *fields: str) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return to_the_gateway(line, "Content-Type: application/scim+json", *fields, body=body)


def patch(*operations: dict[str, object]) -> dict[str, object]:
    return {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}


def basic(user: str, password: str) -> str:
    return f"Authorization: Basic {in_base64(f'{user}:{password}')}"


USERS = f"{PATH}/Users"
WITH_PASSWORD = {**BOB, "password": PASSWORD}

GOOD: dict[str, bytes] = {
    "list": to_the_gateway(f"GET {USERS}?startIndex=1&count=1"),
    "get": to_the_gateway(f"GET {USERS}/1"),
    "basic": to_the_gateway(f"GET {USERS}/1", basic("okta", BASIC_PASSWORD), token=None),
    "create-with-password": writing(f"POST {USERS}", WITH_PASSWORD),
    "replace-with-password": writing(f"PUT {USERS}/1", WITH_PASSWORD),
    "patch-password": writing(
        f"PATCH {USERS}/1",
        patch(
            {"op": "replace", "path": "active", "value": True}, {"op": "replace", "path": "password", "value": PASSWORD}
        ),
    ),
    "patch-password-alone": writing(
        f"PATCH {USERS}/1", patch({"op": "replace", "path": f"{USER_SCHEMA}:password", "value": PASSWORD})
    ),
    "patch-password-without-path": writing(
        f"PATCH {USERS}/1", patch({"op": "replace", "value": {"password": PASSWORD, "active": True}})
    ),
    "token-as-a-name": writing(f"POST {USERS}", {**BOB, "userName": TOKEN, "externalId": TOKEN, "displayName": TOKEN}),
    "token-as-an-attribute": writing(f"POST {USERS}", {**BOB, TOKEN: 1}),
    "token-in-a-filter": to_the_gateway(f"GET {USERS}?filter=userName%20eq%20%22{TOKEN}%22"),
    "password-in-a-filter": to_the_gateway(f"GET {USERS}?filter=title%20eq%20%22{quote(PASSWORD, safe='')}%22"),
    "token-in-the-query": to_the_gateway(f"GET {USERS}?access_token={TOKEN}"),
    "token-as-a-parameter": to_the_gateway(f"GET {USERS}?{TOKEN}=1&{TOKEN}"),
    "token-in-the-path": to_the_gateway(f"GET {USERS}/{TOKEN}"),
    "token-in-the-path-of-a-write": to_the_gateway(f"DELETE {USERS}/{TOKEN}"),
    "token-as-a-resource-type": to_the_gateway(f"GET {PATH}/{TOKEN}"),
    "percent-escaped-token-in-the-path": to_the_gateway(f"GET {USERS}/{percent_escaped(TOKEN)}"),
    "token-with-an-escaped-character-in-the-path": to_the_gateway(f"GET {USERS}/{TOKEN.replace('_', '%5F')}"),
    "token-in-passed-fields": to_the_gateway(f"GET {USERS}/1", f'If-None-Match: W/"{TOKEN}"'),
    "token-in-other-fields": to_the_gateway(
        f"GET {USERS}/1",
        *(f"{name}: {TOKEN}" for name in ("Cookie", "X-Api-Key", "Proxy-Authorization", "User-Agent", "Referer")),
        *(f"{name}: {TOKEN}" for name in ("X-Request-Id", "X-Forwarded-For", "Forwarded", "traceparent", "Accept")),
        f"{TOKEN.replace('_', '-')}: 1",
    ),
    "token-as-content-type": to_the_gateway(f"POST {USERS}", f"Content-Type: {TOKEN}", body=b"{}"),
    "token-as-content-coding": writing(f"POST {USERS}", BOB, f"Content-Encoding: {TOKEN}"),
    "cut-json": writing(f"POST {USERS}", json.dumps(WITH_PASSWORD).encode()[:-2]),
    "no-json": writing(f"POST {USERS}", PASSWORD.encode()),
    "json-with-a-name-twice": writing(f"POST {USERS}", b'{"password":"%b","Password":"x"}' % PASSWORD.encode()),
    "json-that-is-no-utf-8": writing(f"POST {USERS}", b'{"password":"%b\xff"}' % PASSWORD.encode()),
    "json-of-another-kind": writing(f"POST {USERS}", [PASSWORD]),
    "patch-with-a-wrong-path": writing(
        f"PATCH {USERS}/1", patch({"op": "replace", "path": f"password[{PASSWORD}", "value": PASSWORD})
    ),
    "patch-with-a-wrong-verb": writing(f"PATCH {USERS}/1", patch({"op": PASSWORD, "path": "password"})),
    "patch-of-nothing": writing(f"PATCH {USERS}/1", {"schemas": [PATCH_SCHEMA], "password": PASSWORD}),
    "value-of-a-wrong-type": writing(f"POST {USERS}", {**BOB, "active": PASSWORD, "emails": PASSWORD}),
    "bulk": writing(f"POST {PATH}/Bulk", {"Operations": [{"method": "POST", "data": WITH_PASSWORD}]}),
    "search": writing(f"POST {USERS}/.search", {"filter": f'password eq "{PASSWORD}"'}),
}

BAD: dict[str, bytes] = {
    "unknown-token": to_the_gateway(f"GET {USERS}", token=STRANGER),
    "almost-the-token": to_the_gateway(f"GET {USERS}", token=TOKEN + "x"),
    "token-as-basic-password": to_the_gateway(f"GET {USERS}", basic("okta", TOKEN), token=None),
    "password-of-another-user": to_the_gateway(f"GET {USERS}", basic("nobody", BASIC_PASSWORD), token=None),
    "upstream-token": to_the_gateway(f"GET {USERS}", token=UPSTREAM_TOKEN),
    "token-without-scheme": to_the_gateway(f"GET {USERS}", f"Authorization: {TOKEN}", token=None),
    "token-behind-another-scheme": to_the_gateway(f"GET {USERS}", f"Authorization: Digest {TOKEN}", token=None),
    "token-twice": to_the_gateway(f"GET {USERS}", f"Authorization: Bearer {TOKEN}"),
    "token-and-basic": to_the_gateway(f"GET {USERS}", basic("okta", BASIC_PASSWORD)),
    "token-as-basic-user": to_the_gateway(f"GET {USERS}", basic(TOKEN, PASSWORD), token=None),
    "basic-that-is-plain": to_the_gateway(f"GET {USERS}", f"Authorization: Basic okta:{BASIC_PASSWORD}", token=None),
    "unknown-token-and-password": writing(f"POST {USERS}", WITH_PASSWORD).replace(TOKEN.encode(), STRANGER.encode()),
    "token-in-the-query": to_the_gateway(f"GET {USERS}?access_token={TOKEN}", token=None),
    "token-in-the-path": to_the_gateway(f"GET {USERS}/{TOKEN}", token=None),
    "token-as-tenant": to_the_gateway(f"GET /scim/{TOKEN}/v2/Users", token=None),
    "token-as-path": to_the_gateway(f"GET /{TOKEN}?{TOKEN}#{TOKEN}", token=None),
    "token-with-an-escaped-character-as-path": to_the_gateway(f"GET /{TOKEN.replace('_', '%5F')}", token=None),
    "percent-escaped-token-as-path": to_the_gateway(f"GET /{percent_escaped(TOKEN)}", token=None),
    "token-as-user-of-a-url": to_the_gateway(f"GET https://okta:{BASIC_PASSWORD}@HOST{USERS}", token=None),
    "token-as-host": to_the_gateway(f"GET {USERS}").replace(b"Host: HOST", f"Host: {TOKEN}.example.com".encode()),
    "token-as-host-of-a-url": to_the_gateway(f"GET https://{TOKEN}/{TOKEN}"),
    "token-as-method": to_the_gateway(f"{TOKEN} {USERS}"),
    "token-as-expectation": writing(f"POST {USERS}", WITH_PASSWORD, f"Expect: {TOKEN}"),
    "token-as-transfer-coding": to_the_gateway(f"POST {USERS}", f"Transfer-Encoding: {TOKEN}"),
    "token-as-length": to_the_gateway(f"POST {USERS}", f"Content-Length: {TOKEN}"),
    "token-as-version": f"GET {USERS} {TOKEN}\r\nHost: HOST\r\n\r\n".encode(),
    "token-as-http-version": f"GET {USERS} HTTP/1.1{TOKEN}\r\nHost: HOST\r\n\r\n".encode(),
    "token-alone": f"{TOKEN}\r\n\r\n".encode(),
    "field-alone": f"Authorization: Bearer {TOKEN}\r\n\r\n".encode(),
    "field-without-colon": f"GET {USERS} HTTP/1.1\r\nHost: HOST\r\nAuthorization Bearer {TOKEN}\r\n\r\n".encode(),
    "field-with-a-nul": to_the_gateway(f"GET {USERS}", f"Authorization: Bearer {TOKEN}\0", token=None),
    "folded-field": to_the_gateway(f"GET {USERS}", f"Authorization: Bearer\r\n {TOKEN}", token=None),
    "token-as-field": to_the_gateway(f"GET {USERS}", f"Bearer {TOKEN}: x", token=None),
    "large-field": to_the_gateway(f"GET {USERS}", f"X-Tokens: {TOKEN * 1000}"),
    "large-line": to_the_gateway(f"GET {USERS}?{TOKEN * 1000}"),
    "many-fields": to_the_gateway(f"GET {USERS}", *(f"X-{number}: {TOKEN}" for number in range(300))),
    "wrong-chunk": to_the_gateway(f"POST {USERS}", "Transfer-Encoding: chunked", "Content-Type: application/json")
    + f"{TOKEN}\r\n{PASSWORD}\r\n".encode(),
    "http-2": f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{TOKEN}".encode(),
    "body-behind-the-request": to_the_gateway(f"GET {USERS}") + f"{TOKEN} {PASSWORD}".encode(),
    "random": b"\x16\x03\x01\xff\x00" + TOKEN.encode() + b"\r\n\r\n",
}


# --- the run


@dataclass
class Emitted:
    """Everything that came out of a run."""

    answers: dict[str, bytes] = field(default_factory=dict)
    streams: dict[str, bytes] = field(default_factory=dict)  # files by their names, the log, pages of the admin
    events: set[str] = field(default_factory=set)
    reached: bytes = b""  # what the upstream got
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the gateway and its upstream know each other."""

    name: str
    sent: str  # what is in the upstream's request
    changes: dict[str, Any]


MANNERS = (
    Manner("bearer", UPSTREAM_TOKEN, {}),
    Manner(
        "basic",
        in_base64(f"gateway:{UPSTREAM_PASSWORD}"),
        {"upstream_token": None, "upstream_username": "gateway", "upstream_password": UPSTREAM_PASSWORD},
    ),
    Manner("passwords-pass", UPSTREAM_TOKEN, {"sync_passwords": True}),
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
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}, auto_decompress=False) as session:
        for name in ECHOES:
            url = URL(f"{it.base_url}/Users/{name}", encoded=True)
            async with session.get(url, ssl=it.trusting(), allow_redirects=False) as response:
                head = b"".join(b"%b: %b\r\n" % pair for pair in response.raw_headers)
                emitted.answers[name] = b"%d %b\r\n" % (response.status, str(response.reason).encode())
                emitted.answers[name] += head + b"\r\n" + await response.read()


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
        async with scripted_upstream(echoing(ECHOES)) as upstream:
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
    assert leaks(emitted.reached, PASSWORD.replace("/", "\\/")) is bool(manner.changes.get("sync_passwords"))
    assert STRANGER.encode() not in emitted.reached


@pytest.mark.parametrize("name", ECHOES)
def test_an_echo_of_the_upstream_stays_inside(name: str, emitted: Emitted) -> None:
    assert found_in(emitted.answers[name], emitted.authority) == []


@pytest.mark.parametrize("name", [*(f"good {name}" for name in GOOD), *(f"bad {name}" for name in BAD)])
def test_an_answer_reflects_no_secret_of_its_request(name: str, emitted: Emitted) -> None:
    assert found_in(emitted.answers[name], emitted.authority) == []


def test_no_file_log_or_page_of_the_gateway_holds_a_secret(emitted: Emitted) -> None:
    # SECURITY: line by line, so that a failure names the line and a secret cut in two would need two lines.
    lines = [(name, line) for name, text in emitted.streams.items() for line in text.split(b"\n")]

    assert [(name, found, line[:400]) for name, line in lines if (found := found_in(line))] == []
    assert len(emitted.streams) >= 7
