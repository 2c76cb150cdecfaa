"""The attributes that a JSON object writes, whichever way it spells them. Pure.

`active`, `ACTIVE`, `urn:...:core:2.0:User:active` and an object under the core schema's URN are all
one attribute: what is judged must not depend on the spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.refusal import Reason, Refusal
from gateway.scim.documents import Document, JsonValue
from gateway.scim.paths import attribute_name, is_schema

# SECURITY: a key such as 'members[value eq "1"]' or " active" is no attribute, but lenient servers may take it for one.
_KEY = re.compile(r"[^\s\[\]\"'\\.:]+(?:[.:][^\s\[\]\"'\\.:]+)*")
_MAX_KEY_CHARACTERS = 256
_SCHEMAS = "schemas"
_LISTS = frozenset({"members"})  # an object where a list is due counts as its one element


def value_of(document: Document, name: str) -> JsonValue:
    """The value of a name, compared without case; None when there is none."""
    if name in document:
        return document[name]
    folded = name.lower()
    return next((value for key, value in document.items() if key.lower() == folded), None)


def schemas_of(document: Document) -> frozenset[str]:
    """The URNs under `schemas`, in lower case; whatever else stands there is passed over."""
    listed = value_of(document, _SCHEMAS)
    return frozenset(urn.lower() for urn in listed if isinstance(urn, str)) if isinstance(listed, list) else frozenset()


def check_schemas(document: Document) -> None:
    """Refuse `schemas` that are no list of strings; a resource may leave them out, as some clients do.

    Raises:
        Refusal: MESSAGE_MALFORMED.
    """
    listed = value_of(document, _SCHEMAS)
    if listed is None or (isinstance(listed, list) and all(isinstance(urn, str) for urn in listed)):
        return
    raise Refusal(Reason.MESSAGE_MALFORMED, note="schemas that are no list of strings")


def attributes_of(document: Document, reason: Reason) -> dict[str, JsonValue]:
    """What an object writes, by `attribute_name`, sub-attributes as "name.givenName"; without `schemas`.

    Raises:
        Refusal: with the reason given, when two spellings of one attribute stand side by side: nobody
            knows which of them a server would take. Also for a name that no attribute can have.
    """
    written: dict[str, JsonValue] = {}
    seen: set[str] = set()
    for name, value in _spread(document):
        place = name.lower().replace(".", ":")  # "name.givenName" and an extension's ":" may stand for the same
        if place in seen or not _KEY.fullmatch(name) or len(name) > _MAX_KEY_CHARACTERS:
            raise Refusal(reason, note="an attribute under two names, or a name that is none")
        seen.add(place)
        written[name] = value
    written.pop(_SCHEMAS, None)
    return written


def spread_value(name: str, value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """One attribute and its value as the sub-attributes it writes, if it is an object."""
    if not isinstance(value, dict) or not value or name in _LISTS:
        yield name, value
        return
    for key, inner in value.items():
        yield attribute_name(f"{name}.{key}"), inner


def _spread(document: Document) -> Iterator[tuple[str, JsonValue]]:
    for key, value in document.items():
        name = attribute_name(key)
        if not is_schema(key):
            yield from spread_value(name, value)
        elif isinstance(value, dict):
            yield from _spread_schema(name, value)
        elif name:
            yield name, value
        elif value is not None:
            raise Refusal(Reason.VALUE_MALFORMED, note="a core schema whose value is no object")


def _spread_schema(schema: str, document: Document) -> Iterator[tuple[str, JsonValue]]:
    for key, value in document.items():
        name = attribute_name(f"{schema}:{key}" if schema else key)
        yield from spread_value(name, value)
