"""PatchOp messages (RFC 7644 section 3.5.2) as lists of changes, in the dialects that Okta and Entra speak. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from gateway.refusal import Reason, Refusal
from gateway.scim.attributes import attributes_of, schemas_of, spread_value, value_of
from gateway.scim.documents import Document, JsonValue
from gateway.scim.filters import Filter
from gateway.scim.paths import parse_path
from gateway.scim.versions import V1_1_SCHEMA

PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

# SECURITY: an upstream that still speaks SCIM 1.1 would take other names for a partial resource and write them.
_NAMES = frozenset({"schemas", "operations", "id", "externalid"})


class Op(Enum):
    """What an operation of a PatchOp does."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that a PatchOp changes, whether a path or a key of a path-less value named it."""

    op: Op
    attribute: str  # as attribute_name spells it, "name.givenName" for a sub-attribute
    value: JsonValue = None
    filter: Filter | None = None  # of `members[value eq "1"]`


_OPS = {op.value: op for op in Op}


def read_patch(document: Document) -> tuple[Change, ...]:
    """Read a PatchOp message: the changes of its operations, in their order.

    Raises:
        Refusal: PATCH_MALFORMED, PATH_MALFORMED, VALUE_MALFORMED.
    """
    schemas = schemas_of(document)
    if PATCH_SCHEMA.lower() not in schemas:
        if V1_1_SCHEMA in schemas:
            raise _malformed("a partial resource of SCIM 1.1; this tenant speaks 2.0")
        raise _malformed("without the PatchOp schema")
    if not {name.lower() for name in document} <= _NAMES:
        raise _malformed("names that are not of a PatchOp")
    operations = value_of(document, "Operations")
    if not isinstance(operations, list) or not operations:
        raise _malformed("without operations")
    return tuple(change for operation in operations for change in _read_operation(operation))


def _read_operation(operation: JsonValue) -> Iterator[Change]:
    if not isinstance(operation, dict):
        raise _malformed("an operation that is no object")
    verb = value_of(operation, "op")
    op = _OPS.get(verb.lower()) if isinstance(verb, str) else None  # Entra writes "Replace"
    if op is None:
        raise _malformed("an op that is none of add, replace, remove")
    if op is not Op.REMOVE and not any(name.lower() == "value" for name in operation):
        raise _malformed("an operation without a value")
    path, value = value_of(operation, "path"), value_of(operation, "value")
    if path is None:
        return _without_path(op, value)
    if not isinstance(path, str):
        raise Refusal(Reason.PATH_MALFORMED, note="a path that is no string")
    return _with_path(op, path, value)


def _without_path(op: Op, value: JsonValue) -> Iterator[Change]:
    if op is Op.REMOVE or not isinstance(value, dict):
        raise _malformed("without a path, a removal or a value that is no object")
    for name, inner in attributes_of(value, Reason.PATCH_MALFORMED).items():
        yield Change(op, name, inner)


def _with_path(op: Op, text: str, value: JsonValue) -> Iterator[Change]:
    path = parse_path(text)
    if not path.attribute and op is not Op.REMOVE:  # a whole schema, as Entra sends it
        yield from _without_path(op, {text: value} if isinstance(value, dict) else None)
    elif not path.name:
        raise Refusal(Reason.PATH_MALFORMED, note="removal of a whole core schema")
    elif op is Op.REMOVE or path.filter is not None:
        yield Change(op, path.name, value, path.filter)
    else:
        yield from (Change(op, name, inner) for name, inner in spread_value(path.name, value))


def _malformed(note: str) -> Refusal:
    return Refusal(Reason.PATCH_MALFORMED, note=note)
