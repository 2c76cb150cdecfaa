"""The values of a write that its tenant wants on record: of the attributes in `audit.values`, and no others. Pure."""

from __future__ import annotations

import json
from functools import lru_cache

from gateway.exchange import Told
from gateway.scim.documents import JsonValue
from gateway.scim.patches import Change, Op
from gateway.scim.paths import attribute_name
from gateway.settings.values import names_a_secret

_MAX_CHARACTERS = 2048  # more than a line shows
_HIDDEN = "(hidden)"


def values_to_tell(changes: tuple[Change, ...], listed: tuple[str, ...]) -> tuple[Told, ...]:
    """Attribute and value of each change that writes a listed attribute or a part of one, in their order.

    A name without a schema stands for that attribute of every schema. Lists and objects become their JSON.
    """
    names = _folded(listed)
    told = (change for change in changes if _is_listed(change.attribute.lower(), names))
    # SECURITY: the settings list no secret, but a part of what they list may be one: `custom.password`.
    return tuple((change.attribute, _value(change)) for change in told if not names_a_secret(change.attribute))


@lru_cache(maxsize=64)
def _folded(listed: tuple[str, ...]) -> frozenset[str]:
    return frozenset(attribute_name(name).lower() for name in listed)


def _is_listed(attribute: str, names: frozenset[str]) -> bool:
    schema, _, path = attribute.rpartition(":")
    whole = path.partition(".")[0]
    spellings = {path, whole} | ({f"{schema}:{path}", f"{schema}:{whole}"} if schema else set())
    return not names.isdisjoint(spellings)


def _value(change: Change) -> str | int | float | bool | None:
    if change.op is Op.REMOVE:
        return None
    value = change.value
    if isinstance(value, dict | list):
        value = json.dumps(_without_secrets(value), ensure_ascii=False, separators=(",", ":"))
    return value[:_MAX_CHARACTERS] if isinstance(value, str) else value


def _without_secrets(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {key: _HIDDEN if names_a_secret(key) else _without_secrets(held) for key, held in value.items()}
        case list():
            return [_without_secrets(held) for held in value]
        case _:
            return value
