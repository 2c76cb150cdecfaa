"""SCIM filters: the grammar of RFC 7644 section 3.4.2.2, as a tree of frozen values. Pure.

A parser of our own, because a filter decides what an operation concerns: its cost and depth are
bounded, and it says no to what it does not know. Operators and literals are read in any case.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from gateway.refusal import Reason, Refusal

MAX_FILTER_DEPTH = 8  # Okta and Entra send at most 2: a value path with an "and"
MAX_FILTER_BYTES = 4096


class Operator(Enum):
    """The comparisons of RFC 7644 table 3; `pr` is `Present`."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"


@dataclass(frozen=True, slots=True)
class AttributePath:
    """`[schema:]attribute[.sub_attribute]`, each as given: nothing folded."""

    schema: str | None
    attribute: str
    sub_attribute: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`userName eq "ada"`"""

    path: AttributePath
    operator: Operator
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Present:
    """`title pr`"""

    path: AttributePath


@dataclass(frozen=True, slots=True)
class And:
    """Two or more terms; a chain without parentheses is one And."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more terms; binds looser than And."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`not (...)`"""

    term: Filter


@dataclass(frozen=True, slots=True)
class ValuePath:
    """`emails[type eq "work"]`; `emails[...].value eq "x"`, which Entra sends, is `emails[... and value eq "x"]`."""

    path: AttributePath
    filter: Filter


Filter: TypeAlias = "Comparison | Present | And | Or | Not | ValuePath"

_NAME = r"\$?[A-Za-z][A-Za-z0-9$_-]*"  # RFC 7643 section 2.1, with the "$" of $ref
_URN = r"[Uu][Rr][Nn]:[A-Za-z0-9][A-Za-z0-9._-]*(?::[A-Za-z0-9][A-Za-z0-9._-]*)*"
_ATTRIBUTE_PATH = re.compile(rf"(?:({_URN}):)?({_NAME})(?:\.({_NAME}))?")
_TOKEN = re.compile(
    rf"""[ ]*(?:
        (?P<open>[(\[])
      | (?P<close>\)|\](?:\.{_NAME})?)
      | (?P<string>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{{4}})*")
      | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9$_.:-]))
      | (?P<word>[A-Za-z$][A-Za-z0-9$_.:-]*)
    )""",
    re.VERBOSE,
)
_OPERATORS = {operator.value: operator for operator in Operator}
_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_CONNECTIVES = frozenset({"and", "or", "not"})


def parse_filter(text: str) -> Filter:
    """Parse the filter of a query or of a SearchRequest.

    Raises:
        Refusal: FILTER_MALFORMED, also for one longer than 4096 bytes or nested deeper than 8.
    """
    return _Parser(text).read_whole()


def parse_value_filter(text: str) -> Filter:
    """Parse what stands between the brackets of a value path: a filter that holds no other value path.

    Raises:
        Refusal: FILTER_MALFORMED.
    """
    return _Parser(text, depth=2, in_brackets=True).read_whole()


def read_attribute_path(text: str) -> AttributePath | None:
    """Read `[URN:]attribute[.sub]`; None when it is none. A URN ends at the last colon: versions hold dots."""
    match = _ATTRIBUTE_PATH.fullmatch(text)
    return AttributePath(*match.groups()) if match else None


class _Token(NamedTuple):
    kind: str  # open | close | string | number | word | end
    text: str


_END = _Token("end", "")


class _Parser:
    """Recursive descent over a list of tokens; only groups and value paths recurse, so depth bounds the stack."""

    def __init__(self, text: str, *, depth: int = 1, in_brackets: bool = False) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = depth
        self._in_brackets = in_brackets

    def read_whole(self) -> Filter:
        whole = self._read_or()
        if self._next is not _END:
            raise _malformed("something behind its end")
        return whole

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        if token is not _END:
            self._at += 1
        return token

    def _take_word(self, word: str) -> bool:
        taken = self._next.kind == "word" and self._next.text.lower() == word
        self._at += taken
        return taken

    def _read_or(self) -> Filter:
        terms = [self._read_and()]
        while self._take_word("or"):
            terms.append(self._read_and())
        return Or(tuple(terms)) if len(terms) > 1 else terms[0]

    def _read_and(self) -> Filter:
        terms = [self._read_term()]
        while self._take_word("and"):
            terms.append(self._read_term())
        return And(tuple(terms)) if len(terms) > 1 else terms[0]

    def _read_term(self) -> Filter:
        if self._take_word("not"):
            if self._next.text != "(":
                raise _malformed('"not" without a group')
            return Not(self._read_term())
        token = self._take()
        if token.text == "(":
            inner, _ = self._read_inner(")")
            return inner
        path = _attribute_path(token)
        if self._next.text == "[":
            return self._read_value_path(path)
        return self._read_expression(path)

    def _read_inner(self, closing: str) -> tuple[Filter, str]:
        """What an opened bracket holds, and the sub-attribute behind its end, "" for none."""
        self._depth += 1
        if self._depth > MAX_FILTER_DEPTH:
            raise _malformed(f"nested deeper than {MAX_FILTER_DEPTH}")
        inner = self._read_or()
        end = self._take()
        if end.kind != "close" or end.text[0] != closing:
            raise _malformed(f'no "{closing}" where one is due')
        self._depth -= 1
        return inner, end.text[2:]

    def _read_value_path(self, path: AttributePath) -> Filter:
        if self._in_brackets or path.sub_attribute:
            raise _malformed("a value path where none can be")
        self._take()
        self._in_brackets = True
        inner, sub_attribute = self._read_inner("]")
        self._in_brackets = False
        if not sub_attribute:
            return ValuePath(path, inner)
        last = self._read_expression(AttributePath(None, sub_attribute, None))
        terms = inner.terms if isinstance(inner, And) else (inner,)
        return ValuePath(path, And((*terms, last)))

    def _read_expression(self, path: AttributePath) -> Comparison | Present:
        if self._take_word("pr"):
            return Present(path)
        operator = _OPERATORS.get(self._take().text.lower())
        if operator is None:
            raise _malformed("no operator where one is due")
        return Comparison(path, operator, _value(self._take()))


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_FILTER_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_FILTER_BYTES:
        raise _malformed(f"longer than {MAX_FILTER_BYTES} bytes")
    tokens, at, end = [], 0, len(text.rstrip(" "))
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _malformed("a character that has no place in a filter")
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind]))
        at = match.end()
    return [*tokens, _END]


def _attribute_path(token: _Token) -> AttributePath:
    path = read_attribute_path(token.text) if token.kind == "word" else None
    if path is None or token.text.lower() in _CONNECTIVES:
        raise _malformed("no attribute where one is due")
    return path


def _value(token: _Token) -> str | int | float | bool | None:
    if token.kind == "string":
        return _string(token.text)
    if token.kind == "number":
        return _number(token.text)
    if token.kind == "word" and token.text.lower() in _LITERALS:
        return _LITERALS[token.text.lower()]
    raise _malformed("no value where one is due")


def _string(text: str) -> str:
    value: str = json.loads(text)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _malformed("a lone surrogate") from error
    return value


def _number(text: str) -> int | float:
    if text.removeprefix("-").isdigit():
        return int(text)
    value = float(text)
    if math.isinf(value):
        raise _malformed("a number beyond 64 bits")
    return value


def _malformed(note: str) -> Refusal:
    return Refusal(Reason.FILTER_MALFORMED, note=note)
