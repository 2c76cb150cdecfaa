"""Request heads: the strict grammar passes, every leniency is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.wire.heads import Head, HeadLimits, read_head

LIMITS = HeadLimits(max_line_bytes=1024, max_fields=32)
GOOD = b"GET /scim/v2/Users HTTP/1.1\r\nHost: a\r\nAccept: application/scim+json\r\n\r\n"


def head(*lines: bytes, first: bytes = b"POST /Users HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def refused(data: bytes) -> Reason:
    with pytest.raises(Refusal) as error:
        read_head(data, LIMITS)
    return error.value.reason


def judge(data: bytes, after: bytes = b"") -> Head | Reason | None:
    """What becomes of a head that its sender sends behind another one, if that one passes."""
    try:
        before = judge(after) if after else None
        return read_head(data, LIMITS, last=before.section if isinstance(before, Head) else None)
    except Refusal as refusal:
        return refusal.reason


def test_a_plain_head_passes() -> None:
    read = read_head(GOOD + b"rest", LIMITS)

    assert read is not None
    assert (read.size, read.section.body_bytes, read.section.expects_continue) == (len(GOOD), 0, False)


@pytest.mark.parametrize("cut", range(len(GOOD)))
def test_a_head_may_come_in_any_pieces(cut: int) -> None:
    assert read_head(GOOD[:cut], LIMITS) is None
    assert read_head(GOOD, LIMITS, judged=cut) == read_head(GOOD, LIMITS)


@pytest.mark.parametrize("bad", [b"\n", b"\r\r", b"\x00"])
@pytest.mark.parametrize("place", range(4, len(GOOD) - 4))
def test_what_is_never_right_is_seen_wherever_the_pieces_are_cut(place: int, bad: bytes) -> None:
    data = GOOD[:place] + bad + GOOD[place:-4]
    if bad == b"\n" and GOOD[place - 1 : place] == b"\r":
        return  # that makes a line end

    def in_pieces() -> None:
        for size in range(1, len(data) + 1):
            assert read_head(data[:size], LIMITS, judged=size - 1) is None

    with pytest.raises(Refusal):
        in_pieces()


def test_a_value_full_of_spaces_costs_no_more_than_another() -> None:
    def seconds(filling: bytes) -> float:
        data = b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"A: a" + filling * 8000 + b"a\r\n") * 3 + b"\r\n"
        started = time.process_time()
        assert read_head(data, HeadLimits(max_line_bytes=8190, max_fields=32)) is not None
        return time.process_time() - started

    assert min(seconds(b" ") for _ in range(5)) < 20 * seconds(b"a") + 0.01  # one may pay for others' garbage


def test_a_head_that_comes_byte_by_byte_is_not_searched_again_and_again() -> None:
    whole = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 500
    limits, data = HeadLimits(max_line_bytes=8190, max_fields=1000), bytearray()
    started = time.process_time()
    for byte in whole:
        data.append(byte)
        assert read_head(data, limits, judged=len(data) - 1) is None

    assert time.process_time() - started < 1.0  # searched whole each time, it takes several seconds


@pytest.mark.parametrize(
    ("line", "length"),
    [(b"Content-Length: 5", 5), (b"content-length:5", 5), (b"Content-Length: \t5 \t", 5), (b"Content-Length: 007", 7)],
)
def test_a_length_is_read(line: bytes, length: int) -> None:
    read = read_head(head(line), LIMITS)

    assert read is not None
    assert read.section.body_bytes == length


def test_chunked_alone_is_read() -> None:
    read = read_head(head(b"Transfer-Encoding: Chunked"), LIMITS)

    assert read is not None
    assert read.section.body_bytes is None
    assert read.section.has_body


def test_an_expectation_is_seen() -> None:
    read = read_head(head(b"Expect: 100-Continue", b"Content-Length: 1"), LIMITS)

    assert read is not None
    assert read.section.expects_continue


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Content-Length: 5", b"Content-Length: 5"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Content-Length: 5, 5"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Content-Length: +5"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Content-Length:"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Content-Length: 9999999999999999"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Transfer-Encoding: gzip, chunked"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Transfer-Encoding: identity"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Transfer-Encoding:"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), Reason.FRAMING_AMBIGUOUS),
        (head(b"Transfer-Encoding : chunked"), Reason.HEAD_MALFORMED),
        (head(b"X: a\r\n folded"), Reason.HEAD_MALFORMED),
        (head(b"X: a\x01"), Reason.HEAD_MALFORMED),
        (head(b"(X): a"), Reason.HEAD_MALFORMED),
        (head(host=b""), Reason.HOST_MALFORMED),
        (head(b"host: b"), Reason.HOST_MALFORMED),
        (head(b"Content-Type: a", b"content-type: b"), Reason.FIELD_MALFORMED),
        (head(b"Upgrade: websocket"), Reason.FIELD_MALFORMED),
        (head(b"Expect: 200-ok"), Reason.EXPECTATION_UNKNOWN),
        (head(first=b"GET / HTTP/1.0"), Reason.VERSION_UNSUPPORTED),
        (head(first=b"GET / HTTP/2.0"), Reason.VERSION_UNSUPPORTED),
        (head(first=b"GET / HTTP/1.10"), Reason.VERSION_UNSUPPORTED),
        (b"GET /\r\n\r\n", Reason.VERSION_UNSUPPORTED),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Reason.VERSION_UNSUPPORTED),
        (head(first=b"CONNECT a:1 HTTP/1.1"), Reason.METHOD_UNSUPPORTED),
        (head(first=b"TRACE / HTTP/1.1"), Reason.METHOD_UNSUPPORTED),
        (head(first=b"get / HTTP/1.1"), Reason.METHOD_UNSUPPORTED),
        (head(first=b"GET  / HTTP/1.1"), Reason.HEAD_MALFORMED),
        (head(first=b"GET / http/1.1"), Reason.HEAD_MALFORMED),
        (b"\r\n" + GOOD, Reason.HEAD_MALFORMED),
        (b"\x16\x03\x01", Reason.HEAD_MALFORMED),
        (b"GET / HTTP/1.1\n", Reason.HEAD_MALFORMED),
        (b"GET / HTTP/1.1\rHost: a", Reason.HEAD_MALFORMED),
        (head(b"X: " + b"a" * 1100), Reason.HEAD_TOO_LARGE),
        (head(*[b"X: a"] * 40), Reason.HEAD_TOO_LARGE),
        (b"GET /" + b"a" * 1100, Reason.HEAD_TOO_LARGE),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 1000, Reason.HEAD_TOO_LARGE),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(data: bytes, reason: Reason) -> None:
    assert refused(data) is reason


@given(st.binary(max_size=300))
def test_any_bytes_are_judged_without_another_error(data: bytes) -> None:
    try:
        read_head(data, LIMITS)
    except Refusal as refusal:
        assert 400 <= refusal.reason.status < 600


LINES = [
    b"Host: a", b"Host: A", b"host: a", b"Host:  a", b"Host: b", b"X: 1", b"X: 2", b"X:", b"X : 1", b" X: 1",
    b"x" * 1025, b"Authorization: Bearer a", b"Authorization: Bearer b", b"Content-Length: 1", b"Content-Length: 01",
    b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Upgrade: x", b"\n", b"",
]  # fmt: skip
FIRST_LINES = [
    b"GET / HTTP/1.1", b"PUT /a HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.0", b"GET /", b"get / HTTP/1.1",
    b"GET /" + b"a" * 1024 + b" HTTP/1.1", b"",
]  # fmt: skip
FIELDS = st.lists(st.sampled_from(LINES), max_size=4).map(lambda lines: b"\r\n".join([b"", *lines, b"", b""]))


@pytest.mark.parametrize("line", FIRST_LINES)
def test_a_request_line_is_judged_though_its_fields_have_passed_before(line: bytes) -> None:
    _, _, fields = GOOD.partition(b"\r\n")

    assert judge(line + b"\r\n" + fields, after=GOOD) == judge(line + b"\r\n" + fields)


@given(st.sampled_from(FIRST_LINES), FIELDS, FIELDS)
def test_fields_are_judged_alike_whatever_came_before_them(line: bytes, before: bytes, fields: bytes) -> None:
    assert judge(line + fields, after=FIRST_LINES[0] + before) == judge(line + fields)


@pytest.mark.parametrize(
    "second",
    [
        GOOD,
        GOOD.replace(b"Host: a", b"Host: b"),
        GOOD.replace(b"scim+json", b"scim+jsom"),
        GOOD.replace(b"Accept:", b"Accept :"),
        GOOD.replace(b"\r\n\r\n", b"\r\nX: 1\r\n\r\n"),
    ],
)
def test_fields_that_differ_in_one_byte_are_others(second: bytes) -> None:
    assert judge(second, after=GOOD) == judge(second)


@pytest.mark.parametrize("fields", [[b"X: %d" % number for number in range(31)], [b"X: " + b"a" * 1000] * 3])
def test_a_line_that_is_too_long_is_refused_before_fields_that_have_passed(fields: list[bytes]) -> None:
    before = read_head(head(*fields), LIMITS)
    long = head(*fields, first=b"POST /" + b"a" * 1024 + b" HTTP/1.1")

    assert before is not None
    with pytest.raises(Refusal) as error:
        read_head(long, LIMITS, last=before.section)
    assert error.value.reason is Reason.HEAD_TOO_LARGE


@given(
    st.lists(
        st.sampled_from([b"\r\n", b"\n", b" ", b"\t", b":", b"a", b"Content-Length", b"5", b"Host: a\r\n"]), max_size=12
    )
)
def test_a_head_that_passes_has_one_host_and_one_length(pieces: list[bytes]) -> None:
    data = b"POST / HTTP/1.1\r\n" + b"".join(pieces) + b"\r\n\r\n"
    try:
        read = read_head(data, LIMITS)
    except Refusal:
        return
    lines = data[: read.size if read else 0].lower().split(b"\r\n")

    assert sum(line.startswith(b"host:") for line in lines) == 1
    assert sum(line.startswith(b"content-length") for line in lines) <= 1
