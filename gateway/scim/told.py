"""What the application's answer to a write tells of the resource: the id it has there, and a user's names. Pure."""

from __future__ import annotations

from gateway.scim.attributes import value_of
from gateway.scim.documents import Document
from gateway.scim.operations import Who

_MAX_CHARACTERS = 1024  # an application that says more under one of these names says something else
_NOBODY = Who()


def id_told(document: Document) -> str | None:
    """The resource's id; None where the answer has none."""
    return _text(document, "id")


def completed(people: tuple[Who, ...], document: Document) -> tuple[Who, ...]:
    """The one person whom a write to a user concerns, with what the request left out; what it gave stays.

    An answer that shows another resource tells nothing.
    """
    who = people[0] if people else _NOBODY
    told = id_told(document)
    if told != who.id and told is not None and who.id is not None and told.casefold() != who.id.casefold():
        return people
    user_name = who.user_name or _text(document, "userName")
    external_id = who.external_id or _text(document, "externalId")
    if (who.id or told) == who.id and user_name == who.user_name and external_id == who.external_id:
        return people
    return (Who(who.id or told, user_name, external_id),)


def _text(document: Document, name: str) -> str | None:
    value = value_of(document, name)
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_CHARACTERS else None
