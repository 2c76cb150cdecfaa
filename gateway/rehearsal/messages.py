"""What clients send, Okta first: fields, targets and bodies, shaped as on the wire. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from gateway.scim.versions import V1_1_SCHEMA, Version

JsonObject = Mapping[str, object]

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"

PAGE_SIZE = 100  # Okta's, in lookups and imports alike


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client speaks, whatever it asks for: its version of SCIM, and what goes with every request."""

    fields: Mapping[str, str]  # of every request
    body_fields: Mapping[str, str]  # of those with a body
    flag: str = ""  # a parameter in the query of every target
    version: Version = Version.V2_0

    @property
    def user_schema(self) -> str:
        return V1_1_SCHEMA if self.version is Version.V1_1 else USER_SCHEMA

    @property
    def group_schema(self) -> str:
        return V1_1_SCHEMA if self.version is Version.V1_1 else GROUP_SCHEMA

    @property
    def list_schema(self) -> str:
        return V1_1_SCHEMA if self.version is Version.V1_1 else LIST_SCHEMA

    def spelled(self, target: str) -> str:
        """The target with the client's flag, if it has one."""
        return f"{target}{'&' if '?' in target else '?'}{self.flag}" if self.flag else target


def _okta(version: Version) -> Manner:
    return Manner(
        fields={
            "Accept": version.media_type,
            "Accept-Charset": "utf-8",
            "User-Agent": "Okta SCIM Client 1.0.0",
            "Connection": "Keep-Alive",
            "Accept-Encoding": "gzip,deflate",
        },
        body_fields={"Content-Type": f"{version.media_type}; charset=utf-8"},
        version=version,
    )


OKTA, OKTA_AGENT = _okta(Version.V2_0), _okta(Version.V1_1)


@dataclass(frozen=True, slots=True)
class Member:
    """A user as a group sees it; Okta sends no `type` with it."""

    id: str
    user_name: str

    def as_json(self) -> JsonObject:
        return {"value": self.id, "display": self.user_name}


@dataclass(frozen=True, slots=True)
class PushedGroup:
    """A group as Okta believes it to be."""

    id: str
    name: str
    members: tuple[Member, ...] = ()


def request_fields(authorization: str, *, has_body: bool, manner: Manner = OKTA) -> dict[str, str]:
    """The header fields of a request; Host and Content-Length are the HTTP client's."""
    return {**manner.fields, "Authorization": authorization, **(manner.body_fields if has_body else {})}


def page_target(collection: str, *, start_index: int, count: int = PAGE_SIZE) -> str:
    """`/Users?startIndex=1&count=100`."""
    return f"/{collection}?startIndex={start_index}&count={count}"


def lookup_target(collection: str, attribute: str, value: str, *, spaces_as_plus: bool = False) -> str:
    """The filter lookup, every reserved character escaped: a bare `+` would arrive as a space.

    Okta writes a space as %20; it used to write `+`, and some of its requests still may.
    """
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    escape = quote_plus if spaces_as_plus else quote
    filter_text = escape(f'{attribute} eq "{text}"', safe="")
    return f"/{collection}?filter={filter_text}&startIndex=1&count={PAGE_SIZE}"


def changed_since_target(moment: str) -> str:
    """The agent's incremental import: users changed after a moment such as 2024-04-07T14:19:34Z."""
    filter_text = quote(f'meta.lastModified gt "{moment}"', safe="")
    return f"/Users?filter={filter_text}&startIndex=1&count={PAGE_SIZE}"


def new_user(
    user_name: str, *, given_name: str, family_name: str, external_id: str, password: str, manner: Manner = OKTA
) -> JsonObject:
    """Create; the password is sent even where password sync is off."""
    type_of_email = "primary" if manner.version is Version.V1_1 else "work"
    return {
        "schemas": [manner.user_schema],
        "userName": user_name,
        "name": {"givenName": given_name, "familyName": family_name},
        "emails": [{"primary": True, "value": user_name, "type": type_of_email}],
        "displayName": f"{given_name} {family_name}",
        "locale": "en-US",
        "externalId": external_id,
        "groups": [],
        "password": password,
        "active": True,
    }


def new_group(name: str, manner: Manner = OKTA) -> JsonObject:
    return {"schemas": [manner.group_schema], "displayName": name, "members": []}


def whole_group(group: PushedGroup, manner: Manner = OKTA) -> JsonObject:
    """The body of a group's PUT, as App Integration Wizard apps and the agent send it."""
    members = [member.as_json() for member in group.members]
    return {"schemas": [manner.group_schema], "id": group.id, "displayName": group.name, "members": members}


def patch(*operations: JsonObject) -> JsonObject:
    return {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}


def activation(*, active: bool) -> JsonObject:
    """The path-less PATCH by which catalogue apps activate and deactivate."""
    return patch({"op": "replace", "value": {"active": active}})


def rename(group: PushedGroup) -> JsonObject:
    """The path-less PATCH of a group's name; it carries the read-only id."""
    return patch({"op": "replace", "value": {"id": group.id, "displayName": group.name}})


def membership_change(removed: Sequence[Member], added: Sequence[Member]) -> JsonObject:
    """Removals by value path, one each, then all additions at once."""
    removals: list[JsonObject] = [{"op": "remove", "path": f'members[value eq "{member.id}"]'} for member in removed]
    additions: list[JsonObject] = (
        [{"op": "add", "path": "members", "value": [member.as_json() for member in added]}] if added else []
    )
    return patch(*removals, *additions)


def membership_replacement(members: Sequence[Member]) -> JsonObject:
    """ "Push now": the whole list at once; of an empty group, an empty list."""
    return patch({"op": "replace", "path": "members", "value": [member.as_json() for member in members]})
