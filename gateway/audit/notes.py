"""A file of signed notes as it is read for proof: every note in it, however it was copied, and what is damaged. Pure.

Line ends, blanks around a line and blank lines may have changed on the way, by mail or by hand. SECURITY: that is safe,
for what was signed has neither, and the signature is checked over what was signed.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NoBase64
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

_MARK = "\u2014 ".encode()  # begins a signature
_BOM = b"\xef\xbb\xbf"
_SIGNATURE_BYTES = 68  # the key's id, and Ed25519
_TEXT_LINES = 3
_MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Notes:
    """What a file holds."""

    notes: tuple[bytes, ...]  # as they were signed; each ends in a newline
    damaged: tuple[bytes, ...]  # the first line of each spot that is no note and no beginning of one
    is_torn: bool  # the last one is unfinished: a crash, or a copy that was taken meanwhile
    is_tight: bool  # between two notes, or within one, no blank line stands where the gateway writes one


class _Of(Enum):
    BLANK = 0
    TEXT = 1
    SIGNATURES = 2


def read_notes(content: bytes) -> Notes:
    """All notes of a file, also those behind a damaged spot."""
    whole = before_hole(content)
    lines, is_torn = _whole_lines(whole)
    notes, damaged = [], []
    text: list[bytes] = []
    is_tight, was = False, _Of.BLANK
    for kind, group in groupby(lines, _kind):
        block = list(group)
        is_tight = is_tight or _Of.BLANK not in (kind, was)
        was = kind
        if kind is _Of.SIGNATURES and text:
            notes.append(b"\n".join((*text, b"", *block, b"")))
            text = []
        elif kind is _Of.SIGNATURES:
            damaged.append(block[0])
        elif kind is _Of.TEXT:
            damaged += text[:1]
            text = block
    if len(text) > _TEXT_LINES:  # more than a crash leaves
        damaged.append(text[0])
        text = []
    return Notes(tuple(notes), tuple(damaged), is_torn or bool(text) or whole != content, is_tight)


def before_hole(content: bytes) -> bytes:
    """What stands before the zeros that a power cut left of the last note; all, if there are none.

    A note is synced before the next one is begun, so nothing but the rest of one stands behind such zeros. SECURITY:
    where a whole one does, they are somebody's work, and it is not to be lost with them.
    """
    whole, _, rest = content.partition(b"\0")
    behind = [line for line in map(bytes.strip, rest.split(b"\n")[1:]) if line]
    signatures = [place for place, line in enumerate(behind) if line.startswith(_MARK)]
    if len(signatures) > 1 or (signatures and signatures[0] >= _TEXT_LINES):
        return content
    return whole


def shown(text: bytes) -> str:
    """Some bytes of a file, as a message quotes them: cut where they are long."""
    quoted = text[: _MOST_SHOWN + 1].decode("utf-8", "replace").strip().replace("\n", " ")
    return repr(quoted[:_MOST_SHOWN] + "..." if len(text) > _MOST_SHOWN else quoted)


def _whole_lines(content: bytes) -> tuple[list[bytes], bool]:
    """Without what is around them, and whether half a line was left out at the end."""
    lines = [line.strip() for line in content.removeprefix(_BOM).split(b"\n")]
    is_torn = bool(lines[-1]) and not _is_signature(lines[-1])
    return lines[:-1] if is_torn else lines, is_torn


def _is_signature(line: bytes) -> bool:
    """Whether it is a whole one, though no newline follows: who pastes one often leaves that out."""
    try:
        return line.startswith(_MARK) and len(b64decode(line.split(b" ")[-1], validate=True)) == _SIGNATURE_BYTES
    except (ValueError, NoBase64):
        return False


def _kind(line: bytes) -> _Of:
    if not line:
        return _Of.BLANK
    return _Of.SIGNATURES if line.startswith(_MARK) else _Of.TEXT
