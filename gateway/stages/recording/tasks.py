"""What makes two requests attempts at the same task: they ask for the same, whatever their ids and bodies. Pure."""

from __future__ import annotations

import hashlib

from gateway.exchange import Trail

PUT_OFF = (429, 503)  # statuses that tell a client to come back


def is_put_off(trail: Trail) -> bool:
    """Whether the client was told to try again."""
    return trail.answer is not None and trail.answer.status in PUT_OFF


def task_of(trail: Trail) -> bytes | None:
    """A digest of what is asked for; None where that is not known, as of a write that was refused unread.

    Neither the body nor what is written counts: a client may read a profile anew before it tries again. Whom a write
    concerns does, for two members of a group are two tasks.
    """
    request, operation = trail.request, trail.operation
    if trail.client is None:
        return None
    parts = [trail.client.tenant_name, request.method, request.target]
    if operation is not None and operation.writes:
        parts += [operation.name, operation.resource_name or "", *operation.attributes]
        parts += [name or "" for person in operation.people for name in (person.id, person.user_name)]
    elif request.method != "GET":
        return None
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).digest()
