"""Trails of requests for tests of what tells of them: audit lines, metrics, recording."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.exchange import Answer, Attempt, Delivery, Operation, Stage, Trail, UpstreamAnswer
from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Address, Kind
from gateway.scim.documents import Document
from gateway.scim.operations import Who
from tests import worlds

LONGEST_OF_STRANGERS = 900  # bytes of a line, chained; with an instance's name of 20 characters
NODE = "jira-1.internal:5501"


def operation(name: str = "user.get", **changes: Any) -> Operation:
    """A read of one user, unless changed."""
    found = Operation(name, "GET", Address(Kind.USERS, "Users", "1"), None, b"", ())
    return replace(found, **changes)


def write(**changes: Any) -> Operation:
    """A user's deactivation, unless changed."""
    plain: dict[str, Any] = {
        "method": "PATCH",
        "body": b'{"secret body": 1}',
        "attributes": ("active",),
        "people": (Who("1", "ada@example.com"),),
        "writes": True,
    }
    return operation("user.deactivate", **(plain | changes))


def delivered(status: int = 200, reason: Reason | None = None, document: Document | None = None) -> Delivery:
    """One attempt that was answered."""
    answer = UpstreamAnswer(status, {}, b'{"id": "1"}', document)
    return Delivery((Attempt(NODE, 0.002, Stage.ANSWERED, status),), answer, reason)


def undelivered(stage: Stage, reason: Reason = Reason.UPSTREAM_TIMEOUT) -> Delivery:
    """One attempt that was not."""
    return Delivery((Attempt(NODE, 0.002, stage),), None, reason, "no answer in 2 s")


def served(**changes: Any) -> Trail:
    """A read that got its answer, unless changed."""
    plain: dict[str, Any] = {
        "request": worlds.request(target=f"{worlds.PATH}/Users/1?filter=userName%20eq%20%22ada%22&access_token=hidden"),
        "tenant_name": "jira",
        "client": worlds.client("/Users/1"),
        "operation": operation(),
        "delivery": delivered(),
        "answer": Answer(200, (), b'{"id": "1"}'),
        "seconds": {"identify": 0.0001, "forward": 0.0025},
    }
    return Trail(**(plain | changes))


def turned_away(reason: Reason = Reason.CREDENTIAL_UNKNOWN, address: str = "198.51.100.7", **changes: Any) -> Trail:
    """A stranger's request, refused before anybody was identified."""
    plain: dict[str, Any] = {
        "request": worlds.request(address=address),
        "tenant_name": "jira",
        "answer": Answer(reason.status, (), b"{}"),
        "refusal": Refusal(reason, note="no such credential"),
        "seconds": {"identify": 0.0001},
    }
    return Trail(**(plain | changes))
