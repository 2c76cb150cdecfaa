"""Which credentials there are, from the settings and from what was made and decided at run time. Pure.

What the settings file says of a secret counts, whatever else is known of it; but an end that somebody decided on
counts for good, under whatever name and tenant the secret appears. A name belongs to the settings file: one made at
run time that is called the same goes on under its name with `~made` behind it, so that the record tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.settings.models import Tenant
from gateway.state.credentials.values import Book, End, Fingerprint, Made, fingerprint_of

MADE_SUFFIX = "~made"  # no name of the settings can hold it

State = Literal["valid", "ending", "rotated", "revoked", "expired", "orphaned"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One credential as it stands; moments in Unix seconds."""

    tenant: str
    name: str  # on record
    fingerprint: Fingerprint
    expires_at: float | None  # by the settings, or as it was made; None: never
    is_in_settings: bool
    made: Made | None  # what is known of it if it was made at run time
    end: End | None  # if somebody decided on one
    has_tenant: bool = True  # a reload may have taken the tenant away

    @property
    def ends_at(self) -> float | None:
        """When it opens nothing any more, whatever ends it first; None: never."""
        ends = [end for end in (self.expires_at, self.end.ends_at if self.end else None) if end is not None]
        return min(ends, default=None)

    @property
    def is_password(self) -> bool:
        return self.fingerprint.startswith("basic:")

    def state(self, now: float) -> State:
        """In a word. `ending`: rotated, and still open for the overlap."""
        if not self.has_tenant:
            return "orphaned"
        if self.end is not None and self.end.kind == "revoked":
            return "revoked"  # SECURITY: whatever the clock says, which may be set back; `ends_at` is only shown
        if self.end is not None and self.end.ends_at <= now:
            return self.end.kind
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "valid" if self.end is None else "ending"

    def opens(self, now: float) -> bool:
        """Whether a client is let in with it."""
        return self.state(now) in ("valid", "ending")


def standings(book: Book, tenants: Mapping[str, Tenant]) -> tuple[Standing, ...]:
    """Every credential: those of the settings in their order, then those made at run time, oldest first."""
    given = tuple(_of_the_settings(book, tenants))
    names = {(one.tenant, one.name) for one in given}
    secrets = {one.fingerprint for one in given}
    made = [
        Standing(
            tenant=one.tenant,
            name=one.name + MADE_SUFFIX if (one.tenant, one.name) in names else one.name,
            fingerprint=one.fingerprint,
            expires_at=one.expires_at,
            is_in_settings=False,
            made=one,
            end=book.ends.get(one.fingerprint),
            has_tenant=one.tenant in tenants,
        )
        for one in book.made
        if one.fingerprint not in secrets
    ]
    return (*given, *made)


def _of_the_settings(book: Book, tenants: Mapping[str, Tenant]) -> Iterator[Standing]:
    made = {one.fingerprint: one for one in book.made}
    for tenant_name, tenant in tenants.items():
        for credential in tenant.credentials:
            fingerprint = fingerprint_of(credential)
            yield Standing(
                tenant=tenant_name,
                name=credential.name,
                fingerprint=fingerprint,
                expires_at=None if credential.expires is None else credential.expires.timestamp(),
                is_in_settings=True,
                made=made.get(fingerprint),
                end=book.ends.get(fingerprint),
            )
