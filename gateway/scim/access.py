"""Who loses access by a write, and how: its meaning, whichever way it is spelled. Pure.

People lose access when they are deactivated, deleted, or no longer members of a group. Where the request
does not tell who, a `Taking` says so and judges the group's present members. In doubt it counts somebody
more, never somebody less; docs/scim-divergences.md lists the doubts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import TypeAlias
from unicodedata import normalize
from urllib.parse import unquote

from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Address, Kind
from gateway.scim.documents import JsonValue
from gateway.scim.filters import And, AttributePath, Comparison, Filter, Not, Operator, Or, Present, ValuePath
from gateway.scim.patches import Change, Op
from gateway.scim.values import read_active, read_members, wrong_value

_REPLACING = ("PUT", "PATCH")


class Loss(Enum):
    """How people lose access."""

    DEACTIVATED = "deactivated"
    DELETED = "deleted"
    REMOVED = "removed"  # from a group, or the group was deleted


@dataclass(frozen=True, slots=True)
class Taking:
    """Whose access a write takes, and how; ids are decoded, and as the request gives them."""

    loss: Loss
    people: tuple[str, ...]  # whom the request itself names; () of /Me, and when only the group's members tell
    group: str | None = None  # the id of the group, for Loss.REMOVED
    needs_members: bool = False  # whether only the group's present members tell who loses access
    kept: frozenset[str] = frozenset()  # members whom the request itself leaves in, or puts back

    def lost(self, present: Collection[str]) -> frozenset[str]:
        """Which of a group's present members are missing afterwards; of a user, its id whatever is present."""
        if self.group is None:
            return frozenset(self.people)
        # SECURITY: who stays is compared exactly, who goes is not: a server may compare ids either way.
        leaving = frozenset(present) - self.kept
        if self.needs_members:
            return leaving
        named = {_fold(person) for person in self.people}
        return frozenset(member for member in leaving if _fold(member) in named)


def taken(method: str, address: Address, changes: tuple[Change, ...]) -> Taking | None:
    """Say whose access a request takes; None when nobody loses any.

    The changes are those of a whole resource for PUT, where `active` left out changes nothing (RFC 7644
    section 3.5.1 lets a server choose; no known one deactivates), and () for DELETE. A POST takes nothing.
    Of /Me no person is named: whoever knows whose the credential is must say.

    Raises:
        Refusal: VALUE_MALFORMED for an `active` that is null or removed, MEMBERS_MISSING for the PUT of a group
            without them: servers disagree on what either does.
    """
    if address.kind not in (Kind.USERS, Kind.ME, Kind.GROUPS):
        return None
    resource_id = unquote(address.resource_id) if address.resource_id else None
    if address.kind is Kind.GROUPS:
        return _taken_by_group(method, resource_id, changes)
    people = (resource_id,) if resource_id else ()
    if method == "DELETE":
        return Taking(Loss.DELETED, people)
    if method in _REPLACING and _deactivates(changes):
        return Taking(Loss.DEACTIVATED, people)
    return None


def _deactivates(changes: tuple[Change, ...]) -> bool:
    """Whether `active` ends as false: operations are applied in order, so the last one counts."""
    active: bool | None = True
    for change in changes:
        if change.attribute == "active":
            active = None if change.op is Op.REMOVE else read_active(change.value)
            if active is None:
                raise wrong_value("active", "is neither null nor removed: it is true or false")
    return not active


def _taken_by_group(method: str, group: str | None, changes: tuple[Change, ...]) -> Taking | None:
    if method == "DELETE":
        return Taking(Loss.REMOVED, (), group, needs_members=True)
    if method not in _REPLACING:
        return None
    if method == "PUT" and not any(c.attribute == "members" and c.value is not None for c in changes):
        raise Refusal(Reason.MEMBERS_MISSING)
    return _taken_from_members(group, changes)


def _taken_from_members(group: str | None, changes: tuple[Change, ...]) -> Taking | None:
    """Apply the changes in order to members yet unknown: who has gone by now, and who is surely in."""
    everybody = False
    gone: dict[str, None] = {}
    left_at: dict[str, int] = {}  # by the number of the change; folded, so that whoever goes goes in any spelling
    joined_at: dict[str, int] = {}
    for number, change in enumerate(changes):
        if change.attribute.partition(".")[0] != "members":
            continue
        leaving, joining = _effect(change)
        if leaving is None:
            everybody = True
            joined_at.clear()
        for member in leaving or ():
            gone[member] = None
            left_at[_fold(member)] = number
        joined_at |= dict.fromkeys(joining, number)
    kept = _joined_last(joined_at, left_at)
    people = () if everybody else tuple(member for member in gone if member not in kept)
    return Taking(Loss.REMOVED, people, group, everybody, kept) if everybody or people else None


def _joined_last(joined_at: dict[str, int], left_at: dict[str, int]) -> frozenset[str]:
    if not left_at:
        return frozenset(joined_at)
    return frozenset(member for member, number in joined_at.items() if number > left_at.get(_fold(member), -1))


_Ids: TypeAlias = "tuple[str, ...]"


def _effect(change: Change) -> tuple[_Ids | None, _Ids]:
    """Who leaves by one change of a group's members, and who is surely in after it.

    None leaves it to the members: everybody may leave.
    """
    if change.attribute == "members.display":
        return (), ()
    found = None if change.filter is None else _found_by(change.filter)
    if change.attribute != "members":
        return _found_below(change, found), ()
    listed = tuple(read_members(change.value))
    if change.op is Op.REMOVE:
        return _removed(change, found, listed), ()
    if change.filter is not None:  # whoever is found becomes the one listed; nobody joins, for nobody may be found
        return _without(found, listed if len(listed) == 1 else ()), ()
    return (() if change.op is Op.ADD else None), listed


def _found_below(change: Change, found: _Ids | None) -> _Ids | None:
    """Of a sub-attribute: a member whose value, type or reference becomes another is another member."""
    stays = change.attribute == "members.value" and change.op is not Op.REMOVE
    return _without(found, (change.value,)) if stays else found


def _removed(change: Change, found: _Ids | None, listed: _Ids) -> _Ids | None:
    """Of a removal: those whom the path's filter finds, and those whom the value lists, as Entra sends it."""
    if change.filter is None:
        return listed or None  # SECURITY: an empty list names nobody, and servers that know no list remove everybody
    return None if found is None else found + listed


def _found_by(condition: Filter) -> _Ids | None:
    """The only ids that a filter can find; None when it does not say them plainly."""
    match condition:
        case Comparison(AttributePath(None, attribute, None), Operator.EQ, str(identifier)):
            return (identifier,) if attribute.lower() == "value" else None
        case Or(terms):
            found = [_found_by(term) for term in terms]
            plain = [ids for ids in found if ids is not None]
            return tuple(chain(*plain)) if len(plain) == len(found) else None
        case And(terms):
            plain = [ids for term in terms if (ids := _found_by(term)) is not None]
            return min(plain, key=len, default=None)  # each term can only narrow it down
        case Comparison() | Present() | Not() | ValuePath():
            return None


def _without(ids: _Ids | None, others: Collection[JsonValue]) -> _Ids | None:
    if ids is None:
        return None
    strings = {other for other in others if isinstance(other, str)}
    return tuple(identifier for identifier in ids if identifier not in strings)


def _fold(identifier: str) -> str:
    """The form in which a server may compare ids: RFC 7643 section 8.7.1 has those of members without case."""
    return normalize("NFC", identifier.casefold())
