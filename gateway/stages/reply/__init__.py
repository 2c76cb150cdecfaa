"""Reply: what the client is told, in SCIM's words and with nothing of the inside in it. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gateway.exchange import Answer, Delivery, Operation, RequestId, Trail, Unparsed, version_of
from gateway.refusal import Reason, Refusal
from gateway.scim.messages import error_body
from gateway.scim.versions import Version
from gateway.settings.models import Client as Dialect
from gateway.stages.reply.answers import present_answer, sent_words

__all__ = ["present", "present_refusal", "present_unparsed", "retry_after_seconds"]

ALWAYS = (
    ("Cache-Control", "no-store"),  # people's names are in here
    ("X-Content-Type-Options", "nosniff"),
    ("Strict-Transport-Security", "max-age=31536000"),
)
_RETRY_SECONDS = 60
_RETRY_SPREAD_SECONDS = 61  # 60..120
_HOLD_SECONDS = 600
_HOLD_SPREAD_SECONDS = 601  # 600..1200: ten attempts, doubled each time, last four days and wait for a person
_RETRY_MOST_SECONDS = 1200  # doubled ten times it is a fortnight; an upstream shall not ask for more


def present(delivery: Delivery, operation: Operation, trail: Trail) -> Answer:
    """The upstream's answer as the client may see it.

    Raises:
        Refusal: the delivery's reason, when there is no answer to pass on.
    """
    if delivery.reason is not None or delivery.answer is None:
        reason = delivery.reason or Reason.GATEWAY_FAULT
        raise Refusal(reason, note=delivery.note, retry_after_seconds=_upstream_wish(delivery))
    assert trail.client is not None  # noqa: S101 - an operation exists only behind a client
    status, fields, body = present_answer(delivery.answer, trail.client, sent_words(operation, trail.request))
    return Answer(status, (*fields, *ALWAYS, ("X-Request-Id", trail.request.id)), body)


def present_refusal(refusal: Refusal, trail: Trail) -> Answer:
    """A refusal as a SCIM error (RFC 7644 section 3.12), with what its status asks for beside it."""
    reason = refusal.reason
    dialect = trail.tenant.client if trail.tenant else Dialect.GENERIC
    status = 429 if reason.unavailable and dialect.comes_back_on_429_only else reason.status
    extra: list[tuple[str, str]] = []
    if status in (429, 503):
        # The first wait of a task decides how long it lives, and it may meet the wave only at its second attempt.
        patient = trail.client is not None and (reason.waits_for_a_person or trail.wave_waits)
        wished = refusal.retry_after_seconds
        seconds = retry_after_seconds(trail.request.id, dialect, wished, waits_for_a_person=patient)
        extra.append(("Retry-After", str(seconds)))
    if status == 401:
        extra.append(("WWW-Authenticate", 'Bearer realm="scim"'))
    if refusal.allow:
        extra.append(("Allow", ", ".join(refusal.allow)))
    # SECURITY: a stranger holds no connection longer than for one request, or a thousand of them would hold all.
    names = tuple(name for name in (reason.slug, refusal.hold) if name is not None)
    told = _Told(status, reason, trail.request.id, names, version_of(trail.tenant))
    return _error(told, tuple(extra), ends_connection=trail.client is None)


def present_unparsed(unparsed: Unparsed) -> Answer:
    """The answer to bytes that never became a request; reflects nothing of them."""
    reason = unparsed.reason
    told = _Told(reason.status, reason, unparsed.id, (reason.slug,))
    return _error(told, (), ends_connection=True)


def retry_after_seconds(
    request_id: RequestId, dialect: Dialect, wished: int | None, *, waits_for_a_person: bool = False
) -> int:
    """When to come back, in whole seconds: Okta takes anything but an integer as five minutes.

    Okta doubles the first value of a task and gives up after ten attempts, so a short value loses
    the task and a constant one brings everyone back at once: 60..120, spread by the request's id;
    600..1200 for what waits for a person, who may be away for days.
    """
    number = int.from_bytes(hashlib.blake2s(request_id.encode(), digest_size=4).digest())
    if waits_for_a_person:
        return _HOLD_SECONDS + number % _HOLD_SPREAD_SECONDS
    spread = _RETRY_SECONDS + number % _RETRY_SPREAD_SECONDS
    if dialect.comes_back_on_429_only or wished is None:
        return min(max(spread, wished or 0), _RETRY_MOST_SECONDS)
    return min(max(1, wished), _RETRY_MOST_SECONDS)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a refusal tells, and in which words."""

    status: int
    reason: Reason
    request_id: RequestId
    names: tuple[str, ...]  # by which an operator finds it
    version: Version = Version.V2_0


def _error(told: _Told, extra: tuple[tuple[str, str], ...], *, ends_connection: bool) -> Answer:
    # SECURITY: failed authentications read alike, whatever was wrong with the credential.
    shown = () if told.reason.status == 401 else told.names
    detail = f"{told.reason.detail} [{', '.join((*shown, f'request {told.request_id}'))}]"
    body = error_body(told.status, detail, told.reason.scim_type, told.version)
    fields = (("Content-Type", told.version.media_type), *extra, *ALWAYS, ("X-Request-Id", told.request_id))
    return Answer(told.status, fields, body, ends_connection)


def _upstream_wish(delivery: Delivery) -> int | None:
    if delivery.answer is None:
        return None
    value = delivery.answer.fields.get("Retry-After", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else None
