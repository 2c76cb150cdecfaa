"""What may be sent again, and where (RFC 9110 section 9.2.2). Pure.

Where nothing was sent, anything may be: no node has seen it. What was sent and not answered may have been carried
out, so only a GET goes to another node, once. All else is left to the client, whose next attempt is a new request.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.exchange import Attempt, Stage
from gateway.refusal import Reason

# Another node may do better at these; the others would come out the same there.
_OF_ONE_NODE = frozenset({
    Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_TIMEOUT, Reason.UPSTREAM_UNAVAILABLE, Reason.UPSTREAM_BROKEN,
    Reason.UPSTREAM_NOT_SCIM, Reason.UPSTREAM_REDIRECT,
})  # fmt: skip


def may_go_to_another_node(method: str, attempts: Sequence[Attempt], reason: Reason | None) -> bool:
    """Whether an operation whose last attempt ended with `reason` may be sent to a node that has not seen it."""
    if reason is None or reason not in _OF_ONE_NODE:
        return False
    if attempts[-1].stage is Stage.NOT_SENT:
        return True
    return method == "GET" and sum(attempt.stage is not Stage.NOT_SENT for attempt in attempts) == 1


def speaks_against_its_node(reason: Reason | None, status: int | None) -> bool:
    """Whether a reason is the node's fault, and not our credential's, the client's or the clock's.

    A page that says "not found" is no SCIM, but an answer: who asks for odd addresses shall not close the door to all.
    """
    if reason is Reason.UPSTREAM_NOT_SCIM and status is not None and 400 <= status < 500:
        return False
    return reason is not None and reason in _OF_ONE_NODE
