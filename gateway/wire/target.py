"""Request targets and Host fields: judged as they came, byte for byte, and never repaired. Pure.

What two readers could take for two different things is refused: the upstream gets the very bytes
that were judged here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

from gateway.refusal import Reason, Refusal

MAX_TARGET_BYTES = 8000  # RFC 9112 section 3: at least that much is to be understood
MAX_HOST_BYTES = 262  # 253 of a name in DNS, brackets, colon and port

_ABSOLUTE_FORM = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
# RFC 3986 section 3.3 without ";": servers cut parameters off a segment, and disagree on when.
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*)+")
# RFC 3986 section 3.4 with "[" and "]", which clients leave bare in filters, and without ";", at which some servers
# split as at "&".
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ENCODED_CONTROL = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?")

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_CUTS_A_PATH = frozenset("/\\.;?#%")  # what would change a path's shape, were it decoded once more


def read_target(
    raw: str, own_authorities: frozenset[str], ending_in_a_slash: tuple[str, ...] = ()
) -> tuple[str, str | None]:
    """Read an origin-form target, or an absolute-form one that names us (RFC 9112 section 3.2).

    Gives its path and its query, raw, as sent; the query is without its "?", and None where there is none.
    `own_authorities` holds lower-case "host" or "host:port". Behind each path of `ending_in_a_slash`, which itself
    is without one, a doubled slash is one: its client writes its base URL with a slash and what follows with another.

    Raises:
        Refusal: TARGET_MALFORMED, TARGET_FOREIGN.
    """
    if len(raw) > MAX_TARGET_BYTES:
        raise _malformed("longer than 8000 bytes")
    path, mark, query = _origin_form(raw, own_authorities).partition("?")
    for base in ending_in_a_slash:
        if path.startswith(f"{base}//"):
            path = base + path[len(base) + 1 :]
            break
    _check_path(path)
    if not _QUERY.fullmatch(query) or _ENCODED_CONTROL.search(query):
        raise _malformed("a character or escape that no query holds")
    return path, query if mark else None


@lru_cache(maxsize=64)
def host_is_wellformed(value: str) -> bool:
    """Whether a Host field's value is one name, IPv4 or [IPv6] address, and perhaps a port (RFC 9110 section 7.2)."""
    match = _HOST.fullmatch(value)
    if match is None or len(value) > MAX_HOST_BYTES:
        return False
    ipv6, port = match.groups()
    return (ipv6 is None or _is_ipv6(ipv6)) and (port is None or int(port) <= 65535)


def host_is_ours(value: str, own_authorities: frozenset[str]) -> bool:
    """Whether a Host field's value is well-formed and one of ours, which are lower-case "host" or "host:port"."""
    return host_is_wellformed(value) and value.lower() in own_authorities


def _origin_form(raw: str, own_authorities: frozenset[str]) -> str:
    if raw.startswith("/"):
        return raw
    absolute = _ABSOLUTE_FORM.fullmatch(raw)
    if absolute is None:
        raise _malformed("neither origin-form nor absolute-form")
    authority, rest = absolute.groups()
    if not host_is_wellformed(authority):
        raise _malformed("an authority that is none, or that holds a user")
    if not host_is_ours(authority, own_authorities):
        raise Refusal(Reason.TARGET_FOREIGN, note="absolute-form with another authority")
    return rest if rest.startswith("/") else f"/{rest}"


def _check_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise _malformed("a character or escape that no path holds")
    if "//" in path:
        raise _malformed("an empty segment")
    if "/./" in f"{path}/" or "/../" in f"{path}/":
        raise _malformed("a dot segment")
    if "%" in path:
        _check_escapes(path)


def _check_escapes(path: str) -> None:
    for digits in _ESCAPE.findall(path):
        character = chr(int(digits, 16))
        # SECURITY: %41 is a second spelling of "A", and %2e of a dot segment; %25 hides an escape in an escape.
        if character in _UNRESERVED or character in _CUTS_A_PATH or character < " " or character == "\x7f":
            raise _malformed("an escape that has no place in a path")
    try:
        text = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:  # SECURITY: overlong forms, such as %c0%af for "/"
        raise _malformed("escapes that are not UTF-8") from error
    if any(_poses_as_ascii(character) for character in text if character > "\x7f"):
        raise _malformed("a character that some servers take for a dot or slash")


def _poses_as_ascii(character: str) -> bool:
    """Whether a character is a control, or becomes a delimiter when it is normalised, as "\uff0f" becomes "/"."""
    return character <= "\x9f" or not _CUTS_A_PATH.isdisjoint(normalize("NFKC", character))


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _malformed(note: str) -> Refusal:
    return Refusal(Reason.TARGET_MALFORMED, note=note)
