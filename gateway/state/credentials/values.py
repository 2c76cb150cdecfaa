"""Credentials made at run time, and what was decided on any: the frozen values that are kept. Pure.

A secret is known by its fingerprint alone, a digest with its kind; so is one of the settings file, whatever it is
called there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

from gateway.settings.models import Credential

Fingerprint = NewType("Fingerprint", str)


@dataclass(frozen=True, slots=True)
class Made:
    """A token that somebody made while the gateway ran; moments in Unix seconds."""

    tenant: str
    name: str
    token_sha256: str
    expires_at: float
    made_at: float
    made_by: str
    replaces: str = ""  # the name of the one whose successor it is

    @property
    def fingerprint(self) -> Fingerprint:
        return token_fingerprint(self.token_sha256)


@dataclass(frozen=True, slots=True)
class End:
    """Somebody decided when a credential ends; moments in Unix seconds."""

    tenant: str
    name: str  # as it was called then
    kind: Literal["rotated", "revoked"]
    ends_at: float
    decided_at: float
    by: str
    successor: str = ""  # of a rotated one
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """All that is kept. An end is never forgotten: else a revoked token in a settings file would open again."""

    made: tuple[Made, ...] = ()
    ends: Mapping[Fingerprint, End] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owed:
    """A notice that could not be put on record when it was due; kept until it is there."""

    kind: str
    details: Mapping[str, str | int]


def fingerprint_of(credential: Credential) -> Fingerprint:
    """Of a credential of the settings."""
    if credential.username is not None and credential.password_sha256 is not None:
        return password_fingerprint(credential.username, credential.password_sha256)
    return token_fingerprint(credential.token_sha256 or "")


def token_fingerprint(sha256: str) -> Fingerprint:
    """Of a token; `sha256` in lower-case hexadecimal digits."""
    return Fingerprint(f"token:{sha256}")


def password_fingerprint(username: str, sha256: str) -> Fingerprint:
    """Of a user name with a password; `sha256` of the password, in lower-case hexadecimal digits."""
    # Digests of fixed length cannot be read in two ways, as a user name of any length could.
    return Fingerprint(f"basic:{hashlib.sha256(username.encode()).hexdigest()}:{sha256}")
