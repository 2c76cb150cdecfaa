"""What an upstream says when the guard asks: of a group, who is in it now; of a list, how long it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.exchange import Delivery
from gateway.scim.attributes import value_of
from gateway.scim.documents import Document, JsonValue


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the upstream has it; `members` is None where its answer does not list any."""

    name: str | None
    members: frozenset[str] | None


GONE = Group(None, frozenset())  # there is no such group


def document_of(delivery: Delivery) -> Document | None:
    """What a question was answered with; None when it was refused, failed or found nothing."""
    answer = delivery.answer
    return answer.document if delivery.reason is None and answer is not None and answer.status == 200 else None


def read_group(document: Document) -> Group | None:
    """Read a group resource; None when it is none, or its members cannot be told, for then nobody may guess.

    A server leaves `members` out of a group without any (RFC 7643 section 2.5), but some leave it out of every group
    unless it is asked for by name.
    """
    name, listed = value_of(document, "displayName"), value_of(document, "members")
    shown = name if isinstance(name, str) else None
    if listed is None:
        # SECURITY: a list, or whatever else is no group, has no members either, and would lose nobody.
        is_group = shown is not None or isinstance(value_of(document, "id"), str)
        return Group(shown, None) if is_group else None
    if not isinstance(listed, list):
        return None
    members = [_id(member) for member in listed]
    if None in members:
        return None
    return Group(shown, frozenset(member for member in members if member is not None))


def _id(member: JsonValue) -> str | None:
    identifier = value_of(member, "value") if isinstance(member, dict) else None
    return identifier if isinstance(identifier, str) else None


def total_of(document: Document) -> int | None:
    """How many resources a list says there are (RFC 7644 section 3.4.2); None when it does not say."""
    total = value_of(document, "totalResults")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None
