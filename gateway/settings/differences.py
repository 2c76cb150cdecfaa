"""What changed between two readings of the settings, as it may stand on record: secrets only by their names. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Literal, TypeAlias

from pydantic import BaseModel, SecretStr

from gateway.settings.models import Credential, Settings
from gateway.settings.problems import dotted

Shown: TypeAlias = "str | int | float | bool | tuple[Shown, ...]"
Kind = Literal["added", "removed", "changed"]

_SECRET = "(a secret)"  # noqa: S105 - stands in a secret's place
_CREDENTIALS = "credentials"  # told one by one, by their names: see `KnownCredential`


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that was written anew, is gone, or has another value; of a secret nothing is shown."""

    key: str  # "tenants.jira.limits.burst"
    kind: Kind
    old: Shown | None = None
    new: Shown | None = None


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """What may be remembered of a credential; two secrets have two fingerprints."""

    tenant: str
    name: str
    form: Literal["token", "basic"]
    expires: str | None  # RFC 3339 in UTC
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CredentialChange:
    """One credential was put in, taken out, or is no longer what it was."""

    kind: Kind
    credential: KnownCredential  # as it is, or was before it was removed
    before: KnownCredential | None = None  # of a changed one

    @property
    def changed(self) -> tuple[str, ...]:
        """In what it differs: "secret", "expires"."""
        if self.before is None:
            return ()
        secret = (self.before.form, self.before.fingerprint) != (self.credential.form, self.credential.fingerprint)
        ends = self.before.expires != self.credential.expires
        return tuple(name for name, differs in (("secret", secret), ("expires", ends)) if differs)


def differences(old: Settings, new: Settings) -> tuple[Difference, ...]:
    """What differs in what was written: defaults are no settings, and credentials are told elsewhere."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    keys = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
    return tuple(_difference(key, before.get(key), after.get(key)) for key in keys)


def credentials_of(settings: Settings) -> tuple[KnownCredential, ...]:
    """Every credential of every tenant, in the order of the settings."""
    return tuple(
        _known(name, credential) for name, tenant in settings.tenants.items() for credential in tenant.credentials
    )


def credential_changes(
    old: tuple[KnownCredential, ...], new: tuple[KnownCredential, ...]
) -> tuple[CredentialChange, ...]:
    """Those that went, then those that came or changed."""
    before = {(known.tenant, known.name): known for known in old}
    after = {(known.tenant, known.name): known for known in new}
    changes = [CredentialChange("removed", known) for names, known in before.items() if names not in after]
    for names, known in after.items():
        was = before.get(names)
        if was is None:
            changes.append(CredentialChange("added", known))
        elif was != known:
            changes.append(CredentialChange("changed", known, was))
    return tuple(changes)


def _known(tenant_name: str, credential: Credential) -> KnownCredential:
    secret = credential.token_sha256 or credential.password_sha256 or ""
    return KnownCredential(
        tenant_name,
        credential.name,
        "basic" if credential.username is not None else "token",
        None if credential.expires is None else _moment(credential.expires),
        hashlib.sha256(f"{credential.username or ''}:{secret}".encode()).hexdigest(),
    )


def _leaves(section: BaseModel, key: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """Each setting that was written, by its dotted key."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if name not in section.model_fields_set or name == _CREDENTIALS or value is None:
            continue
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*key, name))
        elif isinstance(value, Mapping):
            for inner, held in value.items():
                yield from _leaves(held, (*key, name, inner))
        else:
            yield dotted(*key, name), value


def _difference(key: str, old: object, new: object) -> Difference:
    kind: Kind = "added" if old is None else "removed" if new is None else "changed"
    return Difference(key, kind, _shown(old), _shown(new))


def _shown(value: object) -> Shown | None:
    match value:
        case None:
            return None
        case SecretStr():
            return _SECRET
        case Enum():
            return str(value.value)
        case datetime():
            return _moment(value)
        case bool() | int() | float():
            return value
        case tuple():
            return tuple(str(item) for item in value)
        case _:
            return str(value)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
