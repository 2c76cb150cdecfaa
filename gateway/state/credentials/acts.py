"""What may be done with credentials at run time: an act is `(book, settings, wish) -> book`, or says why not. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.settings.models import SHA256_HEX, Tenant
from gateway.settings.tokens import MAX_NAME_CHARACTERS, NAME_FORM, is_a_name, weakness_of_digest
from gateway.state.credentials.standing import Standing, standings
from gateway.state.credentials.values import Book, End, Made, token_fingerprint

MOST_MADE = 64  # of one tenant, so that labels of metrics stay few
FORGOTTEN_AFTER_SECONDS = 90 * 86_400  # after their end; the end itself is kept
LONGEST_SECONDS = 3650 * 86_400
LONGEST_OVERLAP_SECONDS = 90 * 86_400

_DATE = re.compile(r"-20\d\d(-\d\d(-\d+)?)?\Z")

Tenants = Mapping[str, Tenant]


class NotPossible(Exception):
    """An act changes nothing; the text is for whoever asked, and says what to do."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A token that somebody wants to be let in with; moments in Unix seconds."""

    tenant: str
    name: str
    token_sha256: str
    expires_at: float
    by: str
    at: float


def added(book: Book, tenants: Tenants, wish: Wish) -> Book:
    """With one more.

    Raises:
        NotPossible: see `_check`.
    """
    _check(book, tenants, wish)
    return _with(book, Made(wish.tenant, wish.name, wish.token_sha256, wish.expires_at, wish.at, wish.by), wish.at)


def rotated(book: Book, tenants: Tenants, old_name: str, overlap_seconds: float, wish: Wish) -> Book:
    """With a successor; the old one ends with the overlap, or when it would have ended anyway.

    Raises:
        NotPossible: also when the old one is not there, ends already, or is a password.
    """
    _check_overlap(overlap_seconds)
    old = _found(book, tenants, wish.tenant, old_name)
    if old.is_password:
        raise NotPossible(f"{old_name} is a password, and a token is no successor of it: put another into the settings")
    if old.end is not None and old.opens(wish.at):
        raise NotPossible(
            f"{old_name} was rotated by {old.end.by} already and ends on {_day(old.end.ends_at)}; its successor is "
            f"{old.end.successor}. `token extend` gives it more time, `token revoke` ends it now"
        )
    if not old.opens(wish.at):
        raise NotPossible(f"{old_name} has ended ({old.state(wish.at)}); `token new` makes another")
    _check(book, tenants, wish)
    made = Made(wish.tenant, wish.name, wish.token_sha256, wish.expires_at, wish.at, wish.by, old_name)
    ends_at = _sooner(wish.at + overlap_seconds, old.expires_at)
    end = End(wish.tenant, old_name, "rotated", ends_at, wish.at, wish.by, wish.name)
    return _ended(_with(book, made, wish.at), old, end)


def extended(book: Book, tenants: Tenants, name: tuple[str, str], overlap_seconds: float, at: float) -> Book:
    """With more time for a rotated one, also when its time is over; `name` is the tenant's and its own.

    Raises:
        NotPossible: it is not there, was not rotated, or cannot have more time.
    """
    _check_overlap(overlap_seconds)
    old = _found(book, tenants, *name)
    if old.end is None or old.end.kind != "rotated":
        raise NotPossible(f"{name[1]} was not rotated, so there is no overlap to extend (it is {old.state(at)})")
    if old.expires_at is not None and old.expires_at <= at:
        raise NotPossible(f"{name[1]} has ended by itself on {_day(old.expires_at)}; `token new` makes another")
    return _ended(book, old, replace(old.end, ends_at=_sooner(at + overlap_seconds, old.expires_at)))


def revoked(book: Book, tenants: Tenants, end: End, *, even_the_last: bool) -> Book:
    """Without one, at once and for good: `end` names it.

    Raises:
        NotPossible: it is not there or revoked already; or it is the last, and `even_the_last` is not said.
    """
    old = _found(book, tenants, end.tenant, end.name)
    if old.end is not None and old.end.kind == "revoked":
        raise NotPossible(f"{end.name} was revoked by {old.end.by} already, on {_day(old.end.decided_at)}")
    others = [one for one in standings(book, tenants) if one.tenant == end.tenant and one != old]
    lasting = [one for one in others if one.state(end.decided_at) == "valid"]
    if old.opens(end.decided_at) and not lasting and not even_the_last:
        ending = [one.name for one in others if one.opens(end.decided_at)]
        left = f"only {', '.join(ending)} would be left, which ends soon" if ending else "nobody could call any more"
        raise NotPossible(
            f"{end.name} is the last valid credential of {end.tenant}: {left}. Make another first, or give --yes"
        )
    return _ended(book, old, end)


def successor_name(old_name: str, taken: frozenset[str], at: float) -> str:
    """`okta-2027-01` for `okta-2026-01`, with a number behind it if that is taken. `at` in Unix seconds."""
    month = f"-{datetime.fromtimestamp(at, UTC):%Y-%m}"
    stem = _DATE.sub("", old_name)
    number = 1
    while True:
        ending = month if number == 1 else f"{month}-{number}"
        name = stem[: MAX_NAME_CHARACTERS - len(ending)] + ending
        if name not in taken:
            return name
        number += 1


def _check(book: Book, tenants: Tenants, wish: Wish) -> None:
    """Whether there can be such a token.

    Raises:
        NotPossible: no such tenant, an odd or taken name, a token that is known or weak, an end that has passed or is
            too far away, too many.
    """
    _check_tenant(tenants, wish.tenant)
    if not is_a_name(wish.name):
        raise NotPossible(NAME_FORM)
    if not SHA256_HEX.fullmatch(wish.token_sha256) or weakness_of_digest(wish.token_sha256):
        raise NotPossible(
            "token_sha256 must be the SHA-256 digest of a strong token, 64 hexadecimal digits in lower case"
        )
    if not wish.at < wish.expires_at <= wish.at + LONGEST_SECONDS:
        raise NotPossible("--expires must be a moment to come, within ten years")
    known = standings(book, tenants)
    own = [one for one in known if one.tenant == wish.tenant]
    if same := [one for one in own if wish.name in (one.name, one.made.name if one.made else "")]:
        raise NotPossible(
            f"{wish.tenant} has a credential {wish.name} already ({same[0].state(wish.at)}): give another name"
        )
    fingerprint = token_fingerprint(wish.token_sha256)
    if fingerprint in book.ends or any(one.fingerprint == fingerprint for one in known):
        raise NotPossible("that token is known already: make a new one")
    if sum(one.made is not None and one.opens(wish.at) for one in own) >= MOST_MADE:
        raise NotPossible(f"{wish.tenant} has {MOST_MADE} credentials made at run time: revoke what nobody uses")


def _check_tenant(tenants: Tenants, name: str) -> None:
    if name not in tenants:
        raise NotPossible(f"there is no tenant {name}; there are {', '.join(tenants)}")


def _check_overlap(seconds: float) -> None:
    if not 0 < seconds <= LONGEST_OVERLAP_SECONDS:
        raise NotPossible(
            "--overlap must be more than nothing and at most 90d; `token revoke` ends a credential at once"
        )


def _found(book: Book, tenants: Tenants, tenant: str, name: str) -> Standing:
    """One that is there, also of a tenant that the settings do not have any more."""
    own = [one for one in standings(book, tenants) if one.tenant == tenant]
    if not own:
        _check_tenant(tenants, tenant)
        raise NotPossible(f"{tenant} has no credentials")
    for one in own:
        if one.name == name:
            return one
    raise NotPossible(f"{tenant} has no credential {name}; it has {', '.join(one.name for one in own)}")


def _with(book: Book, made: Made, now: float) -> Book:
    kept = [one for one in book.made if _last_moment(book, one) > now - FORGOTTEN_AFTER_SECONDS]
    return replace(book, made=(*kept, made))


def _last_moment(book: Book, made: Made) -> float:
    end = book.ends.get(made.fingerprint)
    return made.expires_at if end is None else min(made.expires_at, end.ends_at)


def _ended(book: Book, old: Standing, end: End) -> Book:
    return replace(book, ends={**book.ends, old.fingerprint: end})


def _sooner(moment: float, other: float | None) -> float:
    return moment if other is None else min(moment, other)


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
