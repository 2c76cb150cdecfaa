"""The secrets of a run, and every place they are put: an upstream's replies, clients' requests, broken settings."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

from tests.end_to_end.spellings import SPELLINGS, in_base64, json_escaped, percent_escaped, plain
from tests.upstreams import http_answer, json_answer
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256

PASSWORD = "Tr0ub4dor&3/of+the=user"  # what a client writes for a user; its odd characters are escaped everywhere
BASIC_PASSWORD = "a-basic-password-of-the-client-9f2c71aa"
UPSTREAM_PASSWORD = "the-application's-own+password=4d1e"
STRANGER = "scimgw_ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlk_999999"  # a token of ours, but of nobody here
SECRETS = {
    "client-token": TOKEN,
    "upstream-token": UPSTREAM_TOKEN,
    "upstream-password": UPSTREAM_PASSWORD,
    "user-password": PASSWORD,
    "basic-password": BASIC_PASSWORD,
    "unknown-token": STRANGER,
}
INSIDE = "127.0.0.1:00000"  # the upstream in a reply; its port, once known, has five digits too
ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"
USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BOB = {"schemas": [USER_SCHEMA], "id": "1", "userName": "bob"}

# --- what the upstream says


def error_answer(status: int, detail: str, *, escaped: bool = False, **more: object) -> bytes:
    """A SCIM error; `escaped`: the detail stands in it as it is given, so that its escapes are JSON's."""
    document = json.dumps({"schemas": [ERROR_SCHEMA], "status": str(status), "detail": "@", **more})
    body = document.replace('"@"', f'"{detail}"' if escaped else json.dumps(detail))
    return http_answer(status, {"Content-Type": "application/scim+json"}, body.encode())


def in_details(credential: str, password: str) -> dict[str, bytes]:
    told = {"credential": credential, "client-token": TOKEN, "user-password": password, "inside": INSIDE}
    return {
        f"{status}-{spelling.__name__}-{name}": error_answer(
            status, f"your {spelling(secret)} is wrong", escaped=spelling is json_escaped
        )
        for status in (400, 401, 409, 500)
        for spelling in SPELLINGS
        for name, secret in told.items()
        if name != "inside" or spelling is plain
    }


def elsewhere(credential: str) -> dict[str, bytes]:
    echo = f"<html><title>{html.escape(credential)}</title>http://{INSIDE}/ {credential}</html>".encode()
    page = {"Content-Type": "text/html"}
    noisy = {
        "Set-Cookie": f"session={credential}",
        "X-Debug": f"Authorization: Bearer {credential}",
        "Server": f"{INSIDE} {credential}",
        "WWW-Authenticate": f'Bearer realm="{credential}"',
        "Via": f"1.1 {INSIDE}",
        "Retry-After": credential,
        "Content-Type": f"application/scim+json; token={credential}",
    }
    own = f"http://{INSIDE}{PATH}/Users/1?token={credential}"
    return {
        **{f"html-{status}": http_answer(status, page, echo) for status in (200, 400, 401, 404, 409, 500, 503)},
        **{f"fields-{status}": json_answer(BOB, status, noisy) for status in (200, 400, 401, 409, 429, 500, 503)},
        "foreign-location": json_answer(BOB, 201, {"Location": f"https://other.internal/?token={credential}"}),
        "relative-foreign-location": json_answer(BOB, 201, {"Location": f"//{INSIDE}/{credential}"}),
        "redirect": http_answer(307, {"Location": f"https://other.internal/{credential}"}),
        "etag": json_answer(BOB, 200, {"ETag": f'W/"{credential}"'}),
        "own-location": json_answer(BOB, 201, {"Location": own}),
        "scim-type": error_answer(400, "wrong", scimType=credential),
        "other-members": error_answer(400, "wrong", trace=f"at {INSIDE}: {credential}"),
        "reason-phrase": json_answer(BOB, 400).replace(b"Whatever", credential.encode()),
        "no-http": f"HTTP/1.1 what {credential}\r\n\r\n".encode(),
        "field-without-colon": f"HTTP/1.1 200 OK\r\nBearer {credential}\r\n\r\n".encode(),
        "two-lengths": json_answer(BOB, 200, {"Content-Length": f"1{credential}"}),
        "no-gzip": json_answer({"a": credential}, 200, {"Content-Encoding": "gzip"}),
        "foreign-coding": json_answer(BOB, 200, {"Content-Encoding": credential}),
        "no-chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{credential}\r\n".encode(),
        "no-json": http_answer(200, {"Content-Type": "application/json"}, f'{{"{credential}'.encode()),
    }


def echoes(credential: str, password: str) -> dict[str, bytes]:
    """Replies by the name that asks for them; what is wrong in them is the upstream's credential, or as they say.

    `password` is a user's as the upstream got it.
    """
    return in_details(credential, password) | elsewhere(credential)


ECHOES = tuple(echoes("", ""))


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


# --- broken settings

SETTINGS = f"""
[gateway]
public_url = "https://scim.example.com"
[listen]
certificate_file = "/nonexistent/fullchain.pem"
key_file = "/nonexistent/key.pem"
[tenants.jira]
path = "{PATH}"
upstream = ["http://127.0.0.1:5501"]
upstream_token = "{UPSTREAM_TOKEN}"
[[tenants.jira.credentials]]
name = "okta-2027"
token_sha256 = "{sha256(TOKEN)}"
"""
DIGEST, NODE, TENANT = f'token_sha256 = "{sha256(TOKEN)}"', '"http://127.0.0.1:5501"', f'path = "{PATH}"'
CARRIER = f'upstream_token = "{UPSTREAM_TOKEN}"'
BROKEN_SETTINGS: dict[str, str] = {
    "files-missing": SETTINGS,
    "token-as-digest": SETTINGS.replace(DIGEST, f'token_sha256 = "{TOKEN}"'),
    "token-as-unknown-key": SETTINGS.replace(DIGEST, f'token = "{TOKEN}"'),
    "token-and-digest": SETTINGS.replace(DIGEST, f'{DIGEST}\ntoken = "{TOKEN}"'),
    "password-as-digest": SETTINGS.replace(DIGEST, f'username = "okta"\npassword_sha256 = "{BASIC_PASSWORD}"'),
    "token-as-moment": SETTINGS.replace(DIGEST, f'{DIGEST}\nexpires = "{TOKEN}"'),
    "token-as-credential-name": SETTINGS.replace("okta-2027", f"{TOKEN}!"),
    "credential-as-a-table": SETTINGS.replace(CARRIER, f'upstream_token = {{ value = "{UPSTREAM_TOKEN}" }}'),
    "credential-in-a-list": SETTINGS.replace(CARRIER, f'upstream_token = ["{UPSTREAM_TOKEN}"]'),
    "credential-with-a-line-end": SETTINGS.replace(UPSTREAM_TOKEN, f"{UPSTREAM_TOKEN}\\n{UPSTREAM_TOKEN}"),
    "credential-with-odd-characters": SETTINGS.replace(UPSTREAM_TOKEN, f"{UPSTREAM_TOKEN} \u00e9"),
    "two-credentials": SETTINGS.replace(CARRIER, f'{CARRIER}\nupstream_password = "{UPSTREAM_PASSWORD}"'),
    "misspelled-key": SETTINGS.replace("upstream_token", "upstream_tokn"),
    "credential-in-an-url": SETTINGS.replace(NODE, f'"http://gateway:{UPSTREAM_PASSWORD}@127.0.0.1:5501"'),
    "credential-in-a-query": SETTINGS.replace(NODE, f'"http://127.0.0.1:5501/?token={UPSTREAM_TOKEN}"'),
    "credential-as-an-url": SETTINGS.replace(NODE, f'"{UPSTREAM_TOKEN}"'),
    "password-in-the-public-url": SETTINGS.replace("scim.example.com", f"okta:{BASIC_PASSWORD}@scim.example.com"),
    "token-in-the-public-url": SETTINGS.replace("scim.example.com", f"scim.example.com/?token={TOKEN}"),
    "token-as-client": SETTINGS.replace(TENANT, f'{TENANT}\nclient = "{TOKEN}"'),
    "token-as-switch": SETTINGS.replace(TENANT, f'{TENANT}\nsync_passwords = "{TOKEN}"'),
    "token-as-number": SETTINGS.replace(TENANT, f'{TENANT}\nlimits = {{ burst = "{TOKEN}" }}'),
    "token-as-section": SETTINGS.replace(TENANT, f'{TENANT}\nlimits = "{TOKEN}"'),
    "token-as-source": SETTINGS.replace(TENANT, f'{TENANT}\nsources = ["{TOKEN}"]'),
    "token-as-operation": SETTINGS.replace(TENANT, f'{TENANT}\noperations = ["{TOKEN}"]'),
    "token-as-extension": SETTINGS.replace(TENANT, f'{TENANT}\nextensions = ["{TOKEN}"]'),
    "token-as-address": SETTINGS.replace("[listen]", f'[listen]\naddress = "{TOKEN}"'),
    "token-as-path": SETTINGS.replace(TENANT, f'path = "{TOKEN}"'),
    "no-toml": SETTINGS.replace(CARRIER, f"upstream_token = {UPSTREAM_TOKEN}"),
    "no-end-of-string": SETTINGS.replace(CARRIER, f'upstream_token = "{UPSTREAM_TOKEN}'),
    "key-twice": SETTINGS.replace(CARRIER, f"{CARRIER}\n{CARRIER}"),
    "credential-as-file": SETTINGS.replace("upstream_token", "upstream_token_file"),
    "token-as-file": SETTINGS.replace(DIGEST, f'token_file = "{TOKEN}"'),
}
# Known gaps, each to be closed: strict, so that a closed one must leave the table.
