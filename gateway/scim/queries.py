"""The query of a SCIM request, read for judging only: it is forwarded byte for byte. Pure."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from gateway.refusal import Reason, Refusal
from gateway.scim.filters import parse_filter

# RFC 7644 section 3.4.2, in lower case: some servers compare parameter names without it.
_ONCE = frozenset({"filter", "sortby", "sortorder", "startindex", "count", "attributes", "excludedattributes"})


def read_query(query: str | None) -> tuple[tuple[str, str], ...]:
    """The parameters, decoded ("+" is a space), in their order. Names that SCIM does not know pass.

    Raises:
        Refusal: QUERY_MALFORMED when one of SCIM's is repeated or what is encoded is not UTF-8;
            FILTER_MALFORMED.
    """
    if not query:
        return ()
    pairs = [piece.partition("=") for piece in query.split("&") if piece]
    parameters = tuple((_decoded(name), _decoded(value)) for name, _, value in pairs)
    ours = [name.lower() for name, _ in parameters if name.lower() in _ONCE]
    if len(ours) != len(set(ours)):
        raise Refusal(Reason.QUERY_MALFORMED, note="a parameter is repeated")
    for name, value in parameters:
        if name.lower() == "filter":
            parse_filter(value)
    return parameters


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError as error:
        raise Refusal(Reason.QUERY_MALFORMED, note="escapes that are not UTF-8") from error
