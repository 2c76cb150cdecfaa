"""Where operators make and end credentials: the commands that the control socket offers, and what is told of them.

A token is made by whoever asks; only its digest comes here, so no token crosses the socket or lies on this side. An
act is on record, with the name of whoever did it, before it is on disk, and on disk before it is in effect; only a
revocation takes effect although the audit log or the disk fails. What could not be put on record is owed to it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Protocol

from gateway.metrics import Metrics
from gateway.server.control import ControlRefused, Handler, User
from gateway.settings.models import Settings, Tenant
from gateway.stages.identity import CredentialIndex
from gateway.stages.recording import Recording
from gateway.state.credential_keeper import CredentialKeeper, CredentialsUnavailable
from gateway.state.credentials import (
    Book,
    End,
    NotPossible,
    Owed,
    Standing,
    Wish,
    added,
    extended,
    revoked,
    rotated,
    standings,
    successor_name,
)
from gateway.state.last_use import LastUse

log = logging.getLogger(__name__)

LONGEST_REASON = 500
DIGEST_CHARACTERS = 12  # of a token's, shown so that it can be found in a settings file
TICK_SECONDS = 1.0
KEEP_USES_SECONDS = 60.0  # a kill forgets the last uses of so long
Words = Mapping[str, object]
Details = Mapping[str, str | int]  # of a notice

_UNRECORDED = "nothing was changed: it must be on record first, and the audit log fails"


class Gateway(Protocol):
    """The instance, as far as its keyring must know it."""

    recording: Recording
    metrics: Metrics
    last_use: LastUse

    @property
    def settings(self) -> Settings:
        """Those in use."""

    def renew_pipeline(self) -> None:
        """Let clients in by the credentials that there are now."""


class Keyring:
    """The credentials of one instance."""

    def __init__(self, instance: Gateway, now: Callable[[], float] = time.time) -> None:
        self._instance, self._now = instance, now
        self.keeper = CredentialKeeper(instance.settings.gateway.state_directory, instance.last_use, now)
        self._one_by_one = asyncio.Lock()  # or what is on record first would not be what takes effect first
        self._open: set[tuple[str, str]] = set()  # what was in effect at the last look
        self._kept_at = now()  # when last uses were

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By the command's name."""
        return {
            "token.list": self.list_all,
            "token.new": self.add,
            "token.rotate": self.rotate,
            "token.extend": self.extend,
            "token.revoke": self.revoke,
        }

    @property
    def standings(self) -> tuple[Standing, ...]:
        """Every credential that there is, of the settings and made at run time."""
        return standings(self.keeper.book, self._instance.settings.tenants)

    def index(self, settings: Settings) -> CredentialIndex:
        """Whom the settings and the book let in."""
        return CredentialIndex(standings(self.keeper.book, settings.tenants))

    # Commands ---------------------------------------------------------------------------------------

    async def list_all(self, words: Words, _user: User) -> Words:
        """Every credential, with its last use: `tenant`, or all."""
        tenant = _text(words, "tenant")
        known = self.standings
        names = {*self._instance.settings.tenants, *(one.tenant for one in known)}
        if tenant is not None and tenant not in names:
            raise ControlRefused(f"there is no tenant {tenant}; there are {', '.join(sorted(names))}")
        shown = [self.show(one) for one in known if tenant in (None, one.tenant)]
        return {"credentials": shown, "counts_since": self.keeper.counts_since}

    async def add(self, words: Words, user: User) -> Words:
        """Let a client in with one more token: `tenant`, `token_sha256`, `expires_at`; `name`, or one is given."""
        async with self._one_by_one:
            wish = self._wish(words, user, "name", None)
            book = self._possible(lambda: added(self.keeper.book, self._tenants, wish))
            told = {"credential": wish.name, "form": "token", "expires": _moment_shown(wish.expires_at)}
            await self._do(book, "credential-added", _details(wish.tenant, user, told))
        return {"tenant": wish.tenant, "name": wish.name, "expires_at": wish.expires_at}

    async def rotate(self, words: Words, user: User) -> Words:
        """Let a client in with the successor of `name`, which ends after `overlap_seconds`: else as `add`."""
        old_name, overlap = _must(words, "name"), _number(words, "overlap_seconds")
        async with self._one_by_one:
            wish = self._wish(words, user, "new_name", old_name)
            book = self._possible(lambda: rotated(self.keeper.book, self._tenants, old_name, overlap, wish))
            ends_at = book.ends[self._named(wish.tenant, old_name).fingerprint].ends_at
            told = {
                "credential": old_name,
                "ends": _moment_shown(ends_at),
                "successor": wish.name,
                "expires": _moment_shown(wish.expires_at),
            }
            await self._do(book, "credential-rotated", _details(wish.tenant, user, told))
        made = {"tenant": wish.tenant, "name": wish.name, "expires_at": wish.expires_at}
        return {**made, "replaces": old_name, "replaced_ends_at": ends_at}

    async def extend(self, words: Words, user: User) -> Words:
        """Give a rotated one more time: `tenant`, `name`, `overlap_seconds` from now."""
        tenant, name, overlap = _must(words, "tenant"), _must(words, "name"), _number(words, "overlap_seconds")
        async with self._one_by_one:
            now = self._now()
            book = self._possible(lambda: extended(self.keeper.book, self._tenants, (tenant, name), overlap, now))
            ends_at = book.ends[self._named(tenant, name).fingerprint].ends_at
            told = {"credential": name, "ends": _moment_shown(ends_at)}
            await self._do(book, "credential-extended", _details(tenant, user, told))
        return {"tenant": tenant, "name": name, "ends_at": ends_at}

    async def revoke(self, words: Words, user: User) -> Words:
        """End one at once and for good: `tenant`, `name`; `reason`; `yes`, for the last that a tenant has."""
        tenant, name, reason = _must(words, "tenant"), _must(words, "name"), _text(words, "reason") or ""
        async with self._one_by_one:
            now = self._now()
            end = End(tenant, name, "revoked", now, now, user.name, reason=reason[:LONGEST_REASON])
            sure = words.get("yes") is True
            book = self._possible(lambda: revoked(self.keeper.book, self._tenants, end, even_the_last=sure))
            was = self._named(tenant, name)
            details = _details(tenant, user, {"credential": name, "reason": end.reason})
            # SECURITY: a leaked token must not go on reading because the disk is full (`serve-reads`).
            is_on_record = await self._record("credential-revoked", details)
            owed = () if is_on_record else (_owed("credential-revoked", details, now),)
            try:
                await self.keeper.keep_in_any_case(book, *owed)
            except CredentialsUnavailable as error:
                said = "it is revoked, but" if is_on_record else "it is revoked, but not on record yet, and"
                raise ControlRefused(f"{said} a restart would forget it for now: {error}") from error
            finally:
                self._put_in_effect()
                _log(f"credential-revoked{'' if is_on_record else ', not on record yet,'}", details)
        return {"tenant": tenant, "name": name, "is_in_settings": was.is_in_settings, "is_on_record": is_on_record}

    def _wish(self, words: Words, user: User, name_key: str, old_name: str | None) -> Wish:
        tenant, now = _must(words, "tenant"), self._now()
        name = _text(words, name_key)
        if name is None and tenant in self._tenants:
            taken = frozenset(one.name for one in self.standings if one.tenant == tenant)
            name = successor_name(old_name or self._tenants[tenant].client.value, taken, now)
        digest, expires_at = _must(words, "token_sha256"), _number(words, "expires_at")
        return Wish(tenant, name or "", digest, expires_at, user.name, now)

    def _possible(self, act: Callable[[], Book]) -> Book:
        try:
            return act()
        except NotPossible as error:
            raise ControlRefused(str(error)) from error

    async def _do(self, book: Book, kind: str, details: Details) -> None:
        """Put an act on record, on disk and in effect.

        Raises:
            ControlRefused: it cannot be recorded or kept; nothing has changed, and the record says so, now or later.
        """
        failed, about = "credential-change-failed", {"change": kind, **details}
        if self.keeper.owed and not await self._pay():  # it goes first, or it would seem to be about this act
            raise ControlRefused(_UNRECORDED)
        if not await self._record(kind, details):
            await self._owe(failed, about)  # a disk that is too slow may still take the line
            raise ControlRefused(_UNRECORDED)
        _log(kind, details)
        try:
            await self.keeper.keep(book)
        except CredentialsUnavailable as error:
            log.error("nothing came of it: %s", error, extra={"tenant": details["tenant"]})  # noqa: TRY400 - says all
            if await self._instance.recording.notice(failed, **about):
                raise ControlRefused(f"nothing was changed, and the record says so: {error}") from error
            await self._owe(failed, about)
            raise ControlRefused(f"nothing was changed, and the record does not say so yet: {error}") from error
        self._put_in_effect()

    async def _record(self, kind: str, details: Details) -> bool:
        """Whether it is on record; not while others are owed to it, which go first."""
        return not self.keeper.owed and await self._instance.recording.notice(kind, **details)

    # What is owed to the record ---------------------------------------------------------------------

    async def _owe(self, kind: str, details: Details) -> None:
        try:
            await self.keeper.keep_in_any_case(self.keeper.book, _owed(kind, details, self._now()))
        except CredentialsUnavailable as error:
            log.error("a kill would forget that %s is owed to the record: %s", kind, error)  # noqa: TRY400 - says all

    async def _pay(self) -> bool:
        """Put on record what is owed to it, oldest first; whether it is all there. To be called one by one."""
        while owed := self.keeper.owed:
            if not await self._instance.recording.notice(owed[0].kind, **owed[0].details):
                return False
            try:
                await self.keeper.settle(owed[0])
            except CredentialsUnavailable as error:
                log.error("a kill would put %s on record once more: %s", owed[0].kind, error)  # noqa: TRY400 - says all
        return True

    def _named(self, tenant: str, name: str) -> Standing:
        """One that an act has found."""
        return next(one for one in self.standings if (one.tenant, one.name) == (tenant, name))

    @property
    def _tenants(self) -> Mapping[str, Tenant]:
        return self._instance.settings.tenants

    # What is in effect ------------------------------------------------------------------------------

    def _put_in_effect(self) -> None:
        self._instance.renew_pipeline()
        self._show()

    def note_settings_in_use(self) -> None:
        """Settings are in use that may know other credentials: say what the book changes about them."""
        metrics, now = self._instance.metrics, self._now()
        metrics.set_credentials(self._expiries(), self._tenants)
        uses = self._instance.last_use.uses
        used = {(one.tenant, one.name): uses[one.fingerprint].at for one in self.standings if one.fingerprint in uses}
        metrics.recall_uses(used)
        self._show()
        for one in self.standings:
            if (said := _about(one, now)) is not None:
                log.warning("%s", said, extra={"tenant": one.tenant})

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await self.tend()

    async def tend(self) -> None:
        """Tell what has ended; keep when each was used last, and what could not be kept or recorded before."""
        try:
            self.look()
            if self.keeper.owed:
                async with self._one_by_one:
                    await self._pay()
            now = self._now()
            if self.keeper.problem is not None or abs(now - self._kept_at) >= KEEP_USES_SECONDS:
                self._kept_at = now
                await self.keeper.keep_uses()
        except CredentialsUnavailable as error:
            log.error("%s", error)  # noqa: TRY400 - says all
        except Exception:  # a fault of ours shall not end the gateway, which serves all the same
            log.exception("the credentials could not be looked after")

    def look(self) -> None:
        """Tell of what has ended since the last look."""
        now, was_open = self._now(), self._open
        ended = [one for one in self.standings if (one.tenant, one.name) in was_open and not one.opens(now)]
        for one in ended:
            log.warning("the credential %s has ended (%s)", one.name, one.state(now), extra={"tenant": one.tenant})
        if ended:
            self._show()

    def _show(self) -> None:
        now = self._now()
        self._open = {(one.tenant, one.name) for one in self.standings if one.opens(now)}
        self._instance.metrics.show_credentials(self._expiries())

    def _expiries(self) -> Mapping[tuple[str, str], float | None]:
        """When each ends, by tenant and name; but not one that somebody has ended, which wants no alert."""
        now, alive = self._now(), ("valid", "ending", "expired")
        return {(one.tenant, one.name): one.ends_at for one in self.standings if one.state(now) in alive}

    def show(self, one: Standing) -> Words:
        """A credential as commands show it; moments in Unix seconds."""
        use = self._instance.last_use.uses.get(one.fingerprint)
        return {
            "tenant": one.tenant,
            "name": one.name,
            "is_in_settings": one.is_in_settings,
            "is_password": one.is_password,
            "digest_begins": None if one.is_password else one.fingerprint.removeprefix("token:")[:DIGEST_CHARACTERS],
            "state": one.state(self._now()),
            "ends_at": one.ends_at,
            "made_at": one.made.made_at if one.made else None,
            "made_by": one.made.made_by if one.made else None,
            "replaces": one.made.replaces or None if one.made else None,
            "end": None if one.end is None else asdict(one.end),
            "last_used_at": use.at if use else None,
            "last_used_from": use.address if use else None,
        }


def _about(one: Standing, now: float) -> str | None:
    """What whoever reads the settings alone would not expect."""
    state = one.state(now)
    if state == "orphaned":
        return f"the credential {one.name} was made at run time for a tenant that the settings do not have (any more)"
    if one.made is not None and one.name != one.made.name and not one.is_in_settings:
        return f"the settings have another credential {one.made.name}: that made at run time is called {one.name} now"
    if one.is_in_settings and one.end is not None and state in ("rotated", "revoked"):
        when = _moment_shown(one.end.ends_at)
        return f"the credential {one.name} of the settings opens nothing: {state} by {one.end.by}, {when}; remove it"
    return None


def _details(tenant: str, user: User, told: Mapping[str, str]) -> Details:
    return {"tenant": tenant, "by": user.name, "uid": user.uid, **told}


def _owed(kind: str, details: Details, now: float) -> Owed:
    return Owed(kind, {**details, "decided": _moment_shown(now)})  # for the line itself will be later


def _log(kind: str, details: Details) -> None:
    log.warning("%s by %s: %s", kind, details["by"], details["credential"], extra=dict(details))


def _moment_shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(words: Words, name: str) -> str | None:
    value = words.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ControlRefused(f"{name} is a text")


def _must(words: Words, name: str) -> str:
    value = _text(words, name)
    if not value:
        raise ControlRefused(f"{name} is missing")
    return value


def _number(words: Words, name: str) -> float:
    value = words.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ControlRefused(f"{name} is a number of seconds")
