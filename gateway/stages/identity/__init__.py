"""Identity: which tenant, from where, whose credential? No byte of a body is read before this has passed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gateway.exchange import Client, Request
from gateway.refusal import Reason, Refusal
from gateway.settings.feeds import FeedInvalid
from gateway.settings.models import Settings, Tenant
from gateway.stages.identity.credentials import CredentialIndex
from gateway.stages.identity.feeds import Feeds
from gateway.state.credentials import Standing
from gateway.state.failures import Failures
from gateway.state.last_use import LastUse, Use
from gateway.wire.target import host_is_wellformed, read_target

__all__ = ["CredentialIndex", "FeedInvalid", "Feeds", "Identity", "Place", "own_authorities"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request wants to go: known from its target alone, before its sender is."""

    tenant_name: str
    tenant: Tenant
    path: str  # behind the tenant's, raw
    query: str | None


class Identity:
    """Knows the tenants and their networks by one snapshot of the settings, and the credentials that there are now."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a thing of its own
        self,
        settings: Settings,
        authorities: frozenset[str],
        feeds: Feeds,
        credentials: CredentialIndex,
        failures: Failures,
        last_use: LastUse,
        clock: Callable[[], float],
    ) -> None:
        self._tenants = settings.tenants
        self._public_url = settings.gateway.public_url
        # Okta wants the agent's base URL to end in a slash, and the agent puts another one behind it.
        self._ending_in_a_slash = tuple(
            tenant.path for tenant in settings.tenants.values() if tenant.client.speaks_scim_1_1
        )
        self._authorities = authorities  # every Host that means us, in lower case
        self._credentials = credentials
        self._feeds, self._failures, self._last_use = feeds, failures, last_use
        self._clock = clock  # monotonic seconds

    def locate(self, request: Request) -> Place:
        """The tenant that the target names.

        Raises:
            Refusal: VERSION_UNSUPPORTED, HOST_MALFORMED, HOST_FOREIGN, TARGET_MALFORMED, TARGET_FOREIGN,
                TENANT_UNKNOWN.
        """
        if request.version != (1, 1):
            raise Refusal(Reason.VERSION_UNSUPPORTED)
        self._check_host(request)
        path, query = read_target(request.target, self._authorities, self._ending_in_a_slash)
        for name, tenant in self._tenants.items():
            if path == tenant.path or path.startswith(tenant.path + "/"):
                return Place(name, tenant, path[len(tenant.path) :], query)
        raise Refusal(Reason.TENANT_UNKNOWN)

    async def identify(self, request: Request, place: Place) -> Client:
        """The client, if it calls from an allowed network with a valid credential of this tenant.

        Raises:
            Refusal: SOURCE_FORBIDDEN, the CREDENTIAL_ reasons, TOO_MANY_FAILURES.
        """
        networks = self._feeds.networks(place.tenant_name)
        if networks is not None and request.address not in networks:
            raise Refusal(Reason.SOURCE_FORBIDDEN, note=request.address)
        try:
            known = self._credentials.find(request.fields, place.tenant_name, request.received_at)
        except Refusal as refusal:
            await self._count_failure(request, refusal)
            raise
        await self._last_use.remember(known.fingerprint, Use(request.received_at, request.address))
        return self._client(place, known)

    def _client(self, place: Place, known: Standing) -> Client:
        base = self._public_url + place.tenant.path
        return Client(place.tenant_name, place.tenant, known.name, place.path, place.query, base)

    async def _count_failure(self, request: Request, refusal: Refusal) -> None:
        wait = await self._failures.fail(request.address, self._clock())
        if wait is not None:
            note = f"locked out; {refusal.reason.slug}"
            raise Refusal(Reason.TOO_MANY_FAILURES, note=note, retry_after_seconds=math.ceil(wait)) from refusal

    def _check_host(self, request: Request) -> None:
        values = request.fields.all("Host")
        if len(values) == 1 and values[0].lower() in self._authorities:
            return
        if len(values) != 1 or not host_is_wellformed(values[0]):
            raise Refusal(Reason.HOST_MALFORMED)
        # SECURITY: a page in a browser that rebinds its own name to our address ends here (DNS rebinding).
        raise Refusal(Reason.HOST_FOREIGN)


def own_authorities(settings: Settings, port: int) -> frozenset[str]:
    """Every Host that means us: the public one, and its host with the port listened on, for tests from inside."""
    host = settings.gateway.public_host
    written = f"[{host}]" if ":" in host else host
    return settings.gateway.public_authorities | {written, f"{written}:{port}"}
