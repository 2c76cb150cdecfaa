"""Media types: strict about what a client says of its body, lax about what an upstream says of its answer. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 section 5.6.2 calls it so
_QUOTED = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?")
_MEDIA_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})((?:{_PARAMETER.pattern})*)[ \t]*")

JSON = "application/json"
_OF_REQUESTS = frozenset({"application/scim+json", JSON})  # RFC 7644 section 3.1
_OF_ANSWERS = _OF_REQUESTS | {"text/json", "application/problem+json"}


@lru_cache(maxsize=64)
def media_type_is_scim(value: str | None) -> bool:
    """Whether a Content-Type announces SCIM's JSON in UTF-8; other parameters are allowed (RFC 9110 section 8.3.1)."""
    return _announced(value) in _OF_REQUESTS


@lru_cache(maxsize=64)
def media_type_is_json(value: str | None) -> bool:
    """Whether a Content-Type announces plain JSON in UTF-8, the only one that SCIM 1.1 knows."""
    return _announced(value) == JSON


def _announced(value: str | None) -> str | None:
    """The media type, in lower case, of a well-formed value whose text is UTF-8."""
    match = _MEDIA_TYPE.fullmatch(value or "")
    if match is None:
        return None
    parameters = [(name.lower(), given) for name, given in _PARAMETER.findall(match[2]) if name]
    charsets = [given.strip('"').lower() for name, given in parameters if name == "charset"]
    # Twice the same is no mistake that a client makes.
    return match[1].lower() if charsets in ([], ["utf-8"]) else None


@lru_cache(maxsize=64)
def answer_is_json(value: str | None) -> bool:
    """Whether an upstream's Content-Type claims JSON, whatever its parameters; the body decides if it is."""
    essence = (value or "").partition(";")[0]
    return essence.strip(" \t").lower() in _OF_ANSWERS
