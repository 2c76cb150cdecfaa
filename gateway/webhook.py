"""Telling a webhook what happened: JSON by POST, in order, retried, and never in anybody's way.

`tell` only queues; `run`, a background task, delivers. What the receiver does not take for an hour is dropped, and
so is the oldest when too many wait: an alert that late helps nobody, and the audit log has it all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import orjson

__all__ = ["Webhook"]

log = logging.getLogger(__name__)

MAX_WAITING = 1000
KEEP_SECONDS = 3600.0  # an event is tried for so long, and at least once
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Event:
    body: bytes
    told_at: float  # by the webhook's clock


@dataclass(frozen=True, slots=True)
class _Failure:
    why: str
    is_final: bool  # the receiver would say the same again


@dataclass(slots=True)
class Webhook:
    """One receiver. Its URL may be a secret as a whole, so only its host is ever logged."""

    url: str = field(repr=False)
    token: str | None = field(repr=False)
    timeout: float  # seconds, for one attempt as a whole
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    # "failed": refused, or not taken for an hour; "dropped": never sent, too many waited
    counts: Counter[str] = field(default_factory=lambda: Counter(delivered=0, failed=0, dropped=0), init=False)
    _waiting: deque[_Event] = field(default_factory=deque, init=False)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _is_failing: bool = field(default=False, init=False)  # and the log has said so
    _is_full: bool = field(default=False, init=False)  # and the log has said so

    def __post_init__(self) -> None:
        """Raises: ValueError for a URL that leads nowhere, or a token that no header field takes; shows neither."""
        if not _leads_somewhere(self.url):
            msg = "the webhook's URL must be http:// or https:// with a host, and without user and password"
            raise ValueError(msg)
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            msg = "the webhook's token holds characters that no header field takes"
            raise ValueError(msg)

    @property
    def host(self) -> str:
        """Whom it tells, as far as a log may know."""
        return urlsplit(self.url).hostname or ""

    def tell(self, event: Mapping[str, object]) -> None:
        """Queue an event as it is now; never blocks, never raises."""
        try:
            body = orjson.dumps(event, default=str)
        except TypeError:  # as for text with a lone surrogate
            log.exception("an event for %s is no JSON and is not sent", self.host)
            self.counts["failed"] += 1
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.counts["dropped"] += 1
            if not self._is_full:
                log.error("%s takes events too slowly: the oldest are dropped", self.host)
            self._is_full = True
        self._waiting.append(_Event(body, self.clock()))
        self._arrived.set()

    async def run(self) -> None:
        """Deliver what is told, one after the other, until cancelled."""
        async with self._session() as session:
            try:
                while True:
                    await self._arrived.wait()
                    await self._deliver_next(session)
            finally:
                if self._waiting:
                    log.warning("%d events for %s were not delivered before the stop", len(self._waiting), self.host)

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json", "User-Agent": "scim-gateway"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return aiohttp.ClientSession(
            # Alerts are rare: a kept connection would mostly be found dead.
            connector=aiohttp.TCPConnector(force_close=True, limit=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            trust_env=False,  # SECURITY: no proxy and no .netrc of the environment gets to see the token
        )

    async def _deliver_next(self, session: aiohttp.ClientSession) -> None:
        event = self._waiting.popleft()
        try:
            await self._deliver(session, event)
        except asyncio.CancelledError:
            self._waiting.appendleft(event)
            raise
        if not self._waiting:
            self._arrived.clear()
            self._is_full = False

    async def _deliver(self, session: aiohttp.ClientSession, event: _Event) -> None:
        """Try until the event is taken or given up."""
        wait_seconds = FIRST_WAIT_SECONDS
        while failure := await self._attempt(session, event):
            if failure.is_final or self.clock() + wait_seconds > event.told_at + KEEP_SECONDS:
                self._give_up(failure)
                return
            await self.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
        self._succeed()

    async def _attempt(self, session: aiohttp.ClientSession, event: _Event) -> _Failure | None:
        """Send an event once; None when the receiver took it."""
        try:
            # SECURITY: a redirect could lead the token, and who lost access, to another host.
            async with session.post(self.url, data=event.body, allow_redirects=False) as answer:
                status = answer.status
        except TimeoutError:
            return _Failure(f"no answer within {self.timeout:g} s", is_final=False)
        except ValueError:  # aiohttp.InvalidURL, or UnicodeError of a name like a..b
            return _Failure("the URL is malformed", is_final=True)
        except (aiohttp.ClientError, OSError) as error:  # its text may hold the URL
            return _Failure(f"not reached ({type(error).__name__})", is_final=False)
        if 200 <= status < 300:
            return None
        return _Failure(f"answered {status}", is_final=not (status in (408, 429) or status >= 500))

    def _give_up(self, failure: _Failure) -> None:
        self.counts["failed"] += 1
        if not self._is_failing:
            log.error("%s does not take our events, which are dropped: %s", self.host, failure.why)
        self._is_failing = True

    def _succeed(self) -> None:
        self.counts["delivered"] += 1
        if self._is_failing:
            log.warning("%s takes our events again", self.host)
        self._is_failing = False


def _leads_somewhere(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
