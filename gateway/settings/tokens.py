"""Tokens: how we make them, what they may be called, and how a weak one is told. Pure.

`scimgw_` + 43 base62 characters of randomness (256 bits) + `_` + 6 base62 characters of CRC-32 over all
before: secret scanners find the prefix, and a typing error shows without a server.
"""

from __future__ import annotations

import hashlib
import math
import re
import string
import zlib
from collections import Counter
from collections.abc import Callable

PREFIX = "scimgw_"
RANDOM_CHARACTERS = 43
CHECKSUM_CHARACTERS = 6
MIN_CHARACTERS = 32
MIN_ENTROPY_BITS = 90  # 32 random hexadecimal digits show about 115, a repeated word less than 50

MAX_NAME_CHARACTERS = 64
NAME_FORM = f"a name has letters, digits, '.', '_' and '-', at most {MAX_NAME_CHARACTERS}"

_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME_CHARACTERS}}}")
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARACTERS}}}_[0-9A-Za-z]{{{CHECKSUM_CHARACTERS}}}")
_FIELD_SAFE = re.compile(r"[\x21-\x7e]+")

# Whatever people type to get a first test going, and the mistakes of hashing it: nothing at all, a line end too many.
_WEAK_WORDS = (
    "", "test", "secret", "password", "passwd", "changeme", "change-me", "token", "admin", "okta", "scim", "jira",
    "default", "example", "demo", "letmein", "foobar", "foo", "bar", "hello", "123456", "12345678", "1234567890",
    "mysecret", "mytoken", "secret-token", "supersecret", "test-token", "testtoken", "bearer", "kantega", "atlassian",
)  # fmt: skip
_WEAK_DIGESTS = frozenset(
    hashlib.sha256(f"{word}{ending}".encode()).hexdigest() for word in _WEAK_WORDS for ending in ("", "\n")
)


def is_a_name(text: str) -> bool:
    """Whether a credential may be called so: what NAME_FORM says."""
    return _NAME.fullmatch(text) is not None


def make_token(choose: Callable[[str], str]) -> str:
    """A new token; `choose` picks one character of its argument at random: `secrets.choice`."""
    body = PREFIX + "".join(choose(_BASE62) for _ in range(RANDOM_CHARACTERS))
    return f"{body}_{_checksum(body)}"


def checksum_fits(token: str) -> bool:
    """Whether this is a token of our form without a typing error. Says nothing about its validity anywhere."""
    body, _, checksum = token.rpartition("_")
    return _FORM.fullmatch(token) is not None and _checksum(body) == checksum


def digest(token: str) -> str:
    """What the settings keep of a token or password: SHA-256, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def fits_a_field(secret: str) -> bool:
    """Whether the secret can stand in a header field: visible ASCII only, so that it can add no field of its own."""
    return _FIELD_SAFE.fullmatch(secret) is not None


def weakness_of_digest(sha256: str) -> str | None:
    """Why a stored digest opens the gateway to guessers, or None."""
    return "is the digest of a well-known word or of nothing" if sha256 in _WEAK_DIGESTS else None


def weakness(secret: str) -> str | None:
    """Why a secret can be guessed, or None. What is said of it holds none of its characters."""
    if digest(secret) in _WEAK_DIGESTS:
        return "is a well-known word"
    if len(secret) < MIN_CHARACTERS:
        return f"has {len(secret)} characters, which is fewer than {MIN_CHARACTERS}"
    if _entropy_bits(secret) < MIN_ENTROPY_BITS:
        return "repeats itself and can be guessed"
    return None


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):  # 62**6 > 2**32: the whole CRC fits
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _entropy_bits(text: str) -> float:
    """Shannon's estimate from the text's own characters: an upper bound for a repetitive one."""
    total = len(text)
    return -sum(count * math.log2(count / total) for count in Counter(text).values())
