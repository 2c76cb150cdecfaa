"""What the simulated application keeps, and what a PATCH does to it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NewType

JsonObject = dict[str, object]
ResourceId = NewType("ResourceId", str)

_MEMBER = re.compile(r'members\[value eq "([^"]+)"\]')


class Conflict(Exception):
    """Somebody else has that name."""


class Malformed(Exception):
    """A body that the application does not understand."""


class Collection:
    """Users or groups, by id and by name (without case). Unless `unique`, two may share a name."""

    def __init__(self, kind: str, name_attribute: str, *, unique: bool = True) -> None:
        self.kind = kind
        self.name_attribute = name_attribute
        self._unique = unique
        self._by_id: dict[ResourceId, JsonObject] = {}
        self._by_name: dict[str, list[ResourceId]] = {}
        self._made = 0

    def __iter__(self) -> Iterator[JsonObject]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, resource_id: ResourceId) -> JsonObject | None:
        """A copy: changes take effect by `put` alone."""
        found = self._by_id.get(resource_id)
        return None if found is None else copy.deepcopy(found)

    def named(self, name: str) -> list[JsonObject]:
        return [self._by_id[resource_id] for resource_id in self._by_name.get(name.casefold(), ())]

    def add(self, resource: JsonObject) -> ResourceId:
        """A new one, whose id is made here.

        Raises:
            Conflict, Malformed.
        """
        resource_id = ResourceId(f"{self.kind[0].lower()}{self._made + 1:07d}")
        self.put(resource_id, resource)
        self._made += 1
        return resource_id

    def put(self, resource_id: ResourceId, resource: JsonObject) -> None:
        """Replace it whole, or bring it in.

        Raises:
            Conflict, Malformed.
        """
        name = self._name(resource)
        holders = self._by_name.setdefault(name, [])
        if self._unique and any(holder != resource_id for holder in holders):
            raise Conflict(name)
        if resource_id not in holders:
            self._forget_name(resource_id)
            holders.append(resource_id)
        self._by_id[resource_id] = copy.deepcopy(resource) | {"id": resource_id}

    def delete(self, resource_id: ResourceId) -> None:
        self._forget_name(resource_id)
        del self._by_id[resource_id]

    def _name(self, resource: JsonObject) -> str:
        name = resource.get(self.name_attribute)
        if not isinstance(name, str) or not name:
            raise Malformed(f"{self.name_attribute} is missing")
        return name.casefold()

    def _forget_name(self, resource_id: ResourceId) -> None:
        if (before := self._by_id.get(resource_id)) is not None:
            self._by_name[self._name(before)].remove(resource_id)


@dataclass(slots=True)
class Store:
    """The directory; all nodes of an application share one."""

    users: Collection = field(default_factory=lambda: Collection("User", "userName"))
    groups: Collection = field(default_factory=lambda: Collection("Group", "displayName"))

    def collection(self, name: str) -> Collection | None:
        return {"Users": self.users, "Groups": self.groups}.get(name)


def patched(resource: JsonObject, body: JsonObject) -> JsonObject:
    """The resource after a PATCH: path-less, of a plain attribute, of `members` or of one member. Pure.

    Raises:
        Malformed: it is none of these.
    """
    operations = body.get("Operations")
    if not isinstance(operations, list) or not operations:
        raise Malformed("a PATCH has Operations")
    for operation in operations:
        if not isinstance(operation, dict):
            raise Malformed("an operation is an object")
        resource = _patched_once(resource, operation)
    return resource


def _patched_once(resource: JsonObject, operation: JsonObject) -> JsonObject:
    verb, path, value = str(operation.get("op")).lower(), operation.get("path"), operation.get("value")
    match verb, path:
        case (("add" | "replace"), None) if isinstance(value, dict):
            return resource | {key: each for key, each in value.items() if key != "id"}
        case (("add" | "replace" | "remove"), "members"):
            return resource | {"members": _members(verb, members_of(resource), members_of({"members": value}))}
        case "remove", str() if found := _MEMBER.fullmatch(path):
            return resource | {"members": [each for each in members_of(resource) if each["value"] != found[1]]}
        case (("add" | "replace"), str()) if path.isidentifier() and path != "id":
            return resource | {path: value}
        case _:
            raise Malformed(f"{verb} of {path} is not understood")


def _members(verb: str, before: list[JsonObject], given: list[JsonObject]) -> list[JsonObject]:
    ids = {each["value"] for each in given}
    if verb == "replace":
        return given
    if verb == "remove":
        return [each for each in before if ids and each["value"] not in ids]
    return [each for each in before if each["value"] not in ids] + given


def members_of(group: JsonObject) -> list[JsonObject]:
    """A group's members as `{"value": ..., "display": ...}`. Pure.

    Raises:
        Malformed: they are something else.
    """
    members = group.get("members") or []
    if not isinstance(members, list):
        raise Malformed("members is a list")
    for each in members:
        if not isinstance(each, dict) or not isinstance(each.get("value"), str):
            raise Malformed("a member has a value")
    return members
