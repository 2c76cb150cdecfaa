"""How a secret may be spelled, and whether a text holds it in any such way. Pure."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from urllib.parse import quote, unquote


def leaks(text: str | bytes, secret: str) -> bool:
    """Whether a text holds the secret: plain, in hexadecimal, in base64 wherever it starts there; and all of that
    escaped for URLs, JSON or HTML, twice at most."""
    views = _views(text if isinstance(text, str) else text.decode("latin-1"))
    if any(secret in view for view in views):
        return True
    if any(secret.encode().hex() in view.lower() for view in views):
        return True
    return any(part in view.replace("-", "+").replace("_", "/") for view in views for part in _base64_parts(secret))


def _views(text: str) -> set[str]:
    views = {text}
    for _ in range(2):
        views |= {unescape(view) for view in views for unescape in (unquote, html.unescape, _unescape_json)}
    return views


def _unescape_json(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r'\\(["\\/])', r"\1", text)


def _base64_parts(secret: str) -> tuple[str, ...]:
    """The characters that stand for the secret alone when 0, 1 or 2 bytes of a group of three come before it."""
    return tuple(
        base64.b64encode(b"\0" * before + secret.encode()).decode()[skipped : (before + len(secret)) * 8 // 6]
        for before, skipped in ((0, 0), (1, 2), (2, 3))
    )


def hexadecimal(text: str) -> str:
    return text.encode().hex()


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def behind_one_byte_in_base64(text: str) -> str:
    return in_base64(f":{text}")


def behind_a_scheme_in_base64(text: str) -> str:
    return in_base64(f"Bearer: {text}")  # 8 = 2 modulo 3


def percent_escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def json_escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def plain(text: str) -> str:
    return text


SPELLINGS: tuple[Callable[[str], str], ...] = (
    plain,
    in_base64,
    behind_one_byte_in_base64,
    behind_a_scheme_in_base64,
    percent_escaped,
    quote,
    json_escaped,
    hexadecimal,
)
