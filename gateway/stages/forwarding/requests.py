"""The request that goes inside, written from scratch: nothing of the client's header is copied unseen. Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from gateway import __version__
from gateway.exchange import Operation, RequestId, version_of
from gateway.refusal import Reason, Refusal
from gateway.settings.models import Tenant

PASSED_FIELDS = ("if-match", "if-none-match", "content-type")

_TARGET = re.compile(r"/[\x21\x22\x24-\x7e]*")  # printable ASCII, neither space nor "#"
_NEVER = re.compile(r"[^\x20-\x7e]")  # in a line
_HAS_A_LENGTH = ("POST", "PUT", "PATCH")  # RFC 9110 section 8.6: even of nothing
_OWN_LINES = (
    "Accept-Encoding: identity",  # one reading of the answer less
    f"User-Agent: scim-gateway/{__version__}",
)


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What is sent, but for Host, Content-Length and what is the same in every request."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def as_bytes(self, host: str) -> bytes:
        """The request on the wire, for one node.

        Raises:
            Refusal: FIELD_MALFORMED: a field holds what would end it.
        """
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}", *_OWN_LINES]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if self.body or self.method in _HAS_A_LENGTH:
            lines.append(f"Content-Length: {len(self.body)}")
        if _NEVER.search("".join(lines)):
            raise Refusal(Reason.FIELD_MALFORMED, note="a field cannot be forwarded as it was judged")
        return "\r\n".join((*lines, "", "")).encode("ascii") + self.body


def upstream_request(
    operation: Operation, tenant: Tenant, request_id: RequestId, authorization: str | None
) -> UpstreamRequest:
    """The operation as the upstream shall see it: path and query as they were judged, our credential, not the client's.

    `authorization` is what `upstream_authorization` gave.

    Raises:
        Refusal: TARGET_MALFORMED, FIELD_MALFORMED: inspection let something through that it must not.
    """
    target = base_path(tenant) + operation.address.path
    if operation.query:
        target += "?" + operation.query
    if not _TARGET.fullmatch(target):
        # SECURITY: a URL library would cut, escape or resolve it; what was judged must be what is sent.
        raise Refusal(Reason.TARGET_MALFORMED, note="the target cannot be forwarded as it was judged")
    media_type = version_of(tenant).media_type
    fields = [("Accept", media_type), ("X-Request-Id", request_id), *_passed_fields(operation, media_type)]
    if authorization is not None:
        fields.append(("Authorization", authorization))
    return UpstreamRequest(operation.method, target, tuple(fields), operation.body)


def question(target: str, tenant: Tenant, request_id: RequestId | None, authorization: str | None) -> UpstreamRequest:
    """A read of our own, below the tenant's path at the upstream, with our credential.

    Raises:
        Refusal: TARGET_MALFORMED.
    """
    whole = base_path(tenant) + target
    if not _TARGET.fullmatch(whole):
        raise Refusal(Reason.TARGET_MALFORMED, note="what the guard wants to ask for cannot be an address")
    fields = [("Accept", version_of(tenant).media_type)]
    if request_id is not None:
        fields.append(("X-Request-Id", request_id))
    if authorization is not None:
        fields.append(("Authorization", authorization))
    return UpstreamRequest("GET", whole, tuple(fields), b"")


def probe_request(tenant: Tenant) -> UpstreamRequest:
    """A question that changes nothing and gives no credential away: a 401 is a good answer to it."""
    accept = ("Accept", version_of(tenant).media_type)
    return UpstreamRequest("GET", base_path(tenant) + "/Users?startIndex=1&count=1", (accept,), b"")


def base_path(tenant: Tenant) -> str:
    """The path under which the tenant's resources live at the upstream."""
    return tenant.upstream_path or tenant.path


def upstream_authorization(tenant: Tenant) -> str | None:
    """The Authorization value for the upstream; None when it asks for none.

    Raises:
        ValueError: a secret file is named, but its content was not put beside it.
    """
    if tenant.upstream_token is not None:
        return f"Bearer {tenant.upstream_token.get_secret_value()}"
    if tenant.upstream_username is not None and tenant.upstream_password is not None:
        pair = f"{tenant.upstream_username}:{tenant.upstream_password.get_secret_value()}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
    if tenant.upstream_token_file or tenant.upstream_password_file or tenant.upstream_username:
        msg = "the upstream's credential is configured but was not read"
        raise ValueError(msg)
    return None


def _passed_fields(operation: Operation, media_type: str) -> list[tuple[str, str]]:
    passed = [(name, value) for name, value in operation.fields if name.lower() in PASSED_FIELDS]
    if any(_NEVER.search(value) for _, value in passed):
        raise Refusal(Reason.FIELD_MALFORMED, note="a field cannot be forwarded as it was judged")
    if not operation.body:
        return [pair for pair in passed if pair[0].lower() != "content-type"]
    if "content-type" not in [name.lower() for name, _ in passed]:
        passed.append(("Content-Type", media_type))
    return passed
