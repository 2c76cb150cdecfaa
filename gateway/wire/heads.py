"""The head of an HTTP/1.1 request, judged as bytes before any parser may repair it. Pure.

RFC 9112 lets readers be lenient in a dozen places, and every leniency that two readers do not share is a way to
smuggle a request. Only the strict grammar passes here. The parser behind reads the same bytes; what it would
take differently never reaches it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.refusal import Reason, Refusal
from gateway.wire.fields import Fields, read_fields
from gateway.wire.target import host_is_wellformed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # the rest is never SCIM
SINGLE = ("content-type", "content-encoding", "expect", "if-match", "if-none-match")

_END = b"\r\n\r\n"
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"  # RFC 9110 section 5.5: no other control byte
# RFC 9112 section 3 and 5: one space, CRLF, no folding, no space before a colon.
_REQUEST_LINE = re.compile(rb"[^\x00-\x20\x7f]+ [^\x00-\x20\x7f]+ HTTP/1\.1")
_SECTION = re.compile(rb"(?:" + _TOKEN + rb":" + _VALUE + rb"\r\n)*\r\n")
_LINE = re.compile(rb"([^\x00-\x20\x7f]+) ([^\x00-\x20\x7f]+) (HTTP/[0-9]+(?:\.[0-9]+)?)\r\n")
_SIMPLE_REQUEST = re.compile(rb"[A-Z]+ [^\x00-\x20\x7f]+\r\n")  # HTTP/0.9
_NEVER = re.compile(
    rb"(?<!\r)\n|\r[^\n]|\x00"
)  # wrong wherever it stands, so it is refused without waiting for the end
_STARTS = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """Bytes of the request line and of each field, and the number of fields, at most."""

    max_line_bytes: int
    max_fields: int

    @property
    def max_head_bytes(self) -> int:
        return 4 * self.max_line_bytes  # a long filter and a long token fit together


@dataclass(frozen=True, slots=True)
class FieldSection:
    """All of a head behind its request line, as it was judged; clients send the same one over and over."""

    raw: bytes  # with the empty line
    fields: Fields
    body_bytes: int | None  # None: chunked
    expects_continue: bool

    @property
    def has_body(self) -> bool:
        return self.body_bytes != 0


@dataclass(frozen=True, slots=True)
class Head:
    """A head as it came: nothing decoded, nothing merged; and where it ends."""

    method: str
    target: str  # raw; bytes above 0x7f as surrogate escapes
    section: FieldSection
    size: int  # bytes, with the empty line


def read_head(
    data: bytes | bytearray, limits: HeadLimits, judged: int = 0, last: FieldSection | None = None
) -> Head | None:
    """Judge the head at the start of `data`; None when more bytes are needed.

    `judged` is how many of the bytes an earlier call has seen, and found to be too few. `last` is of an earlier head
    of the same sender, judged by the same limits: the same bytes are not judged twice.

    Raises:
        Refusal: HEAD_MALFORMED, HEAD_TOO_LARGE, VERSION_UNSUPPORTED, METHOD_UNSUPPORTED, FRAMING_AMBIGUOUS,
            HOST_MALFORMED, FIELD_MALFORMED, EXPECTATION_UNKNOWN.
    """
    # SECURITY: a head may come byte by byte, so bytes are never searched twice; only a line end may lie across.
    end = data.find(_END, max(0, judged - len(_END)), limits.max_head_bytes)
    if end < 0:
        _judge_beginning(data, limits, judged)
        return None
    head = bytes(data[: end + len(_END)])
    line, _, raw = head.partition(b"\r\n")
    # SECURITY: no digest and no part of the bytes will do; a section that differs in one of them is another one.
    known = last if last is not None and last.raw == raw else None
    if known is None and raw.count(b"\r\n") - 1 > limits.max_fields:
        raise Refusal(Reason.HEAD_TOO_LARGE)
    if end > limits.max_line_bytes and any(len(part) > limits.max_line_bytes for part in head.split(b"\r\n")):
        raise Refusal(Reason.HEAD_TOO_LARGE)
    if not _REQUEST_LINE.fullmatch(line) or (known is None and not _SECTION.fullmatch(raw)):
        raise _explain(head)
    method, target, _ = line.decode("ascii", "surrogateescape").split(" ")
    if method not in METHODS:
        raise Refusal(Reason.METHOD_UNSUPPORTED)
    return Head(method, target, known or _read_section(raw), len(head))


def _read_section(raw: bytes) -> FieldSection:
    fields = read_fields(raw.decode("ascii", "surrogateescape").split("\r\n")[:-2])
    body_bytes, expects_continue = _judge_fields(fields)
    return FieldSection(raw, fields, body_bytes, expects_continue)


def _judge_beginning(data: bytes | bytearray, limits: HeadLimits, judged: int) -> None:
    """Refuse at once what no further byte can mend; a stranger shall not wait out a deadline with it."""
    if data and not _STARTS.match(data):
        raise Refusal(Reason.HEAD_MALFORMED, note="does not start with a method")
    if _NEVER.search(data, max(0, judged - 1)):
        raise Refusal(Reason.HEAD_MALFORMED, note="a bare CR or LF, or a NUL")
    if len(data) >= limits.max_head_bytes or (len(data) > limits.max_line_bytes and b"\r\n" not in data):
        raise Refusal(Reason.HEAD_TOO_LARGE)


def _explain(head: bytes) -> Refusal:
    line = _LINE.match(head)
    if line and line[3] != b"HTTP/1.1":
        return Refusal(Reason.VERSION_UNSUPPORTED, note=line[3][:16].decode())
    if _SIMPLE_REQUEST.match(head):
        return Refusal(Reason.VERSION_UNSUPPORTED, note="HTTP/0.9")
    return Refusal(Reason.HEAD_MALFORMED, note="a field" if line else "the request line")


def _judge_fields(fields: Fields) -> tuple[int | None, bool]:
    """The length of the body, None for chunked; and whether the client waits to be asked for it."""
    found = fields.by_name
    hosts = found.get("host", ())
    if len(hosts) != 1 or not host_is_wellformed(hosts[0]):
        raise Refusal(Reason.HOST_MALFORMED, note="not exactly one well-formed Host")
    if len(found) != len(fields.pairs):
        for name in SINGLE:
            if len(found.get(name, ())) > 1:
                raise Refusal(Reason.FIELD_MALFORMED, note=f"repeated: {name}")
    if "upgrade" in found:
        # SECURITY: a parser stops at an upgrade and takes the body for what follows it (CVE-2026-69243).
        raise Refusal(Reason.FIELD_MALFORMED, note="no upgrade is offered")
    expectation = found["expect"][0].lower() if "expect" in found else ""
    if expectation not in ("", "100-continue"):
        raise Refusal(Reason.EXPECTATION_UNKNOWN)
    return _body_bytes(found), expectation == "100-continue"


def _body_bytes(found: Mapping[str, tuple[str, ...]]) -> int | None:
    """RFC 9112 section 6.3, without its leniencies: one length, or chunked alone, never both."""
    lengths, codings = found.get("content-length", ()), found.get("transfer-encoding", ())
    if codings:
        if lengths or len(codings) != 1 or codings[0].lower() != "chunked":
            raise Refusal(
                Reason.FRAMING_AMBIGUOUS, note="both lengths" if lengths else "a coding that is not chunked alone"
            )
        return None
    if not lengths:
        return 0
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Refusal(Reason.FRAMING_AMBIGUOUS, note="Content-Length is no single number")
    return int(lengths[0])
