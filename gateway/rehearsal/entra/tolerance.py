"""What Entra sends and RFC 7644 does not know: an application may refuse it, and then the table says what it means."""

from __future__ import annotations

import re

from gateway.rehearsal.replies import Failed, Reply, expect_error, the_object

_GATEWAYS_MARK = re.compile(r"\[[^\[\]]*\brequest [^\[\]]+\]\Z")  # how a refusal of the gateway's own ends


def tolerated(reply: Reply, what: str, so: str) -> str | None:
    """The note when an application refuses `what` in the way that SCIM has for it, as 400; None for any other reply.

    A gateway has to pass on what Entra sends, so a refusal of its own is not tolerated.
    """
    try:
        expect_error(reply, 400)
    except Failed:
        return None
    if _GATEWAYS_MARK.search(str(the_object(reply).get("detail"))):
        return None
    return f"the application refuses {what}: {so}"
