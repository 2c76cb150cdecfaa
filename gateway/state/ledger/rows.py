"""The ledger as rows of text, for a store: what each kind of row holds, and how it is written and read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from gateway.state.ledger.values import Flight, HeldWrite, Hold, Terms

Kind = Literal["lost", "watched", "flight", "write", "hold", "terms"]
Key = tuple[Kind, str, str]  # kind, tenant, what it is about
Value = float | Flight | HeldWrite | Hold | Terms
Changes = Mapping[Key, Value | None]  # None: the row is gone

_TIME: TypeAdapter[float] = TypeAdapter(float)
_FLIGHT: TypeAdapter[Flight] = TypeAdapter(Flight)
_WRITE: TypeAdapter[HeldWrite] = TypeAdapter(HeldWrite)
_HOLD: TypeAdapter[Hold] = TypeAdapter(Hold)
_TERMS: TypeAdapter[Terms] = TypeAdapter(Terms)


class RowUnreadable(ValueError):
    """A row that no ledger of this version wrote; the text says which."""


def text_of(value: Value) -> str:
    """A value as one line of JSON."""
    match value:
        case Flight():
            return _FLIGHT.dump_json(value).decode()
        case HeldWrite():
            return _WRITE.dump_json(value).decode()
        case Hold():
            return _HOLD.dump_json(value).decode()
        case Terms():
            return _TERMS.dump_json(value).decode()
        case float() | int():
            return _TIME.dump_json(value).decode()


def row_of(kind: str, tenant: str, about: str, text: str) -> tuple[Key, Value]:
    """What was written.

    Raises:
        RowUnreadable: it is damaged, or of a kind that is not known.
    """
    try:
        match kind:
            case "lost" | "watched":
                return (kind, tenant, about), _TIME.validate_json(text)
            case "flight":
                return (kind, tenant, about), _FLIGHT.validate_json(text)
            case "write":
                return (kind, tenant, about), _WRITE.validate_json(text)
            case "hold":
                return (kind, tenant, about), _HOLD.validate_json(text)
            case "terms":
                return (kind, tenant, about), _TERMS.validate_json(text)
            case _:
                raise RowUnreadable(f"a row of the unknown kind {kind!r}")
    except ValidationError as error:
        raise RowUnreadable(f"a damaged row of the kind {kind!r}") from error
