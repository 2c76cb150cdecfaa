"""Taking passwords out of writes, wherever a client may put them. Pure.

Okta sends a password in every create, and with password sync off it is nobody's business.
An attribute called `password` goes whatever its schema: better one custom attribute lost than a secret leaked.
"""

from __future__ import annotations

from gateway.scim.attributes import value_of
from gateway.scim.documents import Document, JsonValue
from gateway.scim.paths import attribute_name, parse_path

_OPERATIONS = "operations"
_CLEARED = "meta.attributes"
_NAMES_NOTHING = frozenset({"schemas", "id"})


def without_passwords(document: Document) -> Document | None:
    """A copy of a resource or PatchOp message without its passwords; None when it holds none.

    None means that the original bytes may go on. Of a PATCH, operations on the password go whole: see
    `nothing_is_left`; `meta.attributes`, by which SCIM 1.1 clears, no longer names it. Expects a document that
    `understand` took.

    Raises:
        Refusal: PATH_MALFORMED, which `understand` would have raised before.
    """
    stripped = _strip(document)
    for key, value in document.items():
        if key.lower() == _OPERATIONS and isinstance(value, list):
            stripped[key] = [kept for operation in value for kept in _strip_operation(operation)]
        elif attribute_name(key) in ("meta", _CLEARED):
            del stripped[key]
            stripped |= _strip_cleared(key, value)
    return None if stripped == document else stripped


def nothing_is_left(document: Document) -> bool:
    """Whether a PatchOp message has lost all its operations, or a resource all that it writes.

    It must not be sent: it would be malformed, or change nothing.
    """
    written = [value for key, value in document.items() if attribute_name(key) not in _NAMES_NOTHING]
    return value_of(document, _OPERATIONS) == [] or not written


def password_values(document: Document) -> tuple[str, ...]:
    """Every password that a resource or PatchOp message writes, so that it can be looked for where it must not be."""
    found = [value for key, value in document.items() if _is_password(attribute_name(key)) and isinstance(value, str)]
    for key, value in document.items():
        if isinstance(value, dict) and ":" in key:
            found += password_values(value)
        if key.lower() == _OPERATIONS and isinstance(value, list):
            found += [secret for operation in value for secret in _values_of_operation(operation)]
    return tuple(found)


def _values_of_operation(operation: JsonValue) -> tuple[str, ...]:
    if not isinstance(operation, dict):
        return ()
    path, value = value_of(operation, "path"), value_of(operation, "value")
    if isinstance(value, dict):
        return password_values(value)
    is_password = isinstance(path, str) and _is_password(parse_path(path).name)
    return (value,) if is_password and isinstance(value, str) else ()


def _strip_operation(operation: JsonValue) -> list[JsonValue]:
    """The operation without passwords, or nothing."""
    if not isinstance(operation, dict):
        return [operation]
    path, value = value_of(operation, "path"), value_of(operation, "value")
    attribute = parse_path(path).name if isinstance(path, str) else ""
    if _is_password(attribute):
        return []
    if not isinstance(value, dict):
        return [operation]
    stripped = _strip(value)
    if not stripped and value:
        return []
    return [{key: stripped if key.lower() == "value" else inner for key, inner in operation.items()}]


def _strip_cleared(key: str, value: JsonValue) -> Document:
    """`meta` or `meta.attributes` without the names of passwords; nothing, where it held nothing else."""
    if isinstance(value, dict):
        kept: Document = {}
        for inner_key, inner in value.items():
            kept |= _strip_cleared(inner_key, inner) if inner_key.lower() == "attributes" else {inner_key: inner}
        return {key: kept} if kept or not value else {}
    if not isinstance(value, list):
        return {key: value}
    names = [name for name in value if not (isinstance(name, str) and _is_password(attribute_name(name)))]
    return {key: names} if names or not value else {}


def _strip(document: Document) -> Document:
    """An object without passwords of its own, nor of the objects in it that stand under a schema's URN."""
    stripped: Document = {}
    for key, value in document.items():
        if _is_password(attribute_name(key)):
            continue
        inner = _strip(value) if isinstance(value, dict) and ":" in key else value
        if inner or not value:  # a schema's object that held nothing else goes with it
            stripped[key] = inner
    return stripped


def _is_password(attribute: str) -> bool:
    name = attribute.rpartition(":")[2]
    return name == "password" or name.startswith("password.")
