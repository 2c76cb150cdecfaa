"""The query of a SCIM request, read for judging only: it is forwarded byte for byte. Pure."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from gateway.refusal import Reason, Refusal
from gateway.scim.filters import parse_filter

# RFC 7644 section 3.4.2, in lower case: some servers compare parameter names without it.
_ONCE = frozenset({"filter", "sortby", "sortorder", "startindex", "count", "attributes", "excludedattributes"})

# In lower case. They stand in Entra's Tenant URL and tell Entra itself how to spell a PATCH; the third is the name
# that a picture in Microsoft's documentation showed for the first.
_ENTRA_FLAGS = frozenset({"aadoptscim062020", "azureadscimpatch2017", "azureadscimpatch062020"})


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


def without_entra_flags(query: str | None) -> str | None:
    """The query without Entra's flags, the rest byte for byte as it came; None when nothing is left.

    Nobody documents where Entra puts what the Tenant URL holds, so a flag counts anywhere, with a value or without.

    Raises:
        Refusal: QUERY_MALFORMED, as `read_query` does.
    """
    if not query:
        return query
    pieces = query.split("&")
    kept = [piece for piece in pieces if _decoded(piece.partition("=")[0]).lower() not in _ENTRA_FLAGS]
    if len(kept) == len(pieces):
        return query
    return "&".join(kept) or None


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError as error:
        raise Refusal(Reason.QUERY_MALFORMED, note="escapes that are not UTF-8") from error
