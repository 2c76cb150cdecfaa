"""Between aiohttp and the pipeline: requests as values on the way in, answers as bytes on the way out."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from aiohttp.web import BaseRequest, RequestPayloadError

from gateway.exchange import Answer, ReadBody, Request, RequestId
from gateway.refusal import Reason, Refusal
from gateway.wire.fields import Fields
from gateway.wire.heads import Head

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_WITHOUT_BODY = (204, 304)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def new_request_id() -> RequestId:
    """80 random bits: no two alike, and nobody guesses another's."""
    return RequestId(f"req-{secrets.token_hex(10)}")


def peer_address(transport: asyncio.BaseTransport | None) -> str:
    """The socket's peer, as an address alone; an IPv4 address mapped into IPv6 is the IPv4 address."""
    peer = transport.get_extra_info("peername") if transport else None
    if not isinstance(peer, tuple | list) or not peer:
        return "unknown"
    address = ip_address(str(peer[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def read_request(request: BaseRequest, head: Head, address: str) -> Request:
    """aiohttp's request as ours: raw target, raw fields, nothing that aiohttp decoded or guessed."""
    pairs = tuple(
        (name.decode("ascii", "surrogateescape"), value.decode("ascii", "surrogateescape"))
        for name, value in request.raw_headers
    )
    return Request(
        id=new_request_id(),
        received_at=time.time(),
        address=address,
        method=request.method,
        target=request.raw_path,
        version=(request.version.major, request.version.minor),
        fields=Fields(pairs),
        has_body=head.has_body,
    )


def body_reader(request: BaseRequest, head: Head, transport: asyncio.WriteTransport | None) -> ReadBody:
    """The function that reads this request's body, once, and asks for it only when called."""

    async def read_body(max_bytes: int, max_seconds: float) -> bytes:
        if head.body_bytes is not None and head.body_bytes > max_bytes:
            raise Refusal(Reason.BODY_TOO_LARGE, note=f"{head.body_bytes} bytes announced")
        if head.expects_continue and transport is not None:
            transport.write(_CONTINUE)
        try:
            async with asyncio.timeout(max_seconds):
                return await _read_bounded(request, max_bytes)
        except TimeoutError as error:
            raise Refusal(Reason.BODY_TIMEOUT) from error
        except OSError as error:  # a reset, or a TLS record that cannot be read
            raise Refusal(Reason.CLIENT_GONE, note=f"before its body had come: {type(error).__name__}") from error
        except RequestPayloadError as error:
            raise Refusal(Reason.FRAMING_AMBIGUOUS, note="a malformed chunk") from error

    return read_body


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
    if any(_CONTROL.search(name) or _CONTROL.search(value) for name, value in answer.fields):
        raise ValueError("a field of the answer holds a control byte")
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Refused')}"]
    lines += [f"{name}: {value}" for name, value in answer.fields]
    if answer.status not in _WITHOUT_BODY:
        lines.append(f"Content-Length: {len(answer.body)}")
    lines.append(f"Date: {formatdate(usegmt=True)}")
    if close:
        lines.append("Connection: close")
    body = b"" if for_head or answer.status in _WITHOUT_BODY else answer.body
    return "\r\n".join((*lines, "", "")).encode("ascii", "replace") + body


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
