"""Calls SCIM over HTTP as a client does: its fields, its patience, no redirects, nothing rewritten in a URL."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from gateway.rehearsal.messages import OKTA, JsonObject, Manner, request_fields
from gateway.rehearsal.replies import Reply, Trouble, Unanswered

OKTA_PATIENCE_SECONDS = 60.0  # it closes a connection that was silent for this long
MAX_REPLY_BYTES = 16 << 20

# The first that fits counts: aiohttp's certificate and TLS errors are connector errors too.
_TROUBLES: tuple[tuple[type[Exception], Trouble], ...] = (
    (aiohttp.ClientConnectorCertificateError, Trouble.CERTIFICATE),
    (aiohttp.ClientConnectorSSLError, Trouble.TLS),
    (aiohttp.ClientConnectorDNSError, Trouble.NAME),
    (aiohttp.ConnectionTimeoutError, Trouble.CONNECT),
    (aiohttp.ClientConnectorError, Trouble.CONNECT),
    (TimeoutError, Trouble.SILENCE),
    (aiohttp.ClientError, Trouble.HUNG_UP),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call."""

    url: str  # the SCIM base URL, as entered in Okta or, without the flag, in Entra
    token: str = field(repr=False)
    tls: ssl.SSLContext | None = None  # None: the system's trust
    patience_seconds: float = OKTA_PATIENCE_SECONDS


class Caller:
    """One client with one token and its manner; `calling` makes it."""

    def __init__(self, session: aiohttp.ClientSession, target: Target, manner: Manner) -> None:
        self._session = session
        self.manner = manner
        self.base_url = target.url.rstrip("/")
        self.token = target.token
        self._tls = target.tls if target.tls is not None else True

    async def send(
        self, method: str, target: str, body: JsonObject | bytes | None = None, *, authorization: str | None = None
    ) -> Reply:
        """One request below the base URL; `target` goes out byte for byte, with the manner's flag behind it.

        `authorization` replaces the token's.

        Raises:
            Unanswered: no complete answer came.
        """
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        has_body = content is not None
        fields = request_fields(authorization or f"Bearer {self.token}", has_body=has_body, manner=self.manner)
        # encoded=True: yarl would else turn %2B into + and resolve what looks like dots.
        url = URL(self.base_url + self.manner.spelled(target), encoded=True)
        try:
            async with self._session.request(
                method, url, data=content, headers=fields, allow_redirects=False, ssl=self._tls
            ) as response:
                read = await _read(response)
                found = {name.lower(): text for name, text in response.headers.items()}
                return Reply(response.status, found, read, self.manner)
        except (aiohttp.ClientError, TimeoutError) as error:
            trouble = next(trouble for kind, trouble in _TROUBLES if isinstance(error, kind))
            said = _said(error)
            raise Unanswered(trouble, f"{trouble.value}: {said}" if said else trouble.value) from error


def _said(error: Exception) -> str:
    """The error in the words of the system, where aiohttp puts a Python object's address around them."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise Unanswered(Trouble.TOO_LARGE, Trouble.TOO_LARGE.value)
    return bytes(body)


@asynccontextmanager
async def calling(target: Target, manner: Manner = OKTA) -> AsyncIterator[Caller]:
    """A caller whose connections end with the block. No proxy of the environment is used, no cookie kept."""
    patience = aiohttp.ClientTimeout(
        total=5 * target.patience_seconds, sock_connect=target.patience_seconds, sock_read=target.patience_seconds
    )
    async with aiohttp.ClientSession(timeout=patience, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Caller(session, target, manner)
