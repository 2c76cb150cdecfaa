"""An upstream's answer made presentable: links point outside, errors tell nothing of the inside. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

from gateway.exchange import Client, Operation, Request, UpstreamAnswer, version_of
from gateway.refusal import Reason, Refusal
from gateway.scim import v11
from gateway.scim.documents import read_document, write_document
from gateway.scim.links import public_location, publish_links
from gateway.scim.messages import error_body
from gateway.scim.passwords import password_values
from gateway.scim.versions import Version
from gateway.stages.reply.disclosure import tells

_WITHOUT_BODY = (204, 304)
_MAX_DETAIL_CHARACTERS = 2000
_HIDDEN = "The application reported an error; its text names things that stay inside."
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')  # RFC 9110 section 8.8.3
_SCIM_TYPES = frozenset({  # RFC 7644 section 3.12, RFC 9865 section 2
    "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue",
    "invalidVers", "sensitive", "invalidCursor", "expiredCursor", "invalidCount",
})  # fmt: skip

Presented = tuple[int, tuple[tuple[str, str], ...], bytes]
Words = Callable[[], tuple[str, ...]]
"""Gives words that must not be told; asked only for answers that might tell them."""


def present_answer(answer: UpstreamAnswer, client: Client, sent: Words) -> Presented:
    """(status, fields, body) for the client. Reads are never stripped: a client sends back what it got.

    `sent` gives the secrets that the request itself held.

    Raises:
        Refusal: UPSTREAM_NOT_SCIM, where it is nested too deeply to be written.
    """
    fields = _fields(answer, client)
    if answer.status in _WITHOUT_BODY or not answer.body:
        return answer.status, fields, b""
    body = _error(answer, client, sent) if answer.status >= 400 else _message(answer, client)
    return answer.status, (("Content-Type", version_of(client.tenant).media_type), *fields), body


def sent_words(operation: Operation, request: Request) -> Words:
    """The secrets that a request brought: its credential, and the passwords that were passed on."""

    def words() -> tuple[str, ...]:
        presented = [value.rpartition(" ")[2] for value in request.fields.all("Authorization")]
        passwords = password_values(read_document(operation.body)) if operation.body else ()
        return (*presented, *passwords)

    return words


def inside_words(client: Client) -> tuple[str, ...]:
    """What must never be said outside: where the upstream is, and its credential."""
    tenant = client.tenant
    secrets = [s.get_secret_value() for s in (tenant.upstream_token, tenant.upstream_password) if s is not None]
    return (*_places(tenant.upstream), *secrets)


@lru_cache(maxsize=64)
def _places(upstream: tuple[str, ...]) -> tuple[str, ...]:
    hosts = [urlsplit(node).hostname or "" for node in upstream]
    return (
        *(urlsplit(node).netloc for node in upstream),
        *(host for host in hosts if "." in host or ":" in host),  # a bare "jira" is a word of every text
    )


def _fields(answer: UpstreamAnswer, client: Client) -> tuple[tuple[str, str], ...]:
    fields = []
    tag, location = answer.fields.get("ETag"), answer.fields.get("Location")
    if tag is not None and _tag_may_pass(tag, client):
        fields.append(("ETag", tag))
    if location is not None:
        public = public_location(location, from_bases=client.upstream_bases, to_base=client.public_base)
        if public is not None:
            fields.append(("Location", public))
    return tuple(fields)


def _tag_may_pass(tag: str, client: Client) -> bool:
    return _ENTITY_TAG.fullmatch(tag) is not None and not any(word in tag for word in inside_words(client))


def _message(answer: UpstreamAnswer, client: Client) -> bytes:
    document = answer.document or {}
    changed = publish_links(document, answer.body, from_bases=client.upstream_bases, to_base=client.public_base)
    try:
        return write_document(document) if changed else answer.body
    except TypeError as error:  # orjson reads four times deeper than it writes
        raise Refusal(Reason.UPSTREAM_NOT_SCIM, note="the answer is nested too deeply") from error


def _error(answer: UpstreamAnswer, client: Client, sent: Words) -> bytes:
    # SECURITY: an error is made anew from its public members; an application may put a stack trace,
    # its own addresses, or an echo of our request into anything else.
    document, version = answer.document or {}, version_of(client.tenant)
    words = (*inside_words(client), *sent())

    def show(text: str) -> str:
        return _HIDDEN if tells(text[:_MAX_DETAIL_CHARACTERS], words) else text[:_MAX_DETAIL_CHARACTERS]

    if version is Version.V1_1 and v11.is_error(document):
        return v11.public_error(document, show)
    detail, scim_type = document.get("detail"), document.get("scimType")
    known = scim_type if isinstance(scim_type, str) and scim_type in _SCIM_TYPES else None
    return error_body(answer.status, show(detail) if isinstance(detail, str) else "", known, version)
