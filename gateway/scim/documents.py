"""JSON as SCIM needs it: read so strictly that every other reader sees the same document. Pure.

The bytes that were judged may be sent on, so whatever parsers are known to disagree on is refused:
repeated names, names beyond ASCII, lone surrogates, numbers beyond 64 bits.
"""

from __future__ import annotations

import json
import math
from typing import TypeAlias

import orjson

from gateway.refusal import Reason, Refusal

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Document: TypeAlias = "dict[str, JsonValue]"

MAX_DEPTH = 32  # SCIM itself needs 5: a PatchOp that adds an extension with a complex attribute
MAX_VALUES = 200_000  # what 1 MiB of small values holds; a value costs up to 100 bytes of memory

_MAX_INTEGER_CHARACTERS = 20  # "-9223372036854775808", "18446744073709551615"


def read_document(body: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> Document:
    """Read a JSON object (RFC 8259).

    The number of values is bounded before any of them is built, by counting commas and brackets:
    those within strings count too. Depth 1 is an object that holds no other.

    Raises:
        Refusal: JSON_MALFORMED, JSON_NOT_UTF8, JSON_NAME_REPEATED, JSON_TOO_DEEP, MESSAGE_MALFORMED.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(Reason.JSON_NOT_UTF8, note="bytes that are not UTF-8") from error
    brackets = text.count("{") + text.count("[")
    if brackets + text.count(",") > max_values:
        raise Refusal(Reason.JSON_TOO_DEEP, note=f"more than {max_values} values")
    document = _decode(text)
    if not isinstance(document, dict):
        raise Refusal(Reason.MESSAGE_MALFORMED, note="JSON that is no object")
    if brackets > max_depth and _is_deeper(document, max_depth):
        raise Refusal(Reason.JSON_TOO_DEEP, note=f"nested deeper than {max_depth}")
    if ("\\ud" in text or "\\uD" in text) and _holds_a_lone_surrogate(document):
        raise Refusal(Reason.JSON_NOT_UTF8, note="a lone surrogate")
    return document


def write_document(document: Document) -> bytes:
    """Write a document that `read_document` read: compact, UTF-8, names in the order they came."""
    return orjson.dumps(document)


def _decode(text: str) -> JsonValue:
    try:
        value: JsonValue = _DECODER.decode(text)
    except RecursionError as error:
        raise Refusal(Reason.JSON_TOO_DEEP, note="nested deeper than any parser goes") from error
    except ValueError as error:
        raise Refusal(Reason.JSON_MALFORMED, note="not well-formed JSON") from error
    return value


def _read_object(pairs: list[tuple[str, JsonValue]]) -> Document:
    names = [name for name, _ in pairs]
    # SECURITY: SCIM's names are ASCII (RFC 7643 section 2.1). Comparing without case makes "pa\u017f\u017fword" or
    # "pa\u00dfword" a `password` to some servers, and those in C end "active\u0000x" at its NUL.
    together = "".join(names)
    if not (together.isascii() and together.isprintable()):
        raise Refusal(Reason.JSON_MALFORMED, note="a name beyond printable ASCII")
    if len({name.lower() for name in names}) != len(names):
        raise Refusal(Reason.JSON_NAME_REPEATED)
    return dict(pairs)


def _read_integer(text: str) -> int:
    if len(text) <= _MAX_INTEGER_CHARACTERS and -(1 << 63) <= (value := int(text)) < 1 << 64:
        return value
    raise Refusal(Reason.JSON_MALFORMED, note="an integer beyond 64 bits")


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Refusal(Reason.JSON_MALFORMED, note="a number beyond 64 bits")
    return value


def _refuse_constant(_name: str) -> JsonValue:
    raise Refusal(Reason.JSON_MALFORMED, note="NaN or Infinity")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_read_object,
    parse_int=_read_integer,
    parse_float=_read_float,
    parse_constant=_refuse_constant,
)


def _is_deeper(document: Document, max_depth: int) -> bool:
    """Whether containers nest deeper; level by level, so that no depth costs a stack."""
    level: list[JsonValue] = [document]
    for _ in range(max_depth):
        level = [inner for outer in level for inner in _children(outer) if isinstance(inner, dict | list)]
    return bool(level)


def _children(value: JsonValue) -> list[JsonValue]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


def _holds_a_lone_surrogate(document: Document) -> bool:
    try:
        write_document(document)
    except orjson.JSONEncodeError:
        return True
    return False
