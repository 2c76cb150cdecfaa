"""An upstream's answer made presentable: links point outside, errors tell nothing of the inside. Pure."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlsplit

import orjson

from gateway.exchange import Client, UpstreamAnswer
from gateway.refusal import Reason, Refusal
from gateway.scim.documents import Document, write_document
from gateway.scim.links import public_location, publish_links
from gateway.scim.messages import answer_is_scim, error_body

_WITHOUT_BODY = (204, 304)
_HIDDEN = "The application reported an error; its text names things that stay inside."

Presented = tuple[int, tuple[tuple[str, str], ...], bytes]


def present_answer(answer: UpstreamAnswer, client: Client) -> Presented:
    """(status, fields, body) for the client. Reads are never stripped: a client sends back what it got.

    Raises:
        Refusal: UPSTREAM_NOT_SCIM.
    """
    fields = _fields(answer, client)
    if answer.status in _WITHOUT_BODY or not answer.body:
        return answer.status, fields, b""
    body = _error(answer, client) if answer.status >= 400 else _message(answer, client)
    return answer.status, (("Content-Type", "application/scim+json"), *fields), body


def _fields(answer: UpstreamAnswer, client: Client) -> tuple[tuple[str, str], ...]:
    fields = [("ETag", value) for value in answer.fields.all("ETag")]
    for value in answer.fields.all("Location"):
        location = public_location(value, from_bases=(client.upstream_base,), to_base=client.public_base)
        if location is not None:
            fields.append(("Location", location))
    return tuple(fields)


def _message(answer: UpstreamAnswer, client: Client) -> bytes:
    document = _read(answer)
    changed = publish_links(document, from_bases=(client.upstream_base,), to_base=client.public_base)
    return write_document(document) if changed else answer.body


def _error(answer: UpstreamAnswer, client: Client) -> bytes:
    # SECURITY: an error is made anew from its two public members; an application may put a stack trace,
    # its own addresses, or an echo of our request into anything else.
    document = _read(answer)
    detail, scim_type = document.get("detail"), document.get("scimType")
    text = detail if isinstance(detail, str) else ""
    if _tells_of_the_inside(text, client):
        text = _HIDDEN
    return error_body(answer.status, text[:2000], scim_type if isinstance(scim_type, str) else None)


def _tells_of_the_inside(text: str, client: Client) -> bool:
    folded = text.casefold()
    return any(word.casefold() in folded for word in inside_words(client))


def inside_words(client: Client) -> tuple[str, ...]:
    """What must never be said outside: the upstream's host, and its credential, plain and as commonly escaped."""
    tenant = client.tenant
    authorities = [urlsplit(node).netloc for node in tenant.upstream]
    hosts = [host for host in (urlsplit(node).hostname or "" for node in tenant.upstream) if "." in host or ":" in host]
    secrets = [s.get_secret_value() for s in (tenant.upstream_token, tenant.upstream_password) if s is not None]
    coded = [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in secrets]
    escaped = [quote(secret, safe="") for secret in secrets]
    return tuple(word for word in (*authorities, *hosts, *secrets, *coded, *escaped) if word)


def _read(answer: UpstreamAnswer) -> Document:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise Refusal(Reason.UPSTREAM_NOT_SCIM, note=f"the answer is not JSON: {error}") from error
    if not isinstance(document, dict) or not answer_is_scim(answer.status, document):
        raise Refusal(Reason.UPSTREAM_NOT_SCIM, note=f"status {answer.status}, but JSON of another kind")
    return document
