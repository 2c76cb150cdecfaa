"""Inspection: which operation is this, and is it allowed? Pure.

Two doors, for a body is read between them: `survey` judges what the head alone tells, so that a
request for nothing, or of the wrong kind, is refused unread; `inspect` judges the whole and is the
only maker of an `Operation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.exchange import Client, Operation, Request, version_of
from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Address, Kind, methods_of, read_address
from gateway.scim.documents import Document, read_document, write_document
from gateway.scim.links import rewrite_links
from gateway.scim.operations import Understanding, understand
from gateway.scim.passwords import nothing_is_left, without_passwords
from gateway.scim.queries import read_query, without_entra_flags
from gateway.scim.versions import Version
from gateway.settings.models import Client as Dialect
from gateway.settings.models import Tenant
from gateway.stages.inspection.values import values_to_tell
from gateway.wire.media_types import media_type_is_json, media_type_is_scim

# All that an upstream ever sees of a client's header.
PASSED_ON = {"content-type": "Content-Type", "if-match": "If-Match", "if-none-match": "If-None-Match"}
_OVERRIDE = "X-HTTP-Method-Override"
_READS = ("GET", "HEAD")
_WITHOUT_BODY = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True, slots=True)
class Outline:
    """What the head tells: where the request goes, and whether a body has to be read."""

    address: Address
    has_body: bool


def survey(request: Request, client: Client) -> Outline:
    """Judge a request by its head.

    Raises:
        Refusal: ADDRESS_UNKNOWN, METHOD_NOT_ALLOWED, BULK_FORBIDDEN, BODY_UNEXPECTED, BODY_MISSING,
            MEDIA_TYPE_UNSUPPORTED, CODING_UNSUPPORTED, FIELD_MALFORMED.
    """
    version = version_of(client.tenant)
    address = read_address(client.path, client.tenant.extensions, version)
    if address.kind is Kind.BULK:
        raise Refusal(Reason.BULK_FORBIDDEN)
    if request.method not in methods_of(address):
        raise Refusal(
            Reason.METHOD_NOT_ALLOWED, note=f"{request.method[:16]} on {address.kind.name}", allow=methods_of(address)
        )
    if version is Version.V1_1 and request.fields.all(_OVERRIDE):
        # SECURITY: SCIM 1.1 knows it (protocol, section 3.3.2), so what is judged must not depend on who heeds it.
        raise Refusal(Reason.METHOD_NOT_ALLOWED, note=f"a second one, in {_OVERRIDE}", allow=methods_of(address))
    if request.method in _WITHOUT_BODY:
        if request.has_body:
            raise Refusal(Reason.BODY_UNEXPECTED)
        return Outline(address, has_body=False)
    if not request.has_body:
        raise Refusal(Reason.BODY_MISSING)
    coding = request.fields.one("Content-Encoding")
    if coding is not None and coding.strip().lower() != "identity":
        raise Refusal(Reason.CODING_UNSUPPORTED)
    media_type_fits = media_type_is_json if version is Version.V1_1 else media_type_is_scim
    if not media_type_fits(request.fields.one("Content-Type")):
        raise Refusal(Reason.MEDIA_TYPE_UNSUPPORTED, note=f"this tenant speaks SCIM {version.value}")
    return Outline(address, has_body=True)


Rule = Callable[[Understanding, Tenant], None]


def operation_is_allowed(understanding: Understanding, tenant: Tenant) -> None:
    """Whether one of the tenant's patterns names the operation.

    Raises:
        Refusal: OPERATION_FORBIDDEN.
    """
    if "*" not in tenant.operations and not any(
        fnmatchcase(understanding.name, pattern) for pattern in tenant.operations
    ):
        raise Refusal(Reason.OPERATION_FORBIDDEN, note=f"{understanding.name} is not in tenants.*.operations")


RULES: tuple[Rule, ...] = (operation_is_allowed,)
"""To add a rule: write a function, add it here, add its table of cases."""


def inspect(outline: Outline, body: bytes, request: Request, client: Client) -> Operation:
    """Understand a whole request and apply the tenant's policy.

    The body goes on byte for byte as it was judged, unless the policy took something out of it or it
    names the gateway in a link.

    Raises:
        Refusal: the reasons of `scim.documents`, `scim.operations`, and OPERATION_FORBIDDEN.
    """
    read_query(client.query)
    document = read_document(body) if outline.has_body else None
    understanding = understand(request.method, outline.address, document, version_of(client.tenant))
    for rule in RULES:
        rule(understanding, client.tenant)
    body, dropped = _apply_policy(body, document, client)
    return Operation(
        name=understanding.name,
        method=request.method,
        address=outline.address,
        query=_query_to_forward(client),
        body=body,
        fields=_passed_on(request),
        attributes=tuple(name for name in understanding.attributes if name not in dropped),
        values=values_to_tell(understanding.changes, listed) if (listed := client.tenant.audit.values) else (),
        people=understanding.people,
        resource_name=understanding.resource_name,
        dropped=dropped,
        writes=request.method not in _READS and not outline.address.search,
        takes=understanding.takes,
    )


def _query_to_forward(client: Client) -> str | None:
    return without_entra_flags(client.query) if client.tenant.client is Dialect.ENTRA else client.query


def _apply_policy(body: bytes, document: Document | None, client: Client) -> tuple[bytes, tuple[str, ...]]:
    if document is None:
        return body, ()
    dropped: tuple[str, ...] = ()
    changed = document
    if not client.tenant.sync_passwords:
        changed, dropped = _drop_passwords(document)
    links_changed = rewrite_links(changed, body, from_bases=(client.public_base,), to_base=client.upstream_bases[0])
    return (write_document(changed) if dropped or links_changed else body), dropped


def _drop_passwords(document: Document) -> tuple[Document, tuple[str, ...]]:
    kept = without_passwords(document)
    if kept is None:
        return document, ()
    if nothing_is_left(kept):
        # To answer "done" would be a lie, and an empty PatchOp is none: let the operator see it in the client's tasks.
        raise Refusal(Reason.OPERATION_FORBIDDEN, note="only a password is written, and sync_passwords is off")
    return kept, ("password",)


def _passed_on(request: Request) -> tuple[tuple[str, str], ...]:
    fields = request.fields
    sent = [(name, fields.one(folded)) for folded, name in PASSED_ON.items() if folded in fields.by_name]
    return tuple([(name, value) for name, value in sent if value is not None])
