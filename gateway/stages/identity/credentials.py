"""Credentials: what an Authorization field says, and whose it is. Pure.

Secrets are compared by their SHA-256 digests. They are long and random, so a slow hash would protect nothing and
would let strangers burn our CPU; `scim-gateway check` refuses weak ones.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable

from gateway.refusal import Reason, Refusal
from gateway.state.credentials import Fingerprint, Standing, password_fingerprint, token_fingerprint
from gateway.wire.fields import Fields

MAX_CREDENTIAL_BYTES = 4096  # Entra's signed tokens are below 2 KiB

_TOKEN = re.compile(r"[\x21-\x7e]+")  # more than RFC 6750 section 2.1, for operators bring tokens of their own
_SCHEME = re.compile(r"(bearer|basic) +(\S.*)", re.IGNORECASE)

# What has this fingerprint is not known to anyone.
_NOBODY = Standing("", "", token_fingerprint("-" * 64), None, is_in_settings=False, made=None, end=None)


class CredentialIndex:
    """Every credential that there is, by its fingerprint; of those that open nothing, to say so on record."""

    def __init__(self, known: Iterable[Standing]) -> None:
        self._by_fingerprint = {one.fingerprint: one for one in known}

    def find(self, fields: Fields, tenant_name: str, now: float) -> Standing:
        """The credential that opens a tenant's path. `now` in Unix seconds.

        Raises:
            Refusal: CREDENTIAL_MISSING, CREDENTIAL_AMBIGUOUS, CREDENTIAL_UNKNOWN, CREDENTIAL_EXPIRED,
                CREDENTIAL_OF_OTHER_TENANT; a client cannot tell them apart.
        """
        presented = presented_fingerprint(fields)
        # SECURITY: a dict compares digests, which tell nothing of the secret; the last word is constant-time, and the
        # same for a secret that nobody has.
        known = self._by_fingerprint.get(presented, _NOBODY)
        if not hmac.compare_digest(known.fingerprint, presented):
            raise Refusal(Reason.CREDENTIAL_UNKNOWN)
        if known.tenant != tenant_name:
            raise Refusal(Reason.CREDENTIAL_OF_OTHER_TENANT, note=f"{known.name} of tenant {known.tenant}")
        if not known.opens(now):
            raise Refusal(Reason.CREDENTIAL_EXPIRED, note=f"{known.name}, {known.state(now)}")
        return known


def presented_fingerprint(fields: Fields) -> Fingerprint:
    """That of the one secret that a request presents.

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
        return _basic_fingerprint(scheme[2])
    token = scheme[2] if scheme is not None else value  # Okta's header authentication sends what was typed
    if not _TOKEN.fullmatch(token):
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="neither one token nor a known scheme")
    return token_fingerprint(hashlib.sha256(token.encode("ascii")).hexdigest())


def _basic_fingerprint(encoded: str) -> Fingerprint:
    """RFC 7617, strictly: base64 of user, colon, password, in UTF-8."""
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except ValueError as error:
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="Basic, but not base64 of UTF-8") from error
    username, colon, password = text.partition(":")
    if not colon:
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, note="Basic without a colon")
    return password_fingerprint(username, hashlib.sha256(password.encode()).hexdigest())
