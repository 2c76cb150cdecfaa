"""Judging answers: pure, by table and by property."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.stages.forwarding.answers import WireAnswer, check_head, decode_body, judge, passed_fields
from gateway.wire.fields import Fields

MiB = 1 << 20


def packed(body: bytes, coding: str = "gzip") -> WireAnswer:
    return WireAnswer(200, Fields((("Content-Encoding", coding),)), body)


@given(st.binary(max_size=200_000))
def test_gzip_is_undone_exactly(body: bytes) -> None:
    assert decode_body(packed(gzip.compress(body)), MiB) == body


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_gzip_cut_anywhere_is_broken(body: bytes, data: st.DataObject) -> None:
    whole = gzip.compress(body)
    cut = data.draw(st.integers(1, len(whole) - 1))

    with pytest.raises(Refusal) as refused:
        decode_body(packed(whole[:cut]), MiB)
    assert refused.value.reason is Reason.UPSTREAM_BROKEN


@given(st.binary(min_size=1, max_size=200))
def test_gzip_that_is_none_is_broken_or_too_large_and_never_an_error_of_ours(body: bytes) -> None:
    try:
        decode_body(packed(body), 1024)
    except Refusal as refused:
        assert refused.reason in (Reason.UPSTREAM_BROKEN, Reason.UPSTREAM_TOO_LARGE)


def test_a_gzip_bomb_costs_no_more_than_the_largest_answer() -> None:
    bomb = packed(gzip.compress(b"\0" * (8 * MiB), 1))
    tracemalloc.start()
    with pytest.raises(Refusal) as refused:
        decode_body(bomb, MiB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert refused.value.reason is Reason.UPSTREAM_TOO_LARGE
    assert peak < 2 * MiB


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_a_coding_is_named_in_any_case(coding: str) -> None:
    assert decode_body(packed(gzip.compress(b"{}"), coding), 100) == b"{}"


def test_an_empty_body_needs_no_unpacking() -> None:
    assert decode_body(packed(b""), 100) == b""


@given(st.sampled_from(["GET", "POST"]), st.integers(200, 599), st.binary(max_size=60) | st.just(b"{}"))
def test_an_answer_is_passed_on_or_there_is_a_reason_and_never_both_but_for_busy(
    method: str, status: int, body: bytes
) -> None:
    verdict = judge(method, status, Fields(()), body)

    assert (verdict.answer is None) == (verdict.reason not in (None, Reason.UPSTREAM_BUSY))
    assert (verdict.reason is None) == (verdict.note == "")
    if verdict.answer is not None and verdict.answer.body:
        assert verdict.answer.body.strip()[:1] == b"{"


@pytest.mark.parametrize(
    "content_type",
    ["application/scim+json", "application/json", "text/json;charset=UTF-8", "Application/SCIM+JSON; charset=utf-8"],
)
def test_json_may_be_called_by_any_of_its_names(content_type: str) -> None:
    assert judge("GET", 200, Fields((("Content-Type", content_type),)), b'{"id": "1"}').reason is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"errorMessages": ["no such page"]}'),
        (200, b'{"hello": "world"}'),
        (200, b"[1]"),
        (200, b"{"),
        (500, b'{"detail": "x"}'),
    ],
)
def test_json_that_is_not_scim_is_no_answer(status: int, body: bytes) -> None:
    verdict = judge("GET", status, Fields(()), body)

    assert (verdict.answer, verdict.reason) == (None, Reason.UPSTREAM_NOT_SCIM)


def test_what_was_read_is_handed_on_beside_its_bytes() -> None:
    answer = judge("GET", 200, Fields(()), b'{"id": "1"}').answer

    assert answer is not None
    assert (answer.body, answer.document) == (b'{"id": "1"}', {"id": "1"})


def test_json_in_a_parameter_is_not_json() -> None:
    verdict = judge("GET", 200, Fields((("Content-Type", "text/html; a=json"),)), b'{"id": "1"}')

    assert verdict.reason is Reason.UPSTREAM_NOT_SCIM


@given(st.text(max_size=20))
def test_passed_fields_are_plain_ascii(value: str) -> None:
    for _, passed in passed_fields(Fields((("location", value),))).items():
        assert passed.isascii()
        assert passed.isprintable()


@pytest.mark.parametrize("length", ["1025", "9" * 30])
def test_an_announced_length_beyond_the_limit_is_refused_at_the_head(length: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_head(200, Fields((("Content-Length", length),)), 1024)

    assert refused.value.reason is Reason.UPSTREAM_TOO_LARGE
