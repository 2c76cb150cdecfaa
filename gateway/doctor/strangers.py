"""What an answer that a client cannot use says about whoever gave it, and what to do. Pure."""

from __future__ import annotations

import re

from gateway.doctor.findings import Finding, fault
from gateway.rehearsal.advice import advise
from gateway.rehearsal.replies import Failed, Reply, Unanswered

_SLUG = re.compile(rb"\[([a-z]+(?:-[a-z]+)*),? ")
_ON_SLUG = {
    "host-foreign": "call it by the name in gateway.public_url, or correct that; what stands between must pass Host on",
    "version-unsupported": "whatever stands between must speak HTTP/1.1 to the gateway (nginx: proxy_http_version 1.1)",
    "tenant-unknown": "compare the base URL with the tenant's path, letter by letter",
    "source-forbidden": "this machine's address is in none of the tenant's sources: run from where the client calls, "
    "or add it for the test",
    "upstream-unreachable": "start the application, and let the inner firewall pass the gateway to its port",
    "upstream-credential": "put the secret that the application shows into upstream_token_file, and reload",
    "upstream-not-scim": "compare upstream and upstream_path with what the application shows: a web page answers there",
    "upstream-redirect": "compare upstream and upstream_path with what the application shows: it redirects",
    "upstream-timeout": "the application is too slow, or hangs: look at its log",
    "record-unavailable": "the audit log cannot be written: make room, or mend the disk",
    "guard-held": "a wave waits for a person: scim-gateway guard list",
}
_BETWEEN = "check host, port and path, and what stands between (a login page, a firewall, a balancer's error page)"


def diagnose(failure: Failed | Unanswered, *, base_url_is_right: bool) -> Finding:
    """A finding for an answer that is not what it must be, or for none."""
    if isinstance(failure, Unanswered):
        return fault(failure.note, _tidy(advise(failure, base_url_is_right=base_url_is_right)))
    reply = failure.reply
    if reply is None:
        return fault(failure.note, _tidy(advise(failure, base_url_is_right=base_url_is_right)))
    if 300 <= reply.status < 400:
        where = reply.fields.get("location", "nowhere")
        return fault(
            f"it redirects (status {reply.status}) to {where}",
            "clients follow no redirects: give the URL that answers itself, and take the redirect out of what sends it",
        )
    if is_a_page(reply):
        return fault(
            f"a web page answered, not the gateway: status {reply.status}{_by(reply)}, {reply.media_type or 'HTML'}",
            _BETWEEN,
        )
    slug = slug_of(reply)
    mend = _ON_SLUG.get(slug) or _tidy(advise(failure, base_url_is_right=base_url_is_right))
    return fault(failure.note, f"{mend} (docs/refusals.md: {slug})" if slug else mend)


def is_a_page(reply: Reply) -> bool:
    return reply.media_type == "text/html" or reply.body.lstrip()[:1] == b"<"


def slug_of(reply: Reply) -> str:
    """The word by which the gateway names its reason; "" in answers of others, and in a 401."""
    found = _SLUG.search(reply.body)
    return found[1].decode("ascii") if found else ""


def _by(reply: Reply) -> str:
    server = reply.fields.get("server", "")
    return f" of {server}" if server else ""


def _tidy(advice: str) -> str:
    """Mends stand in a list."""
    return advice.removesuffix(".")
