"""SCIM addresses: what the path behind the tenant's names, and its methods (RFC 7644 section 3.2). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from gateway.refusal import Reason, Refusal
from gateway.scim.versions import Version

MAX_ID_BYTES = 256  # as sent; ids seen are UUIDs, numbers and mail addresses

# RFC 3986 section 3.3: segment-nz without ";", which wire.target refuses too.
_ID = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})+")
_SEARCH = ".search"
_FORMATS = (".json", ".xml")  # SCIM 1.1 protocol, section 3.8: GET /Users/1.json is one of /Users/1


class Kind(Enum):
    """What an address names."""

    USERS = "Users"
    GROUPS = "Groups"
    ME = "Me"
    SERVICE_PROVIDER_CONFIG = "ServiceProviderConfig"
    SCHEMAS = "Schemas"
    RESOURCE_TYPES = "ResourceTypes"
    BULK = "Bulk"
    ROOT = ""  # the base itself: queries over every resource type
    EXTENSION = "(extension)"  # an endpoint that the tenant lists, such as Roles


_BY_ENDPOINT: dict[Version, dict[str, Kind]] = {
    Version.V2_0: {kind.value: kind for kind in Kind if kind is not Kind.EXTENSION},
    Version.V1_1: {
        "Users": Kind.USERS,
        "Groups": Kind.GROUPS,
        "ServiceProviderConfigs": Kind.SERVICE_PROVIDER_CONFIG,
        "Schemas": Kind.SCHEMAS,
        "Bulk": Kind.BULK,
    },
}
_COLLECTIONS = frozenset({Kind.USERS, Kind.GROUPS, Kind.EXTENSION})
_WITH_RESOURCES = _COLLECTIONS | {Kind.SCHEMAS, Kind.RESOURCE_TYPES}
_SEARCHABLE = _COLLECTIONS | {Kind.ROOT}


@dataclass(frozen=True, slots=True)
class Address:
    """An address understood; the endpoint is its first segment, "" for the root."""

    kind: Kind
    endpoint: str
    resource_id: str | None = None  # raw, as sent: still percent-encoded
    search: bool = False  # ends in /.search (RFC 7644 section 3.4.3)

    @property
    def path(self) -> str:
        """What to put behind the upstream's path: "/Users/1", "/Users", "/.search", "" for the root."""
        path = f"/{self.endpoint}" if self.endpoint else ""
        last = _SEARCH if self.search else self.resource_id
        return f"{path}/{last}" if last else path


def read_address(path: str, extensions: tuple[str, ...], version: Version = Version.V2_0) -> Address:
    """Read what follows the tenant's path, raw, as `wire.target` let it pass.

    Names are compared exactly: /users is not /Users. One slash at the end changes nothing.

    Raises:
        Refusal: ADDRESS_UNKNOWN.
    """
    if path and not path.startswith("/"):
        raise _unknown("no slash behind the tenant's path")
    endpoint, *rest = path[1:].removesuffix("/").split("/")
    if endpoint == _SEARCH and not rest and version is Version.V2_0:
        return Address(Kind.ROOT, "", search=True)
    kind = _BY_ENDPOINT[version].get(endpoint) or (Kind.EXTENSION if endpoint in extensions else None)
    if kind is None or "//" in path:
        raise _unknown("no such endpoint")
    if not rest:
        return Address(kind, endpoint)
    if rest == [_SEARCH] and kind in _SEARCHABLE and version is Version.V2_0:
        return Address(kind, endpoint, search=True)
    if len(rest) != 1 or kind not in _WITH_RESOURCES or not _is_id(rest[0]):
        raise _unknown(f"no such address below {endpoint}")
    if version is Version.V1_1 and rest[0].lower().endswith(_FORMATS):
        # SECURITY: an upstream that cuts the format off would take it for another resource than the one judged.
        raise _unknown("a format behind an id")
    return Address(kind, endpoint, resource_id=rest[0])


def methods_of(address: Address) -> tuple[str, ...]:
    """The methods that an address knows (RFC 7644 sections 3.2 and 3.11). HEAD is not one of SCIM."""
    if address.search or address.kind is Kind.BULK:
        return ("POST",)
    if address.kind is Kind.ME:
        return ("GET", "POST", "PUT", "PATCH", "DELETE")
    if address.kind not in _COLLECTIONS:
        return ("GET",)
    if address.resource_id is None:
        return ("GET", "POST")
    return ("GET", "PUT", "PATCH", "DELETE")


def _is_id(segment: str) -> bool:
    # SECURITY: an upstream that compares without case would take "/.Search" for a search.
    if segment in (".", "..") or segment.lower() == _SEARCH:
        return False
    return len(segment) <= MAX_ID_BYTES and _ID.fullmatch(segment) is not None


def _unknown(note: str) -> Refusal:
    return Refusal(Reason.ADDRESS_UNKNOWN, note=note)
