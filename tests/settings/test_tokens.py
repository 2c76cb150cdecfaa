"""Tokens: long, random, recognisable, and told apart from a typing error."""

from __future__ import annotations

import re
import secrets

import pytest

from gateway.settings.tokens import checksum_fits, make_token, weakness, weakness_of_digest
from tests.worlds import sha256


def test_a_token_has_the_form_that_scanners_look_for() -> None:
    token = make_token(secrets.choice)

    assert re.fullmatch(r"scimgw_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", token)
    assert checksum_fits(token)
    assert weakness(token) is None


def test_every_typing_error_shows() -> None:
    token = make_token(secrets.choice)
    for position in range(len(token)):
        changed = "x" if token[position] != "x" else "y"
        assert not checksum_fits(token[:position] + changed + token[position + 1 :])
        assert not checksum_fits(token[:position] + token[position + 1 :])


@pytest.mark.parametrize("secret", ["", "test", "short", "a" * 64, "abcabcabcabcabcabcabcabcabcabcabcabc"])
def test_a_weak_secret_is_told_without_being_quoted(secret: str) -> None:
    why = weakness(secret)

    assert why is not None
    assert len(secret) < 5 or secret not in why


def test_the_digest_of_a_well_known_word_is_known() -> None:
    assert weakness_of_digest(sha256("test")) is not None
    assert weakness_of_digest(sha256(make_token(secrets.choice))) is None
