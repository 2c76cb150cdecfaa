"""The values that decisions go by: read in every form that clients give them, refused in any other. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.refusal import Reason, Refusal
from gateway.scim.attributes import value_of
from gateway.scim.documents import JsonValue

_BOOLEANS = {"true": True, "false": False}


def read_active(value: JsonValue) -> bool | None:
    """A boolean, or Entra's "False"; null, which takes the value away, is None.

    Raises:
        Refusal: VALUE_MALFORMED.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise wrong_value("active", "is a boolean")


def read_members(value: JsonValue) -> Iterator[str]:
    """The ids of `[{"value": id}]`; one object without its list counts, as some servers take it.

    Raises:
        Refusal: VALUE_MALFORMED.
    """
    listed = [] if value is None else value if isinstance(value, list) else [value]
    for member in listed:
        identifier = value_of(member, "value") if isinstance(member, dict) else None
        if not isinstance(identifier, str):
            raise wrong_value("members", "holds objects with a string as their value")
        yield identifier


def wrong_value(attribute: str, rule: str) -> Refusal:
    """The refusal of a value; its note says the rule, never the value."""
    return Refusal(Reason.VALUE_MALFORMED, note=f"{attribute} {rule}")
