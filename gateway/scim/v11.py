"""SCIM 1.1 as Okta's provisioning agent speaks it: what its writes would change, and its error messages. Pure.

A partial resource (SCIM 1.1 protocol, section 3.3.2) is read as the changes of `scim.patches`, so that
whoever judges changes judges both versions alike. A translation to an upstream that speaks 2.0 would
stand beside this module, and write a PatchOp from the same changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gateway.refusal import Reason, Refusal
from gateway.scim.attributes import attributes_of, check_schemas, schemas_of, value_of
from gateway.scim.documents import Document, JsonValue, write_document
from gateway.scim.patches import PATCH_SCHEMA, Change, Op
from gateway.scim.paths import parse_path

_ERRORS = ("Errors", "errors")  # as SCIM 1.1 spells it, and as Okta's connector SDK does
_MAX_ERRORS = 16
_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_CLEARED = "meta.attributes"
_DELETE = "delete"


def read_partial(document: Document) -> tuple[Change, ...]:
    """Read a PATCH: first what `meta.attributes` clears, then what the resource writes, in its order.

    Of a list of objects those marked with `"operation": "delete"` are removed and the others added to what is
    there; `members` is one always. What else is written replaces.

    Raises:
        Refusal: PATCH_MALFORMED, PATH_MALFORMED, VALUE_MALFORMED, MESSAGE_MALFORMED.
    """
    if PATCH_SCHEMA.lower() in schemas_of(document) or any(name.lower() == "operations" for name in document):
        raise _malformed("a PatchOp of SCIM 2.0; this tenant speaks 1.1")
    written = _written(document, Reason.PATCH_MALFORMED)
    cleared = _names_cleared(written.pop(_CLEARED)) if _CLEARED in written else ()
    changes = [Change(Op.REMOVE, name) for name in cleared]
    for name, value in written.items():
        changes += _read_value(name, value)
    return tuple(changes)


def read_resource(document: Document) -> tuple[Change, ...]:
    """Read a create or replace, in which nothing may stand that only a PATCH can mean.

    Raises:
        Refusal: MESSAGE_MALFORMED, VALUE_MALFORMED.
    """
    written = _written(document, Reason.MESSAGE_MALFORMED)
    # SECURITY: a server that goes by either would take away what the resource seems to give.
    if written.get(_CLEARED) or any(_operations_in(value) for value in written.values()):
        raise Refusal(Reason.MESSAGE_MALFORMED, note="meta.attributes or an operation outside a PATCH")
    return tuple(Change(Op.REPLACE, name, value) for name, value in written.items())


def error_body(status: int, description: str) -> bytes:
    """An error message of our own (SCIM 1.1 protocol, section 3.9); its code is a string there."""
    return write_document({"Errors": [{"description": description, "code": str(status)}]})


def is_error(document: Document) -> bool:
    """Whether JSON is an error message: a list of objects with a description, in either spelling of its name.

    Other programs answer with lists of errors too, and their "not found" must not be taken for the application's.
    """
    return bool(_errors_in(document)[1])


def public_error(document: Document, show: Callable[[str], str]) -> bytes:
    """An error message made anew from its public members, in the spelling it came in; `show` gives what may be told.

    Expects a document that `is_error` took.
    """
    name, errors = _errors_in(document)
    shown: list[JsonValue] = [_public_entry(error, show) for error in errors[:_MAX_ERRORS]]
    return write_document({name: shown})


def _written(document: Document, reason: Reason) -> Document:
    """What a document writes, by name, with what no version of the protocol knows how to read refused."""
    check_schemas(document)
    written = attributes_of(document, reason)
    if written.get("meta") is not None and written["meta"] != {}:
        raise Refusal(reason, note="meta that is no object")
    if "active" in written and not isinstance(written["active"], bool):
        raise Refusal(Reason.VALUE_MALFORMED, note="active is a boolean")
    if any(name.startswith("members.") for name in written):
        raise Refusal(reason, note="members by a name with a dot")
    if "members" in written and not _is_list_of_objects(written["members"]):
        raise Refusal(Reason.VALUE_MALFORMED, note="members is a list of objects")
    return written


def _names_cleared(value: JsonValue) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _malformed("meta.attributes that is no list of names")
    return tuple(dict.fromkeys(_name_cleared(name) for name in value if isinstance(name, str)))


def _name_cleared(text: str) -> str:
    path = parse_path(text)
    if path.filter is not None or not path.name or path.name.startswith("members."):
        raise _malformed("meta.attributes with what is no attribute's name")
    return path.name


def _read_value(name: str, value: JsonValue) -> Iterator[Change]:
    if not isinstance(value, list) or (name != "members" and not _operations_in(value)):
        yield Change(Op.REPLACE, name, value)
        return
    removed: list[JsonValue] = [entry for entry in value if _is_deleted(entry)]
    added: list[JsonValue] = [entry for entry in value if not _is_deleted(entry)]
    if _ids(removed) & _ids(added):  # whether it is there in the end would depend on the server's order
        raise _malformed("an entry that is both added and deleted")
    if removed:
        yield Change(Op.REMOVE, name, removed)
    if added or not removed:
        yield Change(Op.ADD, name, added)


def _is_deleted(entry: JsonValue) -> bool:
    operations = _operations_in([entry])
    # SECURITY: exactly "delete"; a server that knows no other spelling would add whom we took for removed.
    if any(operation != _DELETE for operation in operations):
        raise _malformed('an operation other than "delete"')
    return bool(operations)


def holds_operations(value: JsonValue) -> bool:
    """Whether an object of a list says `operation`, as SCIM 1.1 marks whom a PATCH removes."""
    return bool(_operations_in(value))


def _operations_in(value: JsonValue) -> list[JsonValue]:
    """Every `operation` that stands in an object of a list."""
    if not isinstance(value, list):
        return []
    entries = [entry for entry in value if isinstance(entry, dict)]
    return [inner for entry in entries for name, inner in entry.items() if name.lower() == "operation"]


def _ids(entries: list[JsonValue]) -> frozenset[str]:
    values = [value_of(entry, "value") for entry in entries if isinstance(entry, dict)]
    return frozenset(value.casefold() for value in values if isinstance(value, str))


def _is_list_of_objects(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _errors_in(document: Document) -> tuple[str, list[Document]]:
    for name in _ERRORS:
        listed = document.get(name)
        if isinstance(listed, list):
            errors = [error for error in listed if isinstance(error, dict)]
            if len(errors) == len(listed) and all(isinstance(error.get("description"), str) for error in errors):
                return name, errors
    return _ERRORS[0], []


def _public_entry(error: Document, show: Callable[[str], str]) -> Document:
    shown: Document = {}
    for name, value in error.items():
        if name == "description" and isinstance(value, str):
            shown[name] = show(value)
        elif name in ("code", "statusCode", "internalCode") and _is_code(value):
            shown[name] = show(value) if isinstance(value, str) else value
        elif name == "help_url" and value is None:  # an address would tell of the inside
            shown[name] = None
    return shown


def _is_code(value: JsonValue) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and _CODE.fullmatch(value) is not None)


def _malformed(note: str) -> Refusal:
    return Refusal(Reason.PATCH_MALFORMED, note=note)
