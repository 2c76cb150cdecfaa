"""Identity: the tenant by its path, the client by its network and credential, and what failing costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.exchange import Client
from gateway.refusal import Reason, Refusal
from gateway.stages.identity import CredentialIndex, Feeds, Identity, own_authorities
from gateway.state.credentials import Book, standings, token_fingerprint
from gateway.state.failures import FREE_FAILURES, Failures
from gateway.state.last_use import LastUse
from gateway.wire.fields import Fields
from tests.worlds import NOW, PATH, TOKEN, request, settings, sha256, tenant

OTHER_PATH = "/scim/joc9aqnbjyhb/v2"
OTHER = "token-of-confluence-0123456789-0123456789"


class World:
    """An identity stage over two tenants, with a clock to turn."""

    def __init__(self, **jira: object) -> None:
        tenants = {
            "jira": tenant(**jira),
            "confluence": tenant(path=OTHER_PATH, credentials=[{"name": "c", "token_sha256": sha256(OTHER)}]),
        }
        built = settings(tenants=tenants)
        self.last_use, self.now = LastUse(), 1000.0
        authorities = own_authorities(built, 8443)
        credentials = CredentialIndex(standings(Book(), tenants))
        self.stage = Identity(
            built, authorities, Feeds.of(built), credentials, Failures(), self.last_use, lambda: self.now
        )

    async def ask(self, token: str | None = TOKEN, target: str = PATH + "/Users", **changes: Any) -> Client:
        fields = [("Host", "scim.example.com"), *([("Authorization", f"Bearer {token}")] if token else [])]
        asked = replace(request(target=target, **changes), fields=Fields(tuple(fields)))
        return await self.stage.identify(asked, self.stage.locate(asked))

    async def reason(self, *args: object, **changes: object) -> Reason:
        with pytest.raises(Refusal) as refused:
            await self.ask(*args, **changes)  # type: ignore[arg-type]  # passed on as given
        return refused.value.reason


async def test_a_client_is_known_by_path_and_token() -> None:
    world = World()
    client = await world.ask(target=PATH + "/Users/1?x=y")

    assert (client.tenant_name, client.credential, client.path, client.query) == (
        "jira",
        "okta-2027",
        "/Users/1",
        "x=y",
    )
    assert client.public_base == f"https://scim.example.com{PATH}"
    assert world.last_use.uses[token_fingerprint(sha256(TOKEN))].at == NOW


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/", Reason.TENANT_UNKNOWN),
        (PATH + "x/Users", Reason.TENANT_UNKNOWN),
        (PATH[:-1] + "/Users", Reason.TENANT_UNKNOWN),
        (PATH.upper() + "/Users", Reason.TENANT_UNKNOWN),
        ("/metrics", Reason.TENANT_UNKNOWN),
        (PATH + "/Users/%2e%2e", Reason.TARGET_MALFORMED),
        ("https://evil.example" + PATH + "/Users", Reason.TARGET_FOREIGN),
    ],
)
async def test_a_target_outside_every_tenant_is_refused(target: str, reason: Reason) -> None:
    assert await World().reason(target=target) is reason


@pytest.mark.parametrize(
    "authority", ["scim.example.com", "SCIM.example.com", "scim.example.com:443", "scim.example.com:8443"]
)
async def test_our_own_authority_in_the_target_is_accepted(authority: str) -> None:
    assert (await World().ask(target=f"https://{authority}{PATH}/Users")).path == "/Users"


async def test_a_credential_opens_its_own_tenants_path_only() -> None:
    assert await World().reason(OTHER) is Reason.CREDENTIAL_OF_OTHER_TENANT
    assert (await World().ask(OTHER, OTHER_PATH + "/Users")).tenant_name == "confluence"


async def test_a_network_that_is_not_allowed_is_refused_whatever_it_brings() -> None:
    world = World(sources=["203.0.113.0/24"])

    assert await world.reason(address="198.51.100.7") is Reason.SOURCE_FORBIDDEN
    assert (await world.ask(address="203.0.113.9")).credential == "okta-2027"


async def test_failing_costs_the_address_and_a_valid_credential_still_passes_from_it() -> None:
    world = World()
    reasons = [await world.reason("wrong-token") for _ in range(FREE_FAILURES + 2)]

    assert reasons[:FREE_FAILURES] == [Reason.CREDENTIAL_UNKNOWN] * FREE_FAILURES
    assert reasons[FREE_FAILURES:] == [Reason.TOO_MANY_FAILURES] * 2
    assert (await world.ask()).credential == "okta-2027"
    assert await world.reason("wrong-token", address="198.51.100.8") is Reason.CREDENTIAL_UNKNOWN


async def test_failing_at_one_tenant_counts_at_another() -> None:
    world = World()
    for _ in range(FREE_FAILURES):
        await world.reason("wrong-token")

    assert await world.reason("wrong-token", OTHER_PATH + "/Users") is Reason.TOO_MANY_FAILURES


async def test_a_lock_out_ends_and_says_when() -> None:
    world = World()
    for _ in range(FREE_FAILURES):
        await world.reason(None)
    with pytest.raises(Refusal) as refused:
        await world.ask(None)
    world.now += refused.value.retry_after_seconds or 0

    assert refused.value.retry_after_seconds == 1
    assert await world.reason(None) is Reason.CREDENTIAL_MISSING


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((), Reason.HOST_MALFORMED),
        (("scim.example.com", "scim.example.com"), Reason.HOST_MALFORMED),
        (("user@scim.example.com",), Reason.HOST_MALFORMED),
        (("evil.example",), Reason.HOST_FOREIGN),
        (("scim.example.com:444",), Reason.HOST_FOREIGN),
    ],
)
def test_one_host_that_is_ours_is_needed(values: tuple[str, ...], reason: Reason) -> None:
    fields = Fields(tuple(("Host", value) for value in values))
    with pytest.raises(Refusal) as refused:
        World().stage.locate(replace(request(), fields=fields))

    assert refused.value.reason is reason


def test_only_http_1_1_is_located() -> None:
    with pytest.raises(Refusal) as refused:
        World().stage.locate(request(version=(1, 0)))

    assert refused.value.reason is Reason.VERSION_UNSUPPORTED


async def test_only_an_agents_base_url_may_end_in_a_slash() -> None:
    doubled = PATH + "//Users"

    assert (await World(client="okta-agent").ask(target=doubled)).path == "/Users"
    assert await World().reason(target=doubled) is Reason.TARGET_MALFORMED
    assert await World(client="okta-agent").reason(target=OTHER_PATH + "//Users") is Reason.TARGET_MALFORMED
