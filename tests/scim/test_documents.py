"""Documents: whatever JSON parsers are known to disagree on is refused, and what is read is written back alike."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal import Reason, Refusal
from gateway.scim.documents import JsonValue, read_document, write_document

ACCEPTED: list[tuple[bytes, JsonValue]] = [
    (b"{}", {}),
    (b" \t\r\n{ } \n", {}),
    (b'{"a":1}', {"a": 1}),
    (b'{"a" : 1 , "b" : 2}', {"a": 1, "b": 2}),
    (b'{"":0}', {"": 0}),
    (b'{"a":[]}', {"a": []}),
    (b'{"a":[null,true,false]}', {"a": [None, True, False]}),
    (b'{"a":{"a":{"a":1}}}', {"a": {"a": {"a": 1}}}),
    (b'{"a":-0}', {"a": 0}),
    (b'{"a":0.0}', {"a": 0.0}),
    (b'{"a":-1.5e-3}', {"a": -0.0015}),
    (b'{"a":1E2}', {"a": 100.0}),
    (b'{"a":1e+2}', {"a": 100.0}),
    (b'{"a":1e-400}', {"a": 0.0}),
    (b'{"a":18446744073709551615}', {"a": (1 << 64) - 1}),
    (b'{"a":-9223372036854775808}', {"a": -(1 << 63)}),
    (b'{"a":""}', {"a": ""}),
    (b'{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', {"a": '"\\/\b\f\n\r\t'}),
    (b'{"a":"\\u00e9\\u00C9"}', {"a": "éÉ"}),
    (b'{"a":"\\u0000"}', {"a": "\x00"}),
    (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    (b'{"a":"\\uD83D\\uDE00"}', {"a": "\U0001f600"}),
    ('{"a":"\U0001f600"}'.encode(), {"a": "\U0001f600"}),
    (b'{"a":"\\\\ud800"}', {"a": "\\ud800"}),
    (b'{"a":"\x7f"}', {"a": "\x7f"}),
    ('{"a":"\u2028\ufeff\uffff"}'.encode(), {"a": "\u2028\ufeff\uffff"}),
    (b'{"a":1,"a ":2}', {"a": 1, "a ": 2}),
    (b'{"a":{"b":1},"c":{"b":1}}', {"a": {"b": 1}, "c": {"b": 1}}),
    (b'{"a":[{"b":1},{"b":1}]}', {"a": [{"b": 1}, {"b": 1}]}),
]


@pytest.mark.parametrize(("body", "document"), ACCEPTED, ids=lambda b: repr(b)[:40])
def test_well_formed_json_is_read(body: bytes, document: JsonValue) -> None:
    assert read_document(body) == document


REFUSED: list[tuple[bytes, Reason]] = [
    *((body, Reason.JSON_MALFORMED) for body in [
        # structure
        b"", b" ", b"{", b"}", b"{]", b"[", b"[1", b"[1,]", b"[,1]", b"[1 2]", b"[1}", b'{"a"}', b'{"a":}',
        b'{"a" 1}',
        b'{"a":1,}', b'{,"a":1}', b'{"a":1,,"b":2}', b'{"a":1 "b":2}', b"{a:1}", b"{'a':1}", b'{"a":1}}',
        b'{"a":1}{}',
        b'{"a":1} x', b'{"a":1}//c', b'/*c*/{"a":1}', b'{"a":/**/1}', b'{"a":1}#', b'{1:1}', b'{null:1}',
        b'{"a":1;"b":2}',
        b'{"a"::1}', b'{"a":[}', b'{"a":[1]', b'{"a":{}', b"nul", b'{"a":nulL}', b'{"a":True}', b'{"a":tru}',
        b'{"a":undefined}',
        b'{"a":1}\x00', b'\x00{"a":1}', b"{\x0b}", b"{\x0c}", b"{\xc2\xa0}", b'\xef\xbb\xbf{"a":1}',
        # numbers
        b'{"a":01}', b'{"a":-01}', b'{"a":+1}', b'{"a":.5}', b'{"a":5.}', b'{"a":-}', b'{"a":1e}',
        b'{"a":1e+}', b'{"a":1.e1}',
        b'{"a":0x10}', b'{"a":1_000}', b'{"a":1,000}', b'{"a":--1}', b'{"a":-.5}', b'{"a":0e}',
        b'{"a":1 000}', b'{"a":\xd9\xa1}',
        b'{"a":NaN}', b'{"a":-NaN}', b'{"a":nan}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":Inf}',
        b'{"a":1e999}',
        b'{"a":-1e999}', b'{"a":18446744073709551616}', b'{"a":-9223372036854775809}', b'{"a":' + b"9" * 5000 + b"}",
        # strings
        b'{"a":"}', b'{"a":"\\"}', b'{"a":\'b\'}', b'{"a":"\\x41"}', b'{"a":"\\a"}', b'{"a":"\\u12"}',
        b'{"a":"\\u 123"}',
        b'{"a":"\\u+123"}', b'{"a":"\\u0x1F"}', b'{"a":"\\u_123"}', b'{"a":"\\U0041"}', b'{"a":"\\u00g0"}',
        b'{"a":"\n"}',
        b'{"a":"\t"}', b'{"a":"\x00"}', b'{"a":"\x1f"}', b'{"a":"\\\n"}', b'{"a":"\\', b'{"a":"\\u"}',
        b'{"a":"\\\xc3\xa9"}',
        # names beyond printable ASCII: controls, and what poses as another name when its case changes
        b'{"active\\u0000":1}', b'{"a\\u000a":1}', b'{"a\\u007f":1}', b'{"a\\u200b":1}', b'{"a\\ud800":1}',
        '{"pa\u017f\u017fword":1}'.encode(), b'{"pa\\u017f\\u017fword":1}', '{"act\u0131ve":1}'.encode(),
        '{"pa\u00dfword":1}'.encode(), b'{"pa\\u00dfword":1}', '{"größe":1}'.encode(), '{"名":1}'.encode(),
        '{"act\u0130ve":1}'.encode(), '{"nic\u212aName":1}'.encode(), '{"\uff41ctive":1}'.encode(),
        '{"\ufb01eld":1}'.encode(),
    ]),
    *((body, Reason.JSON_NOT_UTF8) for body in [
        b'{"a":"\xff"}', b'{"a":"\xe9"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xe0\x80\xaf"}', b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xc3"}', b'{"a":"\x80"}', b'{"\xff":1}', b'\xff\xfe{\x00}\x00',
        b'{"a":"\\ud800"}', b'{"a":"\\uDC00"}', b'{"a":"\\ud800x"}', b'{"a":"\\ud800\\ud800"}',
        b'{"a":"\\uDFFF\\uD800"}',
        b'{"a":"\\ud800\\u0041"}', b'{"a":[["\\udead"]]}', b'{"a":{"b":{"c":"\\uD888"}}}',
    ]),
    *((body, Reason.JSON_NAME_REPEATED) for body in [
        b'{"a":1,"a":1}', b'{"a":1,"A":2}', b'{"active":true,"Active":false}',
        b'{"active":true,"activ\\u0065":false}',
        b'{"a":1,"\\u0061":2}', b'{"a":{"b":1,"B":1}}', b'{"a":[{"b":1,"b":1}]}', b'{"":1,"":1}',
    ]),
    *((body, Reason.MESSAGE_MALFORMED) for body in [
        b"[]", b'[{"a":1}]', b"null", b"true", b"false", b"0", b"-1.5", b'""', b'"a"', b' "x" ',
    ]),
    (b'{"a":' * 33 + b"1" + b"}" * 33, Reason.JSON_TOO_DEEP),
    (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", Reason.JSON_TOO_DEEP),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, Reason.JSON_TOO_DEEP),
    (b"[" * 10_000 + b"]" * 10_000, Reason.JSON_TOO_DEEP),
    (b"[" * 100_000, Reason.JSON_TOO_DEEP),
    (b'{"a":' * 100_000, Reason.JSON_TOO_DEEP),
    (b'{"a":[' + b"0," * 200_000 + b"0]}", Reason.JSON_TOO_DEEP),
    (b'{"a":[' + b"[],{}," * 60_000 + b"0]}", Reason.JSON_TOO_DEEP),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), REFUSED, ids=lambda b: repr(b)[:40])
def test_json_that_parsers_disagree_on_is_refused(body: bytes, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        read_document(body)

    assert refused.value.reason is reason


def test_depth_and_number_of_values_are_bounded_exactly() -> None:
    nested = b'{"a":' * 32 + b"1" + b"}" * 32
    values = b'{"a":[' + b"0," * 8 + b"0]}"

    assert read_document(nested)
    assert read_document(values, max_values=10)
    with pytest.raises(Refusal):
        read_document(nested, max_depth=31)
    with pytest.raises(Refusal):
        read_document(values, max_values=9)


def test_brackets_in_strings_are_no_depth() -> None:
    assert read_document(b'{"a":"' + b"[{" * 1000 + b'"}')


@pytest.mark.parametrize(
    "body", [b"[" * 500_000, b'{"a":' + b"9" * 1_000_000 + b"}", b'{"a":1.' + b"9" * 1_000_000 + b"}"]
)
def test_no_body_of_a_mebibyte_costs_much_time(body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(Refusal):
        read_document(body + b"]")

    assert time.process_time() - started < 0.5


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_NAMES = st.text(st.sampled_from("abcd"), max_size=3)
_VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_NAMES, _VALUES), st.booleans())
def test_what_is_written_is_read_back_alike(document: dict[str, JsonValue], ascii_only: bool) -> None:
    assert read_document(write_document(document)) == document
    assert read_document(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@given(st.binary() | st.text(st.sampled_from('{}[]",:\\ud8eE0-.tn\x00é'), max_size=30).map(str.encode))
def test_no_bytes_make_the_reader_fall(body: bytes) -> None:
    try:
        document = read_document(body)
    except Refusal:
        return
    assert read_document(write_document(document)) == document
    assert json.loads(body) == document
