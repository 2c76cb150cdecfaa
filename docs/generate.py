"""Writes the pages that are made from code: `python docs/generate.py`. A test holds code and pages together."""

from __future__ import annotations

from pathlib import Path

from docs.metrics_page import metrics_page
from docs.settings_page import settings_page
from gateway.doctor.checks import CHECKS
from gateway.refusal import Fault, Reason
from gateway.scim.operations import NAMES

HERE = Path(__file__).parent

HEAD = """# Refusals

Every way the gateway says no. Generated from `gateway/refusal.py` by `docs/generate.py`.

The slug stands in the client's error text, in the audit log, in the log line and in `scim_gateway_requests_rejected_total`; only a 401 does
not tell the client which of its reasons it was (the request id in it finds the line that does).
A client of the kind `okta` or `okta-agent` gets 429 with `Retry-After` wherever the fault is the upstream's or the gateway's,
because Okta comes back by itself only then; the status below is what other clients get.
"""

ADVICE: dict[Reason, str] = {
    Reason.HEAD_MALFORMED: "A scanner, or a proxy in between that mangles requests. Harmless when rare.",
    Reason.HEAD_TOO_LARGE: "A scanner, or a client that adds large fields; see `listen.max_line_bytes`.",
    Reason.HEAD_TIMEOUT: "A slow or half-open connection; an attack when there are many from one address.",
    Reason.VERSION_UNSUPPORTED: "Something that does not speak HTTP/1.1: HTTP/2 without negotiation, or an old health check.",
    Reason.METHOD_UNSUPPORTED: "A scanner, or somebody who takes the gateway for a forward proxy (CONNECT).",
    Reason.FRAMING_AMBIGUOUS: "An attempt to smuggle a request, or a broken proxy in between. Look at the address.",
    Reason.HOST_MALFORMED: "A scanner, or a health check that sends no Host field.",
    Reason.FIELD_MALFORMED: "A client or proxy that repeats a field which may come once.",
    Reason.EXPECTATION_UNKNOWN: "A client with an unusual Expect field.",
    Reason.TARGET_MALFORMED: "A scanner, or an identifier with characters that two readers could understand differently.",
    Reason.TARGET_FOREIGN: "Somebody takes the gateway for a forward proxy.",
    Reason.HOST_FOREIGN: "The client uses another name than `gateway.public_url`; correct one of the two.",
    Reason.TENANT_UNKNOWN: "The base URL in the client is not a tenant's `path`; compare them letter by letter.",
    Reason.SOURCE_FORBIDDEN: "The address is in none of the tenant's `sources`; has the client's network list changed?",
    Reason.CREDENTIAL_MISSING: "The client sends no Authorization field; look at its authentication mode.",
    Reason.CREDENTIAL_AMBIGUOUS: "Two Authorization fields, or one that cannot be read. A proxy in between may add one.",
    Reason.CREDENTIAL_UNKNOWN: "A wrong or mistyped token. `scim-gateway token check` finds typing errors offline.",
    Reason.CREDENTIAL_EXPIRED: "Its time is over, or somebody rotated or revoked it; the note says which. `scim-gateway token new --tenant` makes another (docs/credentials.md).",
    Reason.CREDENTIAL_OF_OTHER_TENANT: "A valid token at another tenant's path; two apps of the client are mixed up.",
    Reason.TOO_MANY_FAILURES: "Somebody guesses tokens from that address, or a client there has an old one. Valid credentials still pass from it.",
    Reason.RATE_EXCEEDED: "The client is faster than `limits.requests_per_second` and `burst`; it comes back by itself.",
    Reason.NO_PLACE: "`limits.concurrent` requests are under way: the upstream is slow, or the number too small.",
    Reason.QUEUE_FULL: "Dozens of writes to one user or group at once, or an upstream that is slow with them; the client comes back by itself.",
    Reason.QUEUE_TIMEOUT: "The upstream is slow: earlier writes to the same resource, or `limits.connections` requests to its node, took too long.",
    Reason.BODY_TOO_LARGE: "Larger than `limits.max_body_bytes`; a group with very many members may need more.",
    Reason.BODY_TIMEOUT: "The body came too slowly; see `listen.body_seconds`.",
    Reason.CODING_UNSUPPORTED: "A compressed request body; switch that off in the client.",
    Reason.ADDRESS_UNKNOWN: "No SCIM address; further endpoints are listed in the tenant's `extensions`.",
    Reason.METHOD_NOT_ALLOWED: "The client misuses SCIM, or somebody explores it.",
    Reason.MEDIA_TYPE_UNSUPPORTED: "The client sends something else than SCIM JSON.",
    Reason.BODY_MISSING: "A write without a body.",
    Reason.BODY_UNEXPECTED: "A GET or DELETE with a body.",
    Reason.JSON_MALFORMED: "The client is broken, or somebody explores.",
    Reason.JSON_NOT_UTF8: "The client is broken, or somebody explores.",
    Reason.JSON_NAME_REPEATED: "Two readers could understand the body differently; an attack until proved otherwise.",
    Reason.JSON_TOO_DEEP: "No SCIM message nests so deeply; an attack until proved otherwise.",
    Reason.MESSAGE_MALFORMED: "The body is JSON but not the message; the note in the audit log says what is missing.",
    Reason.PATCH_MALFORMED: "The note in the audit log says which part of the PatchOp message is wrong.",
    Reason.PATH_MALFORMED: "The note in the audit log names the place.",
    Reason.FILTER_MALFORMED: "The note in the audit log names the place. A matching attribute in the client may be odd.",
    Reason.VALUE_MALFORMED: "Such as `active` that is neither a boolean nor its string; correct the mapping in the client.",
    Reason.MEMBERS_MISSING: "Some servers empty the group then, others leave it as it is; see docs/scim-divergences.md.",
    Reason.QUERY_MALFORMED: "A repeated query parameter.",
    Reason.OPERATION_FORBIDDEN: "The tenant's `operations` do not list it; or a password alone, with `sync_passwords` off.",
    Reason.BULK_FORBIDDEN: "Bulk is not offered; neither Okta nor Entra uses it.",
    Reason.GUARD_HELD: "A wave: `scim-gateway guard list` shows what waits, and `guard approve` or `guard deny` ends it (docs/guard.md).",
    Reason.GUARD_BEHIND: "An older change to the same user or group is held, as in guard-held; decide on that one, and this goes through.",
    Reason.GUARD_DENIED: "Somebody denied it, or nobody decided in time; `scim-gateway guard list` says who and why. `guard approve` undoes it.",
    Reason.GUARD_UNAVAILABLE: "The ledger in `gateway.state_directory` cannot be read or written; /readyz?verbose and the log say why.",
    Reason.UPSTREAM_UNREACHABLE: "Is the application running, and a node of it not drained? Does the inner firewall let the gateway reach its port? Does its certificate verify (`upstream_ca_file`)? The note names the cause.",
    Reason.UPSTREAM_TIMEOUT: "The application is slow or hangs; for a write, the outcome is unknown.",
    Reason.UPSTREAM_UNAVAILABLE: "The application, or a proxy before it, answered 502, 503 or 504.",
    Reason.UPSTREAM_BUSY: "The application answered 429; the client comes back by itself.",
    Reason.UPSTREAM_BROKEN: "The application's HTTP is broken, or the connection was cut; for a write, the outcome is unknown.",
    Reason.UPSTREAM_NOT_SCIM: "Usually a login page or a proxy's error page: compare `upstream` and `upstream_path`.",
    Reason.UPSTREAM_REDIRECT: "Usually http where https is needed, or a login page: compare `upstream` and `upstream_path`.",
    Reason.UPSTREAM_TOO_LARGE: "Larger than `limits.max_answer_bytes`.",
    Reason.UPSTREAM_CREDENTIAL: "The secret in `upstream_token_file` is not the application's. Nothing works until it is.",
    Reason.RECORD_UNAVAILABLE: "The audit directory cannot be written: disk full, read-only, or gone. Act now.",
    Reason.CLIENT_GONE: "The client hung up before its request was sent on; nothing was executed.",
    Reason.STOPPING: "The instance was stopped before the request could end.",
    Reason.GATEWAY_FAULT: "A fault of the gateway: the log has the traceback under the request's id. Please report it.",
}

OF_WHOM = {Fault.CLIENT: "client", Fault.UPSTREAM: "upstream", Fault.GATEWAY: "gateway"}


def refusals() -> str:
    """docs/refusals.md: every way the gateway says no."""
    rows = ["| Slug | Status | Whose fault | The client reads | For operators |", "|---|---|---|---|---|"]
    rows += [
        f"| `{reason.slug}` | {reason.status} | {OF_WHOM[reason.fault]} | {reason.detail} | {ADVICE[reason]} |"
        for reason in Reason
    ]
    return HEAD + "\n" + "\n".join(rows) + "\n"


OPERATIONS_HEAD = """# Operations

What the gateway calls the things that clients do: in the setting `tenants.NAME.operations` (also as `user.*`), in the audit log, in the log
and in metrics. Generated from `gateway/scim/operations.py` by `docs/generate.py`.

A PATCH has a name of its own only when it does that and nothing else; `{"active": false}` beside another attribute is `user.patch`, and a
PUT is always `user.replace`. So a policy that leaves out `user.deactivate` keeps nobody from being deactivated.

"""


def operations() -> str:
    """docs/operations-by-name.md: every name of an operation."""
    families: dict[str, list[str]] = {}
    for name in sorted(NAMES):
        families.setdefault(name.partition(".")[0], []).append(f"`{name}`")
    return OPERATIONS_HEAD + "\n".join(f"- {', '.join(names)}" for names in families.values()) + "\n"


DOCTOR_HEAD = """# doctor: the chain as a client meets it

```sh
export SCIM_GATEWAY_TOKEN=scimgw_...                  # the client's token; or --token-file F, or typed when it asks
scim-gateway doctor                                   # on the gateway's host: reads /etc/scim-gateway/gateway.toml, or --config F
scim-gateway doctor --url https://scim.example.com/scim/zbs848185728/v2      # from anywhere else, better from outside
```

It makes the checks below one after the other and says of each `ok`, `warning`, `fault` or `skipped` (what it builds on has a fault, or there is
no token), what was seen, and what to do. It exits with 1 when there is a fault; `--json` prints the same as one object: the counts, and `checks`
with `check`, `grade`, `seen` and `mend`. `--ca-file` is for an authority of your own, in place of the system's.

It is harmless. It reads, and asks to change a user who does not exist; in the audit directory it writes a small file and takes it away. Only
`--with-test-user` writes upstream: it creates two users with throw-away names, deactivates and deletes them, as a rehearsal does. In the audit
log stand a request with a made-up token (`credential-unknown`) and one with a filter that is none (`filter-malformed`). The token is sent only to whom the certificate proves.

Settings hold no token, only its digest, so give one: without, what needs it is skipped. With several tenants it visits the one that the token opens.
Run it as the gateway's user or as root, else it can read neither key nor log. Where only the client's networks may call (`sources`), the gateway's own
host is turned away as everybody is, and what needs an answer is skipped; that is no fault. On the gateway's host, DNS and firewalls are those of the inside: what
Okta meets is seen from outside only, so run it from there too.

"""


def doctor() -> str:
    """docs/doctor.md: every check."""
    rows = ["| Check | What is tested | Where |", "|---|---|---|"]
    rows += [
        f"| {check.name} | {check.looks_at} | {'on the host' if check.on_the_host else 'anywhere'} |"
        for check in CHECKS
    ]
    return DOCTOR_HEAD + "\n".join(rows) + "\n" + DOCTOR_TAIL


DOCTOR_TAIL = """
The table is generated from `gateway/doctor/checks.py` by `docs/generate.py`.

What it cannot see: whether *Okta's* networks may call (`sources`, firewalls) when it runs elsewhere than Okta; whether your public authority is among
those that Okta knows; what the application does with members of groups. For the last, `scim-gateway rehearse`.
"""

PAGES = {
    HERE / "refusals.md": refusals,
    HERE / "operations-by-name.md": operations,
    HERE / "doctor.md": doctor,
    HERE / "settings.md": settings_page,
    HERE / "metrics.md": metrics_page,
}

if __name__ == "__main__":
    for file, page in PAGES.items():
        file.write_text(page())
