"""One answer of an upstream, read off the wire byte by byte or all at once, as strictly as a request. Pure.

A head is read as it stands once the grammar of RFC 9112 has let it pass without any leniency. httptools' parser is
fed only with such heads, and says how the body is framed; whatever two readers might cut differently is broken.
"""

from __future__ import annotations

import re

import httptools

from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding.answers import WireAnswer, check_head, length_is_known
from gateway.wire.fields import Fields, read_fields

MAX_HEAD_BYTES = 32 << 10  # interim answers included
_MAX_LINE_BYTES = 8190
_MAX_FIELDS = 64

_END = b"\r\n\r\n"
_HEAD = re.compile(
    rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)
_BEGINNING = b"HTTP/1."
_LAST_CHUNK = b"0\r\n\r\n"
_NO_FIELDS = Fields(())


class AnswerReader:
    """Reads one answer; `answer` is there once it is whole."""

    __slots__ = (
        "_after_head_bytes", "_body", "_body_bytes", "_fields", "_head", "_head_bytes", "_in_body", "_max_bytes",
        "_parser", "_status", "_tail", "_trailing", "_wire_bytes", "answer", "begun", "keeps_connection",
    )  # fmt: skip

    def __init__(self, max_body_bytes: int) -> None:
        self.answer: WireAnswer | None = None
        self.begun = False  # whether a single byte has come
        self.keeps_connection = False  # whether another request may follow on the connection
        self._max_bytes = max_body_bytes
        self._head = bytearray()
        self._head_bytes = self._after_head_bytes = self._wire_bytes = self._body_bytes = 0
        self._tail = b""
        self._status, self._fields = 0, _NO_FIELDS  # of the last head, once it is whole
        self._body: list[bytes] = []
        self._in_body = self._trailing = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bool:
        """Take what came; whether the answer is whole now.

        Raises:
            Refusal: UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE; the connection is of no more use.
        """
        self.begun = True
        self._wire_bytes += len(data)
        if self._wire_bytes > 2 * self._max_bytes + (256 << 10):  # chunks of a few bytes are mostly framing
            raise Refusal(Reason.UPSTREAM_TOO_LARGE, note="more bytes came than any allowed answer has")
        while data and not self._in_body:
            if self.answer is not None:
                raise _broken("bytes behind the end of the answer")
            data = self._feed_head(data)
        if data:
            self._after_head_bytes += len(data)
            self._parse(data)
        self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
        if self._trailing or (self.answer is not None and not self._ends_here(self.answer)):
            raise _broken("bytes behind the end of the answer")
        return self.answer is not None

    def end(self) -> bool:
        """The upstream sends nothing more; whether that makes the answer whole (RFC 9112 section 6.3, rule 8)."""
        if self._in_body and not length_is_known(self._status, self._fields):
            self._complete()
            self.keeps_connection = False
        return self.answer is not None

    def _feed_head(self, data: bytes) -> bytes:
        """Take what belongs to a head; the rest."""
        searched = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(_END, searched)
        size = end + len(_END) if end >= 0 else len(self._head)
        if self._head_bytes + size > MAX_HEAD_BYTES:
            raise Refusal(Reason.UPSTREAM_TOO_LARGE, note="a head without measure")
        if end < 0:
            if not _BEGINNING.startswith(self._head[: len(_BEGINNING)]):
                raise _broken("no HTTP answer")
            return b""
        head, rest = bytes(self._head[:size]), bytes(self._head[size:])
        self._head.clear()
        self._head_bytes += size
        self._fields = _read_head(head)
        self._parse(head)
        return rest

    def _ends_here(self, answer: WireAnswer) -> bool:
        """Whether nothing came behind a whole answer: llhttp skips empty lines there without a word."""
        if "transfer-encoding" in answer.fields.by_name:
            return self._tail == _LAST_CHUNK  # so trailers, which nobody needs, are refused too
        return self._after_head_bytes == len(answer.body)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refusal):
                raise error.__context__ from None
            raise
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise _broken(f"malformed: {type(error).__name__}") from error

    # What the parser calls --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.answer is not None:
            self._trailing = True

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._trailing or 100 <= status < 200:
            return
        check_head(status, self._fields, self._max_bytes)
        self._status, self._in_body = status, True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._max_bytes:
            raise Refusal(Reason.UPSTREAM_TOO_LARGE, note=f"more than {self._max_bytes} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._trailing and self._in_body:
            self._complete()

    def _complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self.answer = WireAnswer(self._status, self._fields, body)
        self.keeps_connection = bool(self._parser.should_keep_alive()) and not _may_have_a_body_all_the_same(
            self.answer
        )
        self._in_body = False


def _may_have_a_body_all_the_same(answer: WireAnswer) -> bool:
    """Whether a 204 or 304 announces a body: some servers send it, and it would be read as the next answer."""
    if answer.status not in (204, 304):
        return False
    found = answer.fields.by_name
    return found.get("content-length", ("0",)) != ("0",) or "transfer-encoding" in found


def _read_head(head: bytes) -> Fields:
    """The fields of a head that passes; trailers, which say nothing that a gateway may pass on, never get here."""
    if head.count(b"\r\n") > _MAX_FIELDS + 2 or (
        len(head) > _MAX_LINE_BYTES and any(len(line) > _MAX_LINE_BYTES for line in head.split(b"\r\n"))
    ):
        raise _broken("a head with too many fields, or too long ones")
    if not _HEAD.fullmatch(head):
        raise _broken("the answer's head is malformed")
    if head[9:12] == b"101":
        raise _broken("101, which nobody asked for")
    _, *lines = head[: -len(_END)].decode("ascii", "surrogateescape").split("\r\n")
    return read_fields(lines)


def _broken(note: str) -> Refusal:
    return Refusal(Reason.UPSTREAM_BROKEN, note=note)
