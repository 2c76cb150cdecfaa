"""Whether a text tells what must not be told, in any of the spellings that programs commonly give. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

MIN_CHARACTERS = 4  # a shorter word stands in any text

_RUN = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def tells(text: str, words: Iterable[str]) -> bool:
    """Whether one of the words is in the text: plain, percent-escaped, in base64 behind anything, in hexadecimal."""
    sought = [word.casefold() for word in words if len(word) >= MIN_CHARACTERS]
    return any(word in reading for reading in _readings(text) for word in sought)


def _readings(text: str) -> Iterator[str]:
    for spelling in {text, unquote(text), unquote(unquote(text))}:
        yield spelling.casefold()
        for run in _RUN.findall(spelling):
            yield from (reading.decode("utf-8", "replace").casefold() for reading in _decoded(run))


def _decoded(run: str) -> Iterator[bytes]:
    if _HEXADECIMAL.fullmatch(run):
        yield bytes.fromhex(run)
    standard = run.replace("-", "+").replace("_", "/")
    for start in range(4):  # base64 that begins within a group of four
        piece = standard[start:]
        whole = len(piece) // 4 * 4
        rest = len(piece) - whole
        yield base64.b64decode(piece[: whole + rest] + "=" * (4 - rest) if rest > 1 else piece[:whole])
