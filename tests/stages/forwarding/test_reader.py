"""Reading answers: the same result however their bytes are cut, and nothing but a Refusal for what is none."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding.reader import MAX_HEAD_BYTES, AnswerReader

MAX = 65536
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Read:
    """What came of an answer."""

    status: int = 0
    body: bytes = b""
    kept: bool = False
    reason: Reason | None = None
    fields: tuple[tuple[str, str], ...] = ()


def read(*pieces: bytes, ended: bool = False, max_body_bytes: int = MAX) -> Read | None:
    """What a reader makes of pieces; None while it waits for more."""
    reader = AnswerReader(max_body_bytes)
    try:
        whole = False
        for piece in pieces:
            whole = reader.feed(piece)
        if ended:
            whole = reader.end()
    except Refusal as refusal:
        return Read(reason=refusal.reason)
    if not whole:
        assert reader.answer is None
        return None
    assert reader.answer is not None
    return Read(reader.answer.status, reader.answer.body, reader.keeps_connection, fields=reader.answer.fields.pairs)


def read_every_way(data: bytes, *, ended: bool = False) -> Read | None:
    """Whole, byte by byte and cut once at every place; all must come to the same."""
    found = read(data, ended=ended)
    assert read(*(data[place : place + 1] for place in range(len(data))), ended=ended) == found, "byte by byte"
    for place in range(1, len(data)):
        assert read(data[:place], data[place:], ended=ended) == found, (data[:place], data[place:])
    return found


WHOLE: dict[str, tuple[bytes, int, bytes, bool]] = {
    "a length": (b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 2\r\n\r\n{}", 200, b"{}", True),
    "a length of nothing": (b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, b"", True),
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True),
    "neither reason nor space": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304": (b'HTTP/1.1 304 Not Modified\r\nETag: W/"1"\r\n\r\n', 304, b"", True),
    "chunked": (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", 200, b"{}", True),
    "several chunks": (CHUNKED + b"1\r\n{\r\nA\r\n          \r\n1\r\n}\r\n0\r\n\r\n", 200, b"{          }", True),
    "a chunk extension": (CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n", 200, b"{}", True),
    "a body that looks like an answer": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, b"HTTP/1.1 200 OK\r\n\r\n", True,
    ),
    "a body of line ends": (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n", 200, b"\r\n" * 4, True),
    "chunks of line ends": (CHUNKED + b"6\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", 200, b"\r\n" * 3, True),
    "103 before": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True,
    ),
    "100 twice before": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + b"HTTP/1.1 204 N\r\n\r\n", 204, b"", True),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    "close among others": (b"HTTP/1.1 200 OK\r\nConnection: a,Close\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    "HTTP/1.0 kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True,
    ),
    "bytes above 0x7f": (b"HTTP/1.1 200 caf\xe9\r\nX-A: \xff\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", True),
    "blanks around a value": (b"HTTP/1.1 200 OK\r\nContent-Length:  \t2 \t\r\n\r\n{}", 200, b"{}", True),
}  # fmt: skip


@pytest.mark.parametrize(("data", "status", "body", "kept"), WHOLE.values(), ids=WHOLE)
def test_a_whole_answer_is_read_however_it_is_cut(data: bytes, status: int, body: bytes, kept: bool) -> None:
    found = read_every_way(data)

    assert found is not None
    assert (found.reason, found.status, found.body, found.kept) == (None, status, body, kept)


@pytest.mark.parametrize("data", [data for data, *_ in WHOLE.values()], ids=WHOLE)
def test_an_answer_is_whole_at_its_last_byte_and_not_before(data: bytes) -> None:
    for end in range(len(data)):
        assert read(data[:end]) is None, data[:end]


@pytest.mark.parametrize("behind", [b"x", b"\r\n", b"\n", b"\0", b"\r\n\r\n", b"HTTP/1.1 204 N\r\n\r\n"])
@pytest.mark.parametrize("data", [data for data, _, _, kept in WHOLE.values() if kept], ids=str)
def test_a_byte_behind_the_end_breaks_the_answer(data: bytes, behind: bytes) -> None:
    assert read_every_way(data + behind) == Read(reason=Reason.UPSTREAM_BROKEN)


@pytest.mark.parametrize("behind", [b"x", b"\r\n", b"HTTP/1.1 204 N\r\n\r\n"])
@pytest.mark.parametrize("data", [data for data, *_ in WHOLE.values()], ids=WHOLE)
def test_a_byte_behind_the_end_never_gets_into_the_answer(data: bytes, behind: bytes) -> None:
    alone = read(data)
    for place in range(1, len(data)):
        found = read(data[:place], data[place:] + behind)
        assert found is not None
        assert found == alone or found.reason is Reason.UPSTREAM_BROKEN


UNTIL_THE_END: dict[str, tuple[bytes, bytes]] = {
    "HTTP/1.1": (b"HTTP/1.1 200 OK\r\n\r\n{}", b"{}"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n{}", b"{}"),
    "nothing": (b"HTTP/1.1 200 OK\r\n\r\n", b""),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}\r\n\r\n", b"{}\r\n\r\n"),
    "keep-alive, which cannot be": (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n{}", b"{}"),
}


@pytest.mark.parametrize(("data", "body"), UNTIL_THE_END.values(), ids=UNTIL_THE_END)
def test_an_answer_without_length_ends_with_its_connection_and_not_before(data: bytes, body: bytes) -> None:
    assert read_every_way(data) is None
    found = read_every_way(data, ended=True)
    assert found is not None
    assert (found.reason, found.status, found.body, found.kept) == (None, 200, body, False)


@pytest.mark.parametrize("data", [data for data, *_ in WHOLE.values()], ids=WHOLE)
def test_an_answer_that_the_end_cuts_short_is_none(data: bytes) -> None:
    for end in range(len(data)):
        assert read(data[:end], ended=True) is None, data[:end]


HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "a folded field": HEAD + b"X-A: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a folded length": HEAD + b"Content-Length:\r\n 2\r\n\r\n{}",
    "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}\r\n\r\n",
    "a bare LF in the head": HEAD + b"X-A: a\nContent-Length: 2\r\n\r\n{}",
    "a bare CR in the head": HEAD + b"X-A: a\rContent-Length: 2\r\n\r\n{}",
    "NUL": HEAD + b"X-A: \0\r\nContent-Length: 2\r\n\r\n{}",
    "a space before the colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "a space before the name": HEAD + b" Content-Length: 2\r\n\r\n{}",
    "a name of nothing": HEAD + b": 2\r\n\r\n{}",
    "a line without a colon": HEAD + b"Content-Length 2\r\n\r\n{}",
    "two spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a tab": b"HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
    "status 600": b"HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\n{}",
    "101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "101 before": b"HTTP/1.1 101 Switching\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\n{}",
    "HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "http in small letters": b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "an empty line first": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00",
    "both framings": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a length with a point": HEAD + b"Content-Length: 2.0\r\n\r\n{}",
    "an empty length": HEAD + b"Content-Length: \r\n\r\n{}",
    "a length in other digits": HEAD + b"Content-Length: \xd9\xa2\r\n\r\n{}",
    "an underscore in a length": HEAD + b"Content-Length: 1_0\r\n\r\n{}        ",
    "gzip, chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a coding that is none": HEAD + b"Transfer-Encoding: identity\r\n\r\n{}",
    "chunked with a tail": HEAD + b"Transfer-Encoding: chunked;q=1\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an empty coding": HEAD + b"Transfer-Encoding:\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked with a vertical tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk size in other letters": CHUNKED + b"g\r\n{}\r\n0\r\n\r\n",
    "a hexadecimal prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a signed chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "an endless chunk": CHUNKED + b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n",
    "an empty chunk size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk that ends late": CHUNKED + b"2\r\n{}{}\r\n0\r\n\r\n",
    "a chunk that ends with LF": CHUNKED + b"2\n{}\n0\n\n",
    "a chunk whose data ends with LF": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "65 fields": HEAD + b"X-A: a\r\n" * 65 + b"Content-Length: 2\r\n\r\n{}",
    "a line of 9000 bytes": HEAD + b"X-A: " + b"a" * 9000 + b"\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_two_readers_might_cut_differently_is_broken(data: bytes) -> None:
    assert read(data, ended=True) == Read(reason=Reason.UPSTREAM_BROKEN)
    assert read(*(data[place : place + 1] for place in range(len(data)))) == Read(reason=Reason.UPSTREAM_BROKEN)


@pytest.mark.parametrize("name", [name for name, data in BROKEN.items() if len(data) < 500])
def test_what_is_broken_is_broken_however_it_is_cut(name: str) -> None:
    assert read_every_way(BROKEN[name], ended=True) == Read(reason=Reason.UPSTREAM_BROKEN)


@pytest.mark.parametrize(
    "beginning", [b"x", b"\0", b"\r", b"HTTQ", b"HTTP/2", b"http", b" HTTP/1.1", b"<html>", b"SSH-2.0", b"\x16"]
)
def test_what_can_never_become_an_answer_is_refused_without_waiting(beginning: bytes) -> None:
    assert read(beginning) == Read(reason=Reason.UPSTREAM_BROKEN)


def test_trailers_are_refused() -> None:
    assert read(CHUNKED + b"2\r\n{}\r\n0\r\nLocation: x\r\n\r\n") == Read(reason=Reason.UPSTREAM_BROKEN)


def test_fields_come_as_they_are() -> None:
    found = read(HEAD + b"X-A: 1\r\nx-a:2\t \r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n")

    assert found is not None
    assert found.fields == (("X-A", "1"), ("x-a", "2"), ("Transfer-Encoding", "Chunked"))


def test_the_fields_of_an_interim_answer_are_nobodys() -> None:
    found = read(b"HTTP/1.1 103 E\r\nLocation: a\r\nContent-Length: 5\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\n{}")

    assert found is not None
    assert found.reason is Reason.UPSTREAM_BROKEN or found.fields == (("Content-Length", "2"),)


LARGE = {
    "announced": HEAD + b"Content-Length: %d\r\n\r\n" % (MAX + 1),
    "a length of 400 digits": HEAD + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
    "in one chunk": CHUNKED + b"%x\r\n" % (MAX + 1) + b"x" * (MAX + 1),
    "in many chunks": CHUNKED + b"1\r\nx\r\n" * (MAX + 1),
    "without a length": HEAD + b"\r\n" + b"x" * (MAX + 1),
    "extensions without end": CHUNKED + b"1;" + b"x" * (1 << 20),
    "trailers without end": CHUNKED + b"0\r\n" + b"X-A: a\r\n" * (1 << 17),
    "a head without end": HEAD + b"X-A: a\r\n" * (MAX_HEAD_BYTES // 8),
    "a line without end": b"HTTP/1.1 200 " + b"a" * MAX_HEAD_BYTES,
    "interim answers without end": b"HTTP/1.1 103 E\r\n\r\n" * (MAX_HEAD_BYTES // 18 + 1),
}


@pytest.mark.parametrize("size", [1 << 30, 1 << 12, 1000])
@pytest.mark.parametrize("data", LARGE.values(), ids=LARGE)
def test_an_answer_without_measure_is_refused(data: bytes, size: int) -> None:
    found = read(*(data[start : start + size] for start in range(0, len(data), size)))

    assert found is not None
    assert found.reason in (Reason.UPSTREAM_TOO_LARGE, Reason.UPSTREAM_BROKEN)


def test_the_largest_allowed_body_passes_and_one_byte_more_does_not() -> None:
    for size, reason in ((MAX, None), (MAX + 1, Reason.UPSTREAM_TOO_LARGE)):
        chunked = CHUNKED + b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"
        for data in (chunked, HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size):
            found = read(data)
            assert found is not None
            assert found.reason is reason


def test_a_flood_of_bytes_is_not_kept() -> None:
    reader = AnswerReader(MAX)
    reader.feed(CHUNKED)
    tracemalloc.start()
    with pytest.raises(Refusal):
        for _ in range(100_000):
            reader.feed(b"1;" + b"x" * 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4 * MAX


# By property ----------------------------------------------------------------------------------------

ANSWERS = [data for data, *_ in WHOLE.values()] + list(UNTIL_THE_END["HTTP/1.1"][:1])
SPICES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"0",
    b"-",
    b"chunked",
    b"Content-Length: 1\r\n",
    b"\x80",
    b";",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good answer with a few places changed."""
    data = draw(st.sampled_from(ANSWERS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 4)))
        data = data[:start] + draw(st.sampled_from(SPICES) | st.binary(max_size=4)) + data[end:]
    return data


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


@settings(max_examples=400)
@given(st.binary(max_size=200) | mutated(), st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_nothing_but_a_refusal_is_raised_and_no_cut_changes_the_answer(
    data: bytes, places: list[int], ended: bool
) -> None:
    whole, pieces = read(data, ended=ended), read(*cut(data, places), ended=ended)
    bytewise = read(*cut(data, list(range(len(data)))), ended=ended)

    assert whole == pieces == bytewise


@settings(max_examples=200)
@given(mutated(), st.binary(min_size=1, max_size=20), st.data())
def test_what_comes_behind_an_answer_never_changes_it(data: bytes, behind: bytes, draw: st.DataObject) -> None:
    """Whatever follows breaks it, or is the body of an answer that has no length."""
    alone = read(data)
    if alone is None or alone.reason is not None:
        return
    place = draw.draw(st.integers(0, len(data)))
    found = read(*[piece for piece in (data[:place], data[place:] + behind) if piece])

    assert found == Read(reason=Reason.UPSTREAM_BROKEN)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_every_chunking_of_a_body_gives_the_body(body: bytes, size: int) -> None:
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    data = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    found = read(data)
    assert found is not None
    assert (found.reason, found.body) == (None, body)


def test_an_answer_without_a_body_that_announces_one_is_the_last_of_its_connection() -> None:
    reader = AnswerReader(99)

    assert reader.feed(b"HTTP/1.1 204 No\r\nContent-Length: 44\r\n\r\n")
    assert not reader.keeps_connection
