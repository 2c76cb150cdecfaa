"""Bad input and what it gets, through the whole gateway: clients that are wrong, and upstreams that are."""

from __future__ import annotations

import gzip
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.houses import House, house
from tests.upstreams import (
    Script,
    ScriptedUpstream,
    answers,
    answers_then_closes,
    answers_then_keeps_silent,
    http_answer,
    json_answer,
    scripted_upstream,
)
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
USER = b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a"'
LIST = json_answer({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0})
SCIM = "application/scim+json"
EXPIRED = "expired-token-0123456789-0123456789-abcdef"


async def ask(
    it: House,
    method: str = "GET",
    path: str = "/Users",
    body: bytes | None = None,
    *,
    authorization: tuple[str, ...] = (f"Bearer {TOKEN}",),
    fields: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any], dict[str, str]]:
    headers = [("Authorization", value) for value in authorization]
    headers += list((fields or ({"Content-Type": SCIM} if body is not None else {})).items())
    async with (
        aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=("Content-Type",)) as session,
        session.request(
            method,
            URL(it.base_url + path, encoded=True),
            data=None if body is None else io.BytesIO(body),
            headers=headers,
            ssl=it.trusting(),
            allow_redirects=False,
        ) as response,
    ):
        text = await response.read()
        return response.status, json.loads(text) if text else {}, dict(response.headers)


def asked(upstream: ScriptedUpstream) -> int:
    """Requests that reached the upstream; the probe brings no credential."""
    return sum(bool(request.all("Authorization")) for request in upstream.requests)


def is_scim_error(message: dict[str, Any], status: int) -> bool:
    return message["schemas"] == [ERROR] and message["status"] == str(status) and bool(message["detail"])


async def test_failed_authentications_get_one_wording_and_reach_nothing(tmp_path: Path) -> None:
    ways: list[tuple[str, ...]] = [
        ("Bearer unknown-token",),
        (f"Bearer {EXPIRED}",),
        (),
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
        ("Basic b2t0YTp3cm9uZw==",),
    ]
    credentials = [
        {"name": "new", "token_sha256": sha256(TOKEN)},
        {"name": "old", "token_sha256": sha256(EXPIRED), "expires": datetime(2020, 1, 1, tzinfo=UTC)},
    ]
    async with (
        scripted_upstream(answers(LIST)) as upstream,
        house(tmp_path, upstream.url, credentials=credentials) as it,
    ):
        told = [await ask(it, authorization=way) for way in ways[:5]]
        lines = it.audit_lines()

    assert {status for status, _, _ in told} == {401}
    assert len({re.sub(r"req-\w+", "", message["detail"]) for _, message, _ in told}) == 1
    assert all(is_scim_error(message, 401) for _, message, _ in told)
    assert all("WWW-Authenticate" in fields for _, _, fields in told)
    assert {line["reason"] for line in lines if line["event"] == "refusal"} >= {
        "credential-unknown",
        "credential-expired",
        "credential-missing",
        "credential-ambiguous",
    }
    assert asked(upstream) == 0


async def test_a_network_that_is_not_allowed_gets_403(tmp_path: Path) -> None:
    async with (
        scripted_upstream(answers(LIST)) as upstream,
        house(tmp_path, upstream.url, sources=["203.0.113.0/24"]) as it,
    ):
        status, message, _ = await ask(it)

    assert status == 403
    assert is_scim_error(message, 403)
    assert asked(upstream) == 0


DEEP = b"[" * 10_000 + b"]" * 10_000


@pytest.mark.parametrize(
    ("method", "path", "body", "fields", "status", "slug"),
    [
        ("GET", "/Nothing", None, {}, 404, "address-unknown"),
        ("GET", "/../../admin", None, {}, 400, "target-malformed"),
        ("GET", "/Users?filter=userName%20eq", None, {}, 400, "filter-malformed"),
        ("GET", "/Users?count=1&count=2", None, {}, 400, "query-malformed"),
        ("PATCH", "/Users", USER + b"}", {"Content-Type": SCIM}, 405, "method-not-allowed"),
        ("POST", "/Bulk", b"{}", {"Content-Type": SCIM}, 403, "bulk-forbidden"),
        ("POST", "/Users", USER + b',"userName":"b"}', {"Content-Type": SCIM}, 400, "json-name-repeated"),
        ("POST", "/Users", USER + b',"USERNAME":"b"}', {"Content-Type": SCIM}, 400, "json-name-repeated"),
        ("POST", "/Users", USER + b',"user\\u004eame":"b"}', {"Content-Type": SCIM}, 400, "json-name-repeated"),
        ("POST", "/Users", USER + b',"x":NaN}', {"Content-Type": SCIM}, 400, "json-malformed"),
        ("POST", "/Users", USER + b',"x":-Infinity}', {"Content-Type": SCIM}, 400, "json-malformed"),
        ("POST", "/Users", USER + b',"x":"\xff"}', {"Content-Type": SCIM}, 400, "json-not-utf8"),
        ("POST", "/Users", USER + b',"x":"\\ud800"}', {"Content-Type": SCIM}, 400, "json-not-utf8"),
        ("POST", "/Users", USER + b',"x":' + DEEP + b"}", {"Content-Type": SCIM}, 400, "json-too-deep"),
        ("POST", "/Users", b"[]", {"Content-Type": SCIM}, 400, "message-malformed"),
        ("POST", "/Users", USER + b"}x", {"Content-Type": SCIM}, 400, "json-malformed"),
        ("POST", "/Users", b" " * (2 << 20), {"Content-Type": SCIM}, 413, "body-too-large"),
        ("POST", "/Users", USER + b"}", {"Content-Type": "text/plain"}, 415, "media-type-unsupported"),
        ("POST", "/Users", USER + b"}", {"X": "no type at all"}, 415, "media-type-unsupported"),
        ("POST", "/Users", USER + b"}", {"Content-Type": SCIM, "Content-Encoding": "gzip"}, 415, "coding-unsupported"),
        ("POST", "/Users", USER + b',"active":"perhaps"}', {"Content-Type": SCIM}, 400, "value-malformed"),
        ("PUT", "/Users/1", USER + b',"active":null}', {"Content-Type": SCIM}, 400, "value-malformed"),
        ("PUT", "/Groups/1", b'{"displayName":"g"}', {"Content-Type": SCIM}, 400, "members-missing"),
        ("PATCH", "/Users/1", b'{"schemas":[],"Operations":[]}', {"Content-Type": SCIM}, 400, "patch-malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_request_is_told_what_is_wrong_and_reaches_nothing(
    tmp_path: Path, method: str, path: str, body: bytes | None, fields: dict[str, str], status: int, slug: str
) -> None:
    async with scripted_upstream(answers(LIST)) as upstream, house(tmp_path, upstream.url) as it:
        got, message, answered = await ask(it, method, path, body, fields=fields)
        lines = it.audit_lines()

    assert got == status
    assert is_scim_error(message, status)
    assert slug in message["detail"]
    assert answered["Content-Type"] == SCIM
    assert any(line.get("reason") == slug for line in lines)
    assert asked(upstream) == 0


FAULTS: dict[str, tuple[Script, str]] = {
    "html": (answers(http_answer(200, {"Content-Type": "text/html"}, b"<h1>Jira login</h1>")), "upstream-not-scim"),
    "html 404": (answers(http_answer(404, {"Content-Type": "text/html"}, b"<h1>nothing</h1>")), "upstream-not-scim"),
    "redirect": (answers(http_answer(302, {"Location": "http://10.1.2.3/login"})), "upstream-redirect"),
    "cut body": (answers_then_closes(LIST[:-5]), "upstream-broken"),
    "nothing": (answers_then_closes(b""), "upstream-broken"),
    "silence": (answers_then_keeps_silent(b""), "upstream-timeout"),
    "garbage": (answers_then_closes(b"\x00\x01 garbage\r\n\r\n"), "upstream-broken"),
    "502 in html": (
        answers(http_answer(502, {"Content-Type": "text/html"}, b"<h1>proxy</h1>")),
        "upstream-unavailable",
    ),
    "503": (answers(json_answer({"schemas": [ERROR], "status": "503", "detail": "down"}, 503)), "upstream-unavailable"),
    "401": (
        answers(json_answer({"schemas": [ERROR], "status": "401", "detail": UPSTREAM_TOKEN}, 401)),
        "upstream-credential",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("dialect", "status"), [("okta", 429), ("entra", 503)])
async def test_an_upstream_that_is_wrong_gets_the_client_an_answer_to_come_back_by(
    tmp_path: Path, fault: str, dialect: str, status: int
) -> None:
    script, slug = FAULTS[fault]
    async with (
        scripted_upstream(script) as upstream,
        house(tmp_path, upstream.url, client=dialect, limits={"budget_seconds": 0.4}) as it,
    ):
        got, message, answered = await ask(it, "POST", "/Users", USER + b"}")
        lines = it.audit_lines()

    assert got == status
    assert is_scim_error(message, status)
    assert slug in message["detail"]
    assert 60 <= int(answered["Retry-After"]) <= 120
    for inside in ("127.0.0.1", "10.1.2.3", "Jira login", UPSTREAM_TOKEN, str(upstream.port)):
        assert inside not in json.dumps(message) + json.dumps(answered)
    assert [line["event"] for line in lines if line.get("operation")] == ["intent", "outcome"]
    assert asked(upstream) == 1, "a write is never sent twice"


async def test_an_upstream_that_is_away_gets_the_client_the_same(tmp_path: Path) -> None:
    async with house(tmp_path, "http://127.0.0.1:9") as it:
        status, message, answered = await ask(it)

    assert status == 429
    assert "upstream-unreachable" in message["detail"]
    assert 60 <= int(answered["Retry-After"]) <= 120


async def test_a_server_error_in_scim_is_passed_on(tmp_path: Path) -> None:
    fault = json_answer({"schemas": [ERROR], "status": "500", "detail": "a full index"}, 500)
    async with scripted_upstream(answers(fault)) as upstream, house(tmp_path, upstream.url) as it:
        status, message, _ = await ask(it)

    assert (status, message["detail"]) == (500, "a full index")


async def test_the_rate_is_limited_with_an_answer_that_okta_understands(tmp_path: Path) -> None:
    limits = {"requests_per_second": 0.1, "burst": 1}
    async with scripted_upstream(answers(LIST)) as upstream, house(tmp_path, upstream.url, limits=limits) as it:
        assert (await ask(it))[0] == 200
        status, message, answered = await ask(it)

    assert status == 429
    assert is_scim_error(message, 429)
    assert 60 <= int(answered["Retry-After"]) <= 120
    assert asked(upstream) == 1


async def test_a_gzipped_answer_of_the_upstream_arrives_plain(tmp_path: Path) -> None:
    body = gzip.compress(b'{"id":"1","userName":"a"}')
    reply = http_answer(200, {"Content-Type": SCIM, "Content-Encoding": "gzip"}, body)
    async with scripted_upstream(answers(reply)) as upstream, house(tmp_path, upstream.url) as it:
        status, message, answered = await ask(it, path="/Users/1")

    assert (status, message["userName"]) == (200, "a")
    assert "Content-Encoding" not in answered


async def test_the_tenants_path_may_be_another_inside(tmp_path: Path) -> None:
    async with (
        scripted_upstream(answers(LIST)) as upstream,
        house(tmp_path, upstream.url, upstream_path="/inside/v2") as it,
    ):
        await ask(it)

    assert PATH not in upstream.requests[-1].target
    assert any(request.target == "/inside/v2/Users" for request in upstream.requests)
