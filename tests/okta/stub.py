"""A stand-in for the gateway: a rate limit, places, and 429 for everything that is unavailable. No guard, no turns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.okta.application import Answer, Application
from tests.okta.clock import now

RetryAfter = Callable[[str], int]


def spread(request_id: str) -> int:
    """60..120 seconds, by a digest of the request id. Pure."""
    return 60 + int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:4], "big") % 61


def constant(seconds: int) -> RetryAfter:
    return lambda _: seconds


@dataclass(slots=True)
class Limiter:
    """So many requests a second, after a burst (GCRA: the time at which the bucket would be empty again)."""

    per_second: float
    burst: int
    _empty_at: float = 0.0

    def has_room(self, at: float) -> bool:
        empty_at = max(self._empty_at, at) + 1 / self.per_second
        if empty_at - at > self.burst / self.per_second:
            return False
        self._empty_at = empty_at
        return True


@dataclass(slots=True)
class StubGateway:
    """In front of one node; `call` is what Okta calls."""

    application: Application
    retry_after: RetryAfter = spread
    limited_retry_after: RetryAfter | None = None  # of the limiter and the places; None: the same
    limiter: Limiter = field(default_factory=lambda: Limiter(50, 200))
    places: int = 32
    node: str = "node-1"

    async def call(self, method: str, target: str, fields: Mapping[str, str], body: bytes) -> Answer:
        if not self.limiter.has_room(now()) or not self.places:
            return _come_back((self.limited_retry_after or self.retry_after)(fields["X-Request-Id"]))
        self.places -= 1
        try:
            return await self.application.handle(self.node, method, target, fields, body)
        except ConnectionRefusedError:
            return _come_back(self.retry_after(fields["X-Request-Id"]))
        finally:
            self.places += 1


def _come_back(seconds: int) -> Answer:
    return 429, {"Retry-After": str(seconds)}, b""
