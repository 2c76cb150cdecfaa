"""What to do about a failed step. Pure."""

from __future__ import annotations

from gateway.rehearsal.replies import Failed, Reply, Trouble, Unanswered

_ON_TROUBLE = {
    Trouble.NAME: "check the host name in the URL, and that this machine's DNS knows it.",
    Trouble.CONNECT: "check the port in the URL, that the gateway runs, and that firewalls let this machine through.",
    Trouble.CERTIFICATE: (
        "serve the whole chain with intermediate certificates, for this host name and not expired; "
        "for a CA of your own give --ca-file. Okta and Entra accept public CAs only."
    ),
    Trouble.TLS: "check that the port speaks TLS 1.2 or later (and that http and https are not confused in the URL).",
    Trouble.HUNG_UP: "look into the gateway's log and into load balancers between: something closed the connection.",
    Trouble.SILENCE: "Okta gives up after 60 s too: look into the gateway's log for a slow or unreachable application.",
    Trouble.TOO_LARGE: "check that the URL is a SCIM base URL; no page of 100 resources is that large.",
}

_ON_STATUS = {
    401: "check the token: it must be one of this tenant's credentials, unexpired; paste it without `Bearer `.",
    403: "check the tenant's `sources` (is this machine's address in them?) and `operations`.",
    404: "check the base URL: it ends in the tenant's path, such as /scim/zbs848185728/v2.",
    405: "the application or the policy does not know this method; --dialect must be that of your app.",
    413: "raise the tenant's limits.max_body_bytes.",
    500: "look into the gateway's log, by the request id in the answer's detail.",
    501: "the application does not know this request; --dialect must be that of your app.",
}
_UNAVAILABLE = "the application behind the gateway is not available: see its state in the gateway's /readyz?verbose."


def advise(failure: Failed | Unanswered, *, base_url_is_right: bool) -> str:
    """What an operator should do, in one sentence or two; never empty.

    `base_url_is_right`: something passed before, so a 404 is not about the base URL.
    """
    if isinstance(failure, Unanswered):
        return _ON_TROUBLE[failure.trouble]
    if failure.advice:
        return failure.advice
    if failure.reply is None:
        return "the answers were well-formed, but the change had not the effect it claims: look into the application."
    if failure.reply.status == 404 and base_url_is_right and not _is_a_page(failure.reply):
        return "the application does not know this address, or lost what was just written: look into it."
    return _on_reply(failure.reply)


def concerns_everything(failure: Failed | Unanswered) -> bool:
    """Whether the cause, met before anything passed, would fail every further step alike."""
    if isinstance(failure, Unanswered):
        return True
    if failure.reply is None:
        return False
    return failure.reply.status not in (200, 201, 204, 400, 409) or _is_a_page(failure.reply)


def _on_reply(reply: Reply) -> str:
    if reply.status == 429:
        return _on_rate_limit(reply.fields.get("retry-after"))
    if 300 <= reply.status < 400:
        return "clients do not follow redirects: give the URL that answers itself."
    if _is_a_page(reply):
        return (
            "a web page answered, not the gateway: check host, port and path, and what stands between "
            "(a login page, a web application firewall, a load balancer's error page)."
        )
    if reply.status in (502, 503, 504):
        return _UNAVAILABLE
    return _ON_STATUS.get(
        reply.status, "the application's SCIM answer is not what the client needs: show its vendor this line."
    )


def _on_rate_limit(retry_after: str | None) -> str:
    if retry_after is None or not retry_after.isdecimal():
        return "add Retry-After in whole seconds to the 429: without, Okta waits five minutes before each new try."
    return (
        f"come back in {retry_after} s, as the client would: the application is not available, a change is held, "
        "or the tenant's limits are too small (its detail says which)."
    )


def _is_a_page(reply: Reply) -> bool:
    return reply.media_type == "text/html" or reply.body.lstrip()[:1] == b"<"
