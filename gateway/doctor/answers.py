"""What a client is answered: to a wrong token and the right one, to a PATCH, to odd filters; where links lead.

Harmless: it reads, and asks to change a user who does not exist. A check raises Failed or Unanswered for an answer
that is not what it must be; whoever runs it says what that means.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from gateway.doctor.findings import Finding, fault, ok, skipped
from gateway.doctor.on_record import reason_on_record
from gateway.doctor.strangers import slug_of
from gateway.doctor.visit import Visit, tenant_of
from gateway.rehearsal.messages import JsonObject, lookup_target, page_target, patch
from gateway.rehearsal.replies import Failed, Reply, expect_error, expect_page, the_object
from gateway.rehearsal.scene import found_page
from gateway.scim.versions import Version
from gateway.settings.tokens import checksum_fits, digest

_USERS = page_target("Users", start_index=1, count=2)  # what Okta's "Test Connector Configuration" sends
# What is lost when somebody decodes or quotes once too often: "%22" would become a quote and break the filter.
_ODD_NAME = 'doctor+50%22"o\'hara"@doctor.invalid'
# An escaped "+" where no filter can hold one. Decoded on the way, it would arrive as a space and make the filter whole.
_PLUS_CANARY = "/Users?filter=userName%2Beq%2B%22doctor%40doctor.invalid%22&startIndex=1&count=1"
_BETWEEN = "something between the client and the gateway"
_ON_RECORD = {
    "credential-missing": (
        "no Authorization arrives at the gateway",
        f"{_BETWEEN} takes the field Authorization away: let it pass (a proxy's own login, an API gateway)",
    ),
    "credential-ambiguous": (
        "two fields Authorization arrive at the gateway, or one that cannot be read",
        f"{_BETWEEN} adds or changes it: let the client's own pass alone",
    ),
    "credential-expired": ("the token has ended", "scim-gateway token new makes another; enter it in the client"),
    "credential-of-other-tenant": (
        "the token is another tenant's",
        "two apps of the client are mixed up: compare the base URL with the credential's tenant",
    ),
}


async def unknown_token_is_refused(visit: Visit) -> Finding:
    """401 and a SCIM error for a token that nobody has; the first request of the visit, so it tells who answers."""
    token = f"Bearer doctor-{secrets.token_hex(16)}"
    reply = await visit.ask("GET", _USERS, authorization=token)
    if reply.status == 200:
        return fault(
            "users are shown to whoever asks, with a made-up token",
            "close this at once: is it the application itself, or a proxy that adds a token of its own?",
        )
    if slug_of(reply) == "source-forbidden":
        return skipped("this machine's address is none of the tenant's sources: run from one, or add it for the test")
    expect_error(reply, 401, *((429,) if slug_of(reply) == "too-many-failures" else ()))
    return ok(f"refused with {reply.status} and a SCIM error")


async def token_is_accepted(visit: Visit) -> Finding:
    """Okta's connection test: two users, by the token."""
    reply = await visit.ask("GET", _USERS)
    # Lock-out never meets a valid credential, so behind it stands a refused one.
    if reply.status == 401 or slug_of(reply) == "too-many-failures":
        return _why_not_accepted(visit, reply)
    page = expect_page(reply)
    return ok(f"accepted; {page.total} user{'' if page.total == 1 else 's'} there")


async def patch_reaches_the_application(visit: Visit) -> Finding:
    """A PATCH of a user who does not exist: the application's own 404 comes back."""
    if visit.manner.version is Version.V1_1:
        return ok("not needed: the agent writes with PUT")
    target = f"/Users/doctor-{secrets.token_hex(8)}"
    reply = await visit.ask("PATCH", target, patch({"op": "replace", "path": "displayName", "value": "Doctor"}))
    if reply.status in (403, 405, 501) and _is_of_neither(reply):
        return fault(
            f"PATCH is answered with status {reply.status} by {_BETWEEN}",
            "let PATCH pass in firewalls, proxies and web application firewalls: Okta deactivates people by it",
        )
    if reply.status in (200, 201, 204):
        return fault(
            f"a PATCH of a user who does not exist is answered with {reply.status}",
            f"{_BETWEEN} or the application says yes without doing it: look at which one answers",
        )
    expect_error(reply, 404, 400)
    return ok(f"the application's own {reply.status} comes back")


async def filters_survive(visit: Visit) -> Finding:
    """`+`, `@`, `%` and quotes in a lookup arrive as they were sent."""
    reply = await visit.ask("GET", lookup_target("Users", "userName", _ODD_NAME))
    if reply.status == 400:
        return fault(
            f"a filter with % and quotes does not survive (status 400{_detail(reply)})",
            f"{_BETWEEN} decodes the query once too often, or quotes it: let it pass targets unchanged "
            "(nginx: proxy_pass without a path; no rewriting of $args)",
        )
    page = found_page(reply)
    if page.total or page.resources:
        return fault(
            f"a lookup of somebody who does not exist finds {page.total}: the filter has no effect",
            "the query is cut off on its way, or the application ignores filters: Okta would take others for them",
        )
    canary = await visit.ask("GET", _PLUS_CANARY)
    if canary.status == 200:
        return fault(
            "an escaped + arrives as a space",
            f"{_BETWEEN} decodes %2B: let it pass targets unchanged, or ann+test@example.com is never found",
        )
    expect_error(canary, 400)
    return ok("+, @, % and quotes arrive as they were sent")


async def links_lead_outside(visit: Visit) -> Finding:
    """Every link in an answer begins with the base URL: no inside address is shown, and the client can follow it."""
    replies = [await visit.ask("GET", _USERS), await visit.ask("GET", _configuration(visit))]
    links = [link for reply in replies if reply.status == 200 for link in _links(reply)]
    astray = next((link for link in links if not _is_below(link, visit.base_url)), None)
    if astray is not None:
        return fault(
            f"a link leads to {astray}",
            "gateway.public_url must be the URL that clients use, and what stands between must not rewrite bodies",
        )
    return ok(f"{len(links)} links, all below the base URL" if links else "no link was shown")


def _configuration(visit: Visit) -> str:
    return "/ServiceProviderConfigs" if visit.manner.version is Version.V1_1 else "/ServiceProviderConfig"


def _why_not_accepted(visit: Visit, reply: Reply) -> Finding:
    """A 401 never says why. On the gateway's host the record does; the settings tell whether the token is right."""
    token, request = visit.token or "", reply.fields.get("x-request-id", "")
    reason = reason_on_record(visit.settings.audit.directory, request) if visit.settings else ""
    if reason in _ON_RECORD:
        seen, mend = _ON_RECORD[reason]
        return fault(f"{seen} ({reason} on record)", mend)
    if visit.settings is not None and not reason:
        return _by_the_settings(visit, token)
    if token.startswith("scimgw_") and not checksum_fits(token):
        return fault("the token is refused, and has a typing error", "copy it again, whole and without quotes")
    told = f" ({reason} on record)" if reason else ""
    where = f"; the gateway's audit log says which, by {request}" if request and not reason else ""
    return fault(
        f"the token is refused with {reply.status}{told}",
        f"it is no credential of this tenant, or has ended, or {_BETWEEN} takes Authorization away{where}",
    )


def _by_the_settings(visit: Visit, token: str) -> Finding:
    """The request is not in this host's audit log."""
    assert visit.settings is not None  # noqa: S101 - asked before
    name, tenant = tenant_of(visit.settings, token, visit.base_url)
    known = digest(token) in [credential.token_sha256 for credential in tenant.credentials]
    if known:
        return fault(
            "the token is one of the settings' and is refused with 401, and this host's record knows nothing of it",
            f"{_BETWEEN} answers by itself, or another instance: does the URL lead to this gateway?",
        )
    return fault(
        f"the token is none of the credentials of tenants.{name}", "scim-gateway token new makes one for the settings"
    )


def _is_of_neither(reply: Reply) -> bool:
    """Whether an answer is neither the gateway's nor a SCIM application's."""
    try:
        expect_error(reply, reply.status)
    except Failed:
        return True
    return False


def _detail(reply: Reply) -> str:
    try:
        detail = the_object(reply).get("detail")
    except Failed:
        return f", {reply.media_type}" if reply.media_type else ""
    return f": {detail}" if isinstance(detail, str) else ""


def _links(reply: Reply) -> Iterator[str]:
    """`meta.location` and `$ref`, however deep, and the field Location."""
    if "://" in reply.fields.get("location", ""):
        yield reply.fields["location"]
    pending: list[object] = [the_object(reply)]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
            yield from _links_of(value)


def _links_of(value: JsonObject) -> Iterator[str]:
    meta = value.get("meta")
    found = (value.get("$ref"), meta.get("location") if isinstance(meta, dict) else None)
    yield from (link for link in found if isinstance(link, str) and "://" in link)


def _is_below(link: str, base_url: str) -> bool:
    return link == base_url or link.startswith((f"{base_url}/", f"{base_url}?"))
