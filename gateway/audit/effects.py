"""What a line of the audit log did, or would have done, to people's access. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

from gateway.audit.people import EXTERNAL_ID, ID, USER_NAME
from gateway.audit.records import Record, number_of, text_of, texts_of

_USERS, _GROUPS = "/Users/", "/Groups/"
_NAMES_MEMBERS = {"group.members.replace", "group.replace", "group.patch"}


class Effect(Enum):
    """In an auditor's words."""

    CREATED = "created"
    ACTIVATED = "activated"
    GIVEN_OR_KEPT = "given or kept"  # `active` was written, as true: else the guard would say what it takes
    ADDED = "added to group"
    LISTED = "added to or kept in group"  # a whole list was written
    DEACTIVATED = "deactivated"
    DELETED = "deleted"
    REMOVED = "removed from group"
    GROUP_DELETED = "group deleted"

    @property
    def takes(self) -> bool:
        """Whether somebody loses access by it."""
        return self in (Effect.DEACTIVATED, Effect.DELETED, Effect.REMOVED, Effect.GROUP_DELETED)


_OF_LOSS = {"deactivated": Effect.DEACTIVATED, "deleted": Effect.DELETED, "removed": Effect.REMOVED}
_OF_USER = {
    "user.create": Effect.CREATED,
    "user.activate": Effect.ACTIVATED,
    "user.deactivate": Effect.DEACTIVATED,
    "user.delete": Effect.DELETED,
}
_OF_GROUP = {
    "group.create": Effect.ADDED,
    "group.members.add": Effect.ADDED,
    "group.members.remove": Effect.REMOVED,
    **dict.fromkeys(_NAMES_MEMBERS, Effect.LISTED),
}


@dataclass(frozen=True, slots=True)
class Whom:
    """A person by the names that a line gives; all empty: people whom it counts and does not name."""

    id: str = ""
    user_name: str = ""
    external_id: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One effect on one person. `group` is its id, "" for none; a name where it has no id yet."""

    effect: Effect
    whom: Whom
    group: str = ""


def changes_of(record: Record) -> list[Change]:
    """What a write does to access, person by person; nothing for what touches none."""
    operation, loss = text_of(record, "operation"), _OF_LOSS.get(_loss(record))
    if operation.startswith("group."):
        return list(_group_changes(record, operation))
    if loss is None and not operation.startswith("user."):
        return []
    effect = loss or _OF_USER.get(operation)
    if effect is None and operation in ("user.replace", "user.patch") and _writes_active(record):
        effect = Effect.GIVEN_OR_KEPT
    return [Change(effect, user_of(record))] if effect else []


def _loss(record: Record) -> str:
    guard = record.get("guard")
    return text_of(guard, "loss") if isinstance(guard, dict) else ""


def _writes_active(record: Record) -> bool:
    attributes = record.get("attributes")
    return isinstance(attributes, list) and "active" in attributes


def user_of(record: Record) -> Whom:
    """The one person of a write to a user; who is meant by /Me, only the guard knows."""
    people, lost = people_of(record), texts_of(record, "lost")
    resource = text_of(record, "resource")
    identifier = _last_part(resource, _USERS) or (lost[0] if lost else "")
    whom = people[0] if people else Whom()
    return Whom(whom.id or identifier, whom.user_name, whom.external_id)


def _group_changes(record: Record, operation: str) -> Iterator[Change]:
    group = group_of(record)
    lost = list(dict.fromkeys(texts_of(record, "lost")))
    for person in lost:
        yield Change(Effect.REMOVED, Whom(person), group)
    if (more := number_of(record, "lost_total") - len(lost)) > 0:
        yield Change(Effect.REMOVED, Whom(count=more), group)
    if operation == "group.delete" and not lost:
        yield Change(Effect.GROUP_DELETED, Whom(), group)
    effect = _OF_GROUP.get(operation)
    if effect is None:
        return
    people = [whom for whom in people_of(record) if whom.id not in lost]
    for whom in people:
        yield Change(effect, whom, group)
    if (more := number_of(record, "people_total") - len(people_of(record))) > 0:
        yield Change(effect, Whom(count=more), group)


def group_of(record: Record) -> str:
    """The id of the group that a line is about, or else the name that it gives."""
    identifier = _last_part(text_of(record, "resource"), _GROUPS) or text_of(record, "resource_id")
    return identifier or text_of(record, "resource_name")


def people_of(record: Record) -> list[Whom]:
    """Who stands in `people`."""
    people = record.get("people")
    each = [person for person in people if isinstance(person, dict)] if isinstance(people, list) else []
    return [Whom(text_of(who, ID), text_of(who, USER_NAME), text_of(who, EXTERNAL_ID)) for who in each]


def _last_part(resource: str, collection: str) -> str:
    return unquote(resource.removeprefix(collection).partition("/")[0]) if resource.startswith(collection) else ""
