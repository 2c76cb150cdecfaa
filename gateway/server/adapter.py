"""Between aiohttp and the pipeline: requests as values on the way in, answers as bytes on the way out."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from aiohttp.web import BaseRequest, RequestPayloadError

from gateway.exchange import Answer, Request, RequestId
from gateway.refusal import Reason, Refusal
from gateway.wire.heads import Head

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_WITHOUT_BODY = (204, 304)
_ID_BYTES = 10
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # all but a tab


class _RequestIds:
    """80 random bits each: no two alike, and nobody guesses another's. Randomness is fetched for many at once."""

    def __init__(self) -> None:
        self._random = ""

    def __call__(self) -> RequestId:
        if not self._random:
            self._random = secrets.token_hex(_ID_BYTES * 128)
        digits, self._random = self._random[: 2 * _ID_BYTES], self._random[2 * _ID_BYTES :]
        return RequestId(f"req-{digits}")


new_request_id = _RequestIds()


def peer_address(transport: asyncio.BaseTransport | None) -> str:
    """The other end of a connection, as an address alone."""
    return plain_address(transport.get_extra_info("peername") if transport else None)


def plain_address(peer: object) -> str:
    """An address as sockets name it, without port and zone; one of IPv4 mapped into IPv6 is the IPv4 address."""
    if not isinstance(peer, tuple | list) or not peer:
        return "unknown"
    address = ip_address(str(peer[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def read_request(head: Head, address: str) -> Request:
    """A request out of its head as it was judged: nothing that aiohttp decoded or guessed."""
    return Request(
        id=new_request_id(),
        received_at=time.time(),
        address=address,
        method=head.method,
        target=head.target,
        version=(1, 1),
        fields=head.section.fields,
        has_body=head.section.has_body,
    )


@dataclass(slots=True)
class WaitingCaller:
    """The caller of one request, as `gateway.caller` describes it; its connection tells when it hangs up."""

    request: BaseRequest
    head: Head
    transport: asyncio.WriteTransport | None
    began_at: float
    is_gone: bool = False
    on_gone: Callable[[], None] | None = None

    async def read_body(self, max_bytes: int, max_seconds: float) -> bytes:
        """Read this request's body, once, and ask for it only now."""
        section = self.head.section
        if section.body_bytes is not None and section.body_bytes > max_bytes:
            raise Refusal(Reason.BODY_TOO_LARGE, note=f"{section.body_bytes} bytes announced")
        if section.expects_continue and self.transport is not None:
            self.transport.write(_CONTINUE)
        whole = self._body_at_hand(max_bytes)
        if whole is not None:
            return whole
        try:
            async with asyncio.timeout(max_seconds):
                return await _read_bounded(self.request, max_bytes)
        except TimeoutError as error:
            raise Refusal(Reason.BODY_TIMEOUT) from error
        except OSError as error:  # a reset, or a TLS record that cannot be read
            raise Refusal(Reason.CLIENT_GONE, note=f"before its body had come: {type(error).__name__}") from error
        except RequestPayloadError as error:
            raise Refusal(Reason.FRAMING_AMBIGUOUS, note="a malformed chunk") from error

    def _body_at_hand(self, max_bytes: int) -> bytes | None:
        """The body, if all of it has come already, as it mostly has; spares a timer."""
        content = self.request.content
        if not content.is_eof() or content.exception() is not None or content.total_bytes > max_bytes:
            return None
        return content.read_nowait()

    def hang_up(self) -> None:
        """The connection is over, or its sending half."""
        self.is_gone = True
        if self.on_gone is not None:
            self.on_gone()


async def _read_bounded(request: BaseRequest, max_bytes: int) -> bytes:
    body = bytearray()
    while piece := await request.content.readany():
        body += piece
        if len(body) > max_bytes:
            raise Refusal(Reason.BODY_TOO_LARGE, note="in chunks")
    return bytes(body)


def answer_bytes(answer: Answer, *, close: bool, for_head: bool = False) -> bytes:
    """An answer on the wire. Always HTTP/1.1 whatever came in, always a length, never a banner.

    Raises:
        ValueError: a field holds a control byte; a CR LF out of the upstream would begin a second answer.
    """
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Refused')}"]
    lines += [f"{name}: {value}" for name, value in answer.fields]
    if answer.status not in _WITHOUT_BODY:
        lines.append(f"Content-Length: {len(answer.body)}")
    lines.append(f"Date: {_date(int(time.time()))}")
    if close:
        lines.append("Connection: close")
    if _CONTROL.search("".join(lines)):
        raise ValueError("a field of the answer holds a control byte")
    body = b"" if for_head or answer.status in _WITHOUT_BODY else answer.body
    return "\r\n".join((*lines, "", "")).encode("ascii", "replace") + body


@lru_cache(maxsize=2)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)


class AnswerWriter(Protocol):
    """The connection, as far as an answer needs it."""

    async def write_answer(self, data: bytes) -> None: ...


@dataclass(slots=True)
class WireAnswer:
    """Stands where aiohttp wants a response: `prepare`, `write_eof` and `keep_alive` are all it uses.

    aiohttp's own responses add a Server banner by a private hook, echo HTTP/0.9 or HTTP/2.0 in the status
    line, and take a dozen calls to write what is one piece of bytes.
    """

    writer: AnswerWriter
    data: bytes
    keep_alive: bool

    async def prepare(self, request: BaseRequest) -> None:
        """Nothing to prepare; the bytes are there."""

    async def write_eof(self) -> None:
        """Write everything, and wait until the client takes it.

        Raises:
            ConnectionError: the client has gone.
        """
        await self.writer.write_answer(self.data)
