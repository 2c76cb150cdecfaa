"""Credentials: what an Authorization field says, and whose it is. Pure.

Secrets are compared by their SHA-256 digests. They are long and random, so a slow hash would protect nothing and
would let strangers burn our CPU; `scim-gateway check` refuses weak ones.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.refusal import Reason, Refusal
from gateway.settings.models import Credential, Tenant
from gateway.wire.fields import Fields

MAX_CREDENTIAL_BYTES = 4096  # Entra's signed tokens are below 2 KiB

_TOKEN = re.compile(r"[\x21-\x7e]+")  # more than RFC 6750 section 2.1, for operators bring tokens of their own
_SCHEME = re.compile(r"(bearer|basic) +(\S.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Known:
    """A credential of the settings, and whose it is."""

    tenant_name: str
    name: str
    digest: bytes
    expires_at: float | None  # Unix seconds


_NOBODY = Known("", "", b"token:" + bytes(32), None)  # what has this digest is not known to anyone


class CredentialIndex:
    """Every tenant's credentials, by digest."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._by_digest: dict[bytes, Known] = {}
        for tenant_name, tenant in tenants.items():
            for credential in tenant.credentials:
                known = _known(tenant_name, credential)
                self._by_digest[known.digest] = known

    def __iter__(self) -> Iterator[Known]:
        return iter(self._by_digest.values())

    def find(self, fields: Fields, tenant_name: str, now: float) -> Known:
        """The credential that opens a tenant's path. `now` in Unix seconds.

        Raises:
            Refusal: CREDENTIAL_MISSING, CREDENTIAL_AMBIGUOUS, CREDENTIAL_UNKNOWN, CREDENTIAL_EXPIRED,
                CREDENTIAL_OF_OTHER_TENANT; a client cannot tell them apart.
        """
        digest = presented_digest(fields)
        # SECURITY: a dict compares digests, which tell nothing of the secret; the last word is constant-time, and the
        # same for a secret that nobody has.
        known = self._by_digest.get(digest, _NOBODY)
        if not hmac.compare_digest(known.digest, digest):
            raise Refusal(Reason.CREDENTIAL_UNKNOWN)
        if known.tenant_name != tenant_name:
            raise Refusal(Reason.CREDENTIAL_OF_OTHER_TENANT, note=f"{known.name} of tenant {known.tenant_name}")
        if known.expires_at is not None and now >= known.expires_at:
            raise Refusal(Reason.CREDENTIAL_EXPIRED, note=known.name)
        return known


def presented_digest(fields: Fields) -> bytes:
    """The digest of the one secret that a request presents.

    Raises:
        Refusal: CREDENTIAL_MISSING, CREDENTIAL_AMBIGUOUS.
    """
    values = fields.all("Authorization")
    if not values or values == ("",):
        raise Refusal(Reason.CREDENTIAL_MISSING)
    if len(values) > 1:
        # SECURITY: readers disagree on which of two counts.
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="two Authorization fields")
    value = values[0]
    if len(value) > MAX_CREDENTIAL_BYTES:
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="too long")
    scheme = _SCHEME.fullmatch(value)
    if scheme is not None and scheme[1].lower() == "basic":
        return _basic_digest(scheme[2])
    token = scheme[2] if scheme is not None else value  # Okta's header authentication sends what was typed
    if not _TOKEN.fullmatch(token):
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="neither one token nor a known scheme")
    return _token_digest(hashlib.sha256(token.encode("ascii")).digest())


def _basic_digest(encoded: str) -> bytes:
    """RFC 7617, strictly: base64 of user, colon, password, in UTF-8."""
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except ValueError as error:
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="Basic, but not base64 of UTF-8") from error
    username, colon, password = text.partition(":")
    if not colon:
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="Basic without a colon")
    return _password_digest(username, hashlib.sha256(password.encode()).digest())


def _known(tenant_name: str, credential: Credential) -> Known:
    if credential.username is not None and credential.password_sha256 is not None:
        digest = _password_digest(credential.username, bytes.fromhex(credential.password_sha256))
    else:
        digest = _token_digest(bytes.fromhex(credential.token_sha256 or ""))
    expires = credential.expires
    return Known(tenant_name, credential.name, digest, None if expires is None else expires.timestamp())


def _token_digest(digest: bytes) -> bytes:
    return b"token:" + digest


def _password_digest(username: str, digest: bytes) -> bytes:
    # A digest of fixed length behind a user name of any length cannot be read in two ways.
    return b"basic:" + hashlib.sha256(username.encode()).digest() + digest
