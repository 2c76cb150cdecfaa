"""What the upstream said, judged: is it an answer to pass on, or the reason why there is none? Pure."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import orjson

from gateway.exchange import UpstreamAnswer
from gateway.refusal import Reason, Refusal
from gateway.scim.documents import Document, JsonValue
from gateway.scim.messages import answer_is_scim
from gateway.scim.versions import Version
from gateway.wire.fields import Fields
from gateway.wire.media_types import answer_is_json

PASSED_FIELDS = {"location": "Location", "etag": "ETag", "retry-after": "Retry-After"}

_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_PIECE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """An answer as it came over the wire; its body as long as its framing says, still in its content coding."""

    status: int
    fields: Fields
    body: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer to pass on; or a reason, with the answer only if its fields tell more (Retry-After)."""

    answer: UpstreamAnswer | None
    reason: Reason | None = None
    note: str = ""


def length_is_known(status: int, fields: Fields) -> bool:
    """Whether a cut would show; else the body ends with the connection (RFC 9112 section 6.3, rule 8)."""
    found = fields.by_name
    return status in (204, 304) or "content-length" in found or "transfer-encoding" in found


def check_head(status: int, fields: Fields, max_body_bytes: int) -> None:
    """Refuse a head that the parser lets pass and a gateway must not.

    Raises:
        Refusal: UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE.
    """
    found = fields.by_name
    lengths, codings = found.get("content-length", ()), found.get("transfer-encoding", ())
    if not 200 <= status <= 599:
        raise Refusal(Reason.UPSTREAM_BROKEN, note=f"status {status}")
    if len(lengths) + len(codings) > 1 or [c for c in codings if c.lower() != "chunked"]:
        raise Refusal(Reason.UPSTREAM_BROKEN, note="the length of the answer can be read in two ways")
    if lengths and int(lengths[0]) > max_body_bytes:
        raise Refusal(Reason.UPSTREAM_TOO_LARGE, note=f"{lengths[0]} bytes announced; {max_body_bytes} are allowed")


def decode_body(answer: WireAnswer, max_bytes: int) -> bytes:
    """The body without its content coding: gzip is undone though it was not asked for, others are refused.

    Raises:
        Refusal: UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE.
    """
    if "content-encoding" not in answer.fields.by_name or not answer.body:
        return answer.body
    codings = [coding.lower() for coding in answer.fields.all("Content-Encoding")]
    if codings == ["identity"]:
        return answer.body
    if codings not in (["gzip"], ["x-gzip"]):
        raise Refusal(Reason.UPSTREAM_BROKEN, note="the answer has a content coding other than gzip")
    return _gunzip(answer.body, max_bytes)


def judge(method: str, status: int, fields: Fields, body: bytes, version: Version = Version.V2_0) -> Verdict:
    """What a complete answer to `method` means; its body without content coding."""
    reason = _reason_of_status(status)
    if reason is Reason.UPSTREAM_BUSY:
        wish = {name: value for name, value in passed_fields(fields).items() if name == "Retry-After"}
        return Verdict(UpstreamAnswer(status, wish, b""), reason, "status 429")
    if reason is not None:
        return Verdict(None, reason, f"status {status}")
    if not body:
        if method == "GET" and status < 300:
            return _not_scim(status, "but no body")
        return Verdict(UpstreamAnswer(status, passed_fields(fields), body))
    document = _read_json(fields, body)
    if isinstance(document, str):
        return _not_scim(status, document)
    if not answer_is_scim(status, document, version):
        return _not_scim(status, "but JSON of another kind")
    return Verdict(UpstreamAnswer(status, passed_fields(fields), body, document))


def is_scim(fields: Fields, body: bytes) -> bool:
    """Whether a body is a JSON object and says so."""
    return bool(body) and isinstance(_read_json(fields, body), dict)


def passed_fields(fields: Fields) -> dict[str, str]:
    """The fields that may go on. Repeated ones, and values with anything but printable ASCII, are left out."""
    found = fields.by_name
    return {
        name: found[folded][0]
        for folded, name in PASSED_FIELDS.items()
        if folded in found and len(found[folded]) == 1 and _PRINTABLE.fullmatch(found[folded][0])
    }


def _reason_of_status(status: int) -> Reason | None:
    if status in (200, 201, 204):
        return None
    if status in (401, 403):
        return Reason.UPSTREAM_CREDENTIAL
    if status == 429:
        return Reason.UPSTREAM_BUSY
    if status in (502, 503, 504):
        return Reason.UPSTREAM_UNAVAILABLE
    if status == 206:  # a part of an answer, which nobody asked for
        return Reason.UPSTREAM_BROKEN
    if 300 <= status <= 399 and status != 304:
        return Reason.UPSTREAM_REDIRECT
    return None


def _not_scim(status: int, problem: str) -> Verdict:
    return Verdict(None, Reason.UPSTREAM_NOT_SCIM, f"status {status}, {problem}")


def _read_json(fields: Fields, body: bytes) -> Document | str:
    """The JSON object that a body is and says to be; else what is wrong with it."""
    types = fields.all("Content-Type")
    if len(types) > 1 or (types and not answer_is_json(types[0])):
        return "but its Content-Type is not JSON"
    try:
        document: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "but its body is not JSON"
    return document if isinstance(document, dict) else "but its body is not a JSON object"


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    # SECURITY: in pieces, so that a bomb costs no more memory than the largest allowed answer.
    decompressor = zlib.decompressobj(wbits=31)
    pieces: list[bytes] = []
    size, rest = 0, body
    try:
        while not decompressor.eof and (piece := decompressor.decompress(rest, _PIECE_BYTES)):
            size, rest = size + len(piece), decompressor.unconsumed_tail
            if size > max_bytes:
                raise Refusal(Reason.UPSTREAM_TOO_LARGE, note=f"unpacks to more than {max_bytes} bytes")
            pieces.append(piece)
    except zlib.error as error:
        raise Refusal(Reason.UPSTREAM_BROKEN, note="the answer is not well-formed gzip") from error
    if not decompressor.eof or decompressor.unused_data:
        raise Refusal(Reason.UPSTREAM_BROKEN, note="the answer's gzip is cut, or goes on after its end")
    return b"".join(pieces)
