"""Whether a text tells a secret: in every common spelling, and not where there is none."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.reply.disclosure import tells

SECRET = "inside-Secret+of/the=application"


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        SECRET.upper(),
        quote(SECRET, safe=""),
        quote(quote(SECRET, safe=""), safe=""),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
        coded(SECRET),
        coded(SECRET).rstrip("="),
        coded(f"gateway:{SECRET}"),
        coded(f"Bearer {SECRET}"),
        coded(f"x{SECRET}y"),
        base64.urlsafe_b64encode(f"??>{SECRET}".encode()).decode(),
        quote(coded(SECRET), safe=""),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
    ],
)
def test_a_secret_is_found_in_every_common_spelling(text: str) -> None:
    assert tells(f"your token '{text}' is wrong", (SECRET,))


@pytest.mark.parametrize("text", ["", "User 7c0f4a52-9a1e-4d55-9a35-1d2c0b8e6f01 exists already", "a" * 2000, "inside"])
def test_a_text_without_it_tells_nothing(text: str) -> None:
    assert not tells(text, (SECRET, "", "a b"))


@given(st.text(max_size=200), st.text(max_size=20))
def test_any_text_is_read_without_an_error(text: str, word: str) -> None:
    tells(text, (word,))
