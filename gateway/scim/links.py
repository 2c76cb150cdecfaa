"""Links in SCIM messages and the field Location: public outside, the upstream's inside. Pure.

The bases come from the settings alone, never from a request. A base is a URL without a slash at its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from gateway.scim.documents import Document, JsonValue

_ABSOLUTE = re.compile(r"https?:|[a-z][a-z0-9+.-]*://|[/\\]{2}", re.IGNORECASE)
_BEHIND_A_PATH = re.compile(r"[?#]")
_BEHIND_A_BASE = ("", "/", "?", "#")

_Translate = Callable[[str], str | None]


def rewrite_links(document: Document, body: bytes, *, from_bases: tuple[str, ...], to_base: str) -> bool:
    """Rewrite, in place, every link that starts with one of the bases; the rest stays. For what comes in.

    Links are `meta.location` and `$ref`, in any case, however deep. `body` is what the document was read from. Returns
    whether anything changed: when nothing did, the original bytes may go on.
    """
    return _may_hold_links(body) and _translate_links(document, lambda link: _rebase(link, from_bases, to_base) or link)


def _may_hold_links(body: bytes) -> bool:
    """Whether a name in the body may be a link's; most bodies of clients hold none, and need not be walked through."""
    folded = body.lower()
    return b"$ref" in folded or b"location" in folded or b"\\u" in folded  # an escape may spell any name


def publish_links(document: Document, body: bytes, *, from_bases: tuple[str, ...], to_base: str) -> bool:
    """Give every link of an answer, in place, as `public_location` does, and drop what must not be shown.

    `body` is what the document was read from. Returns whether it must be written anew.
    """

    def translate(link: str) -> str | None:
        return public_location(link, from_bases=from_bases, to_base=to_base)

    if _has_one_location_at_most(document, body):
        meta = document.get("meta")
        return isinstance(meta, dict) and _translate_object(meta, translate, in_meta=True)
    # SECURITY: anew in any case; of a name that comes twice the document holds the last one, the bytes both.
    _translate_links(document, translate)
    return True


def _has_one_location_at_most(document: Document, body: bytes) -> bool:
    """Whether `meta.location` of the document itself is the only link that it can hold, as in most answers.

    Told by its bytes, for that costs far less than to look at each of its names.
    """
    folded = body.lower()
    if b"$ref" in folded or b"\\u" in folded:  # an escape may spell any name
        return False
    found = folded.count(b'location"')
    meta = document.get("meta")
    return not found or (found == 1 and isinstance(meta, dict) and "location" in meta)


def public_location(value: str, *, from_bases: tuple[str, ...], to_base: str) -> str | None:
    """The public form of an upstream's link; None when it must not be shown.

    Upstreams know themselves by other names than we do (their own base URL, a host behind a balancer), so a URL
    of any host counts as theirs if it holds the upstream's path. Any other URL would tell of the inside. Relative
    references and names such as URNs tell nothing and stay.
    """
    if not (value.isascii() and value.isprintable()):
        return None
    value = _BEHIND_A_PATH.split(value, maxsplit=1)[
        0
    ]  # no link of SCIM has a query; whatever is there is not for outside
    if _rebase(value, (to_base,), to_base) is not None:
        return value
    rebased = _rebase(value, from_bases, to_base)
    if rebased is not None:
        return rebased
    for path in {urlsplit(base).path for base in from_bases} - {"", "/"}:
        start = value.find(path)
        if start >= 0 and value[start + len(path) :][:1] in _BEHIND_A_BASE:
            return to_base + value[start + len(path) :]
    folded = value.lower()
    if any(urlsplit(base).netloc.lower() in folded for base in from_bases):
        return None
    return None if "://" in value or _ABSOLUTE.match(value.strip()) else value


def _rebase(link: str, from_bases: tuple[str, ...], to_base: str) -> str | None:
    for base in from_bases:
        rest = link[len(base) :]
        # Without case, for that is how hosts compare; a base is followed by its end, so /v2 is not /v20.
        if link[: len(base)].lower() == base.lower() and rest[:1] in _BEHIND_A_BASE:
            return to_base + rest
    return None


def _translate_links(document: Document, translate: _Translate) -> bool:
    changed = False
    pending: list[tuple[JsonValue, bool]] = [(document, False)]  # no recursion: an upstream may nest as it likes
    while pending:
        value, in_meta = pending.pop()
        if isinstance(value, list):
            pending.extend((inner, in_meta) for inner in value if isinstance(inner, dict | list))
        elif isinstance(value, dict):
            changed |= _translate_object(value, translate, in_meta=in_meta)
            containers = ((name, inner) for name, inner in value.items() if isinstance(inner, dict | list))
            pending.extend((inner, name.lower() == "meta") for name, inner in containers)
    return changed


def _translate_object(document: Document, translate: _Translate, *, in_meta: bool) -> bool:
    """Translate the links that an object itself holds."""
    changed = False
    for name, link in list(document.items()):
        if not isinstance(link, str | list) or not _is_link(name.lower(), in_meta=in_meta):
            continue
        if isinstance(link, list):  # of links, which SCIM does not know
            shown = [translate(entry) if isinstance(entry, str) else entry for entry in link]
            changed |= shown != link
            document[name] = [entry for entry in shown if entry is not None]
            continue
        translated = translate(link)
        changed |= translated != link
        if translated is None:
            del document[name]
        else:
            document[name] = translated
    return changed


def _is_link(name: str, *, in_meta: bool) -> bool:
    """Whether a name in lower case holds a link; PATCH values have dotted names, with or without a URN."""
    return name.endswith(("$ref", "meta.location")) or (in_meta and name == "location")
