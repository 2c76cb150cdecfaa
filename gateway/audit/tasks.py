"""Which lines of the audit log are attempts at one held task, by the name that the guard gives it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from gateway.audit.effects import people_of
from gateway.audit.records import Record, text_of, texts_of

_LISTS = ("attributes", "people", "lost")


def digest_of(parts: Iterable[str]) -> str:
    """A task's name, of what its attempts have in common."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def parts_of(  # noqa: PLR0913 - what a task is made of
    *,
    tenant: str,
    method: str,
    resource: str,
    loss: str,
    operation: str,
    attributes: Iterable[str],
    members: Iterable[str] | None,
    taken: Iterable[str],
) -> list[str]:
    """What a client's repeats share, though it may read a profile anew between two of them.

    So neither bodies nor the attributes of a whole resource count; but two writes to one group that name different
    members are two tasks, and so are a deactivation and a reactivation of one user. `members`: ids that the request
    names, where it is about a group; `taken`: those of them who lose access.
    """
    parts = [tenant, method, resource, loss]
    if method == "PATCH":
        parts += [operation, *sorted(attributes)]
        if members is not None:
            parts += [*sorted(members), *sorted(taken)]
    return parts


def tasks_of(record: Record) -> tuple[str, ...]:
    """The task that a line is an attempt at; of a group's two, for a line does not tell who of `lost` was named in it.

    None at all where a list was too long to be on the line whole.
    """
    guard = record.get("guard")
    method, resource = text_of(record, "method"), text_of(record, "resource")
    if not isinstance(guard, dict) or (method == "PATCH" and any(f"{key}_total" in record for key in _LISTS)):
        return ()
    of_group = resource.startswith("/Groups/")
    lost = texts_of(record, "lost")
    found = [
        digest_of(
            parts_of(
                tenant=text_of(record, "tenant"),
                method=method,
                resource=resource,
                loss=text_of(guard, "loss"),
                operation=text_of(record, "operation"),
                attributes=texts_of(record, "attributes"),
                members=[who.id for who in people_of(record)] if of_group else None,
                taken=taken,
            )
        )
        for taken in ((lost, ()) if of_group and lost else ((),))
    ]
    return tuple(found)
