"""Every way the gateway says no: one exception and one table of reasons. Pure.

The table feeds the client's answer, the audit log, the metrics and the page docs/refusals.md, so
they cannot disagree. To turn a request away: `raise Refusal(Reason.X, note="for operators")`.
"""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """Whose doing a refusal is; decides what the client is told (see `Reason.unavailable`)."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"


_NOT_AUTHENTICATED = "The request is not authenticated: give the credential of this tenant."
_BE_BACK = "Nothing is lost: the request may be sent again."
_MAYBE_DONE = "It may have been carried out all the same; it may be sent again."


class Reason(Enum):
    """(slug, HTTP status, SCIM error type of RFC 7644 section 3.12, fault, public detail).

    The slug is stable: audit lines, metrics and documentation use it. The detail is all that a
    client ever sees of it, so it names no host, no token and nothing out of the request.
    """

    # Requests that never became one: pipeline.refuse_unparsed, and the listener.
    HEAD_MALFORMED = ("head-malformed", 400, None, Fault.CLIENT, "The request is not well-formed HTTP/1.1.")
    HEAD_TOO_LARGE = ("head-too-large", 431, None, Fault.CLIENT, "The request line or a header field is too large.")
    HEAD_TIMEOUT = ("head-timeout", 408, None, Fault.CLIENT, "The request's head did not arrive in time.")
    VERSION_UNSUPPORTED = ("version-unsupported", 505, None, Fault.CLIENT, "Only HTTP/1.1 is spoken here.")
    METHOD_UNSUPPORTED = ("method-unsupported", 501, None, Fault.CLIENT, "SCIM has no such method.")
    FRAMING_AMBIGUOUS = (
        "framing-ambiguous",
        400,
        None,
        Fault.CLIENT,
        "The length of the request can be read in two ways.",
    )
    HOST_MALFORMED = (
        "host-malformed",
        400,
        None,
        Fault.CLIENT,
        "The request needs exactly one well-formed Host field.",
    )
    FIELD_MALFORMED = ("field-malformed", 400, None, Fault.CLIENT, "A header field is repeated or malformed.")
    EXPECTATION_UNKNOWN = (
        "expectation-unknown",
        417,
        None,
        Fault.CLIENT,
        "Only the expectation 100-continue is known.",
    )

    # identify
    TARGET_MALFORMED = (
        "target-malformed",
        400,
        None,
        Fault.CLIENT,
        "The request target is malformed or could be read in two ways.",
    )
    TARGET_FOREIGN = ("target-foreign", 400, None, Fault.CLIENT, "The request target names a server that this is not.")
    HOST_FOREIGN = ("host-foreign", 421, None, Fault.CLIENT, "The Host field names a server that this is not.")
    TENANT_UNKNOWN = ("tenant-unknown", 404, None, Fault.CLIENT, "There is nothing at this address.")
    SOURCE_FORBIDDEN = (
        "source-forbidden",
        403,
        None,
        Fault.CLIENT,
        "Requests from this network address are not accepted.",
    )
    CREDENTIAL_MISSING = ("credential-missing", 401, None, Fault.CLIENT, _NOT_AUTHENTICATED)
    CREDENTIAL_AMBIGUOUS = ("credential-ambiguous", 401, None, Fault.CLIENT, _NOT_AUTHENTICATED)
    CREDENTIAL_UNKNOWN = ("credential-unknown", 401, None, Fault.CLIENT, _NOT_AUTHENTICATED)
    CREDENTIAL_EXPIRED = ("credential-expired", 401, None, Fault.CLIENT, _NOT_AUTHENTICATED)
    CREDENTIAL_OF_OTHER_TENANT = ("credential-of-other-tenant", 401, None, Fault.CLIENT, _NOT_AUTHENTICATED)
    TOO_MANY_FAILURES = (
        "too-many-failures",
        429,
        None,
        Fault.CLIENT,
        "Too many failed authentications from this network address; wait before the next one.",
    )

    # admit
    RATE_EXCEEDED = ("rate-exceeded", 429, None, Fault.CLIENT, f"The tenant's rate limit is reached. {_BE_BACK}")
    NO_PLACE = ("no-place", 503, None, Fault.GATEWAY, f"The tenant has too many requests under way. {_BE_BACK}")

    QUEUE_FULL = (
        "queue-full",
        503,
        None,
        Fault.GATEWAY,
        f"Too many writes wait for the same resource. {_BE_BACK}",
    )
    QUEUE_TIMEOUT = (
        "queue-timeout",
        503,
        None,
        Fault.GATEWAY,
        f"The request waited too long for its turn, or for a free connection to the application. {_BE_BACK}",
    )

    # read
    BODY_TOO_LARGE = ("body-too-large", 413, None, Fault.CLIENT, "The body is larger than this tenant allows.")
    BODY_TIMEOUT = ("body-timeout", 408, None, Fault.CLIENT, "The body did not arrive in time.")
    CODING_UNSUPPORTED = (
        "coding-unsupported",
        415,
        None,
        Fault.CLIENT,
        "The body must be sent without a content coding.",
    )

    # inspect
    ADDRESS_UNKNOWN = ("address-unknown", 404, None, Fault.CLIENT, "There is no such SCIM address.")
    METHOD_NOT_ALLOWED = (
        "method-not-allowed",
        405,
        None,
        Fault.CLIENT,
        "This address does not know the method; see the field Allow.",
    )
    MEDIA_TYPE_UNSUPPORTED = (
        "media-type-unsupported",
        415,
        None,
        Fault.CLIENT,
        "The body must be application/scim+json or application/json.",
    )
    BODY_MISSING = ("body-missing", 400, "invalidSyntax", Fault.CLIENT, "The request needs a body.")
    BODY_UNEXPECTED = ("body-unexpected", 400, "invalidSyntax", Fault.CLIENT, "The request must not have a body.")
    JSON_MALFORMED = ("json-malformed", 400, "invalidSyntax", Fault.CLIENT, "The body is not well-formed JSON.")
    JSON_NOT_UTF8 = (
        "json-not-utf8",
        400,
        "invalidSyntax",
        Fault.CLIENT,
        "The body is not well-formed UTF-8, or holds a lone surrogate.",
    )
    JSON_NAME_REPEATED = (
        "json-name-repeated",
        400,
        "invalidSyntax",
        Fault.CLIENT,
        "A JSON object in the body repeats a name (compared without case).",
    )
    JSON_TOO_DEEP = (
        "json-too-deep",
        400,
        "invalidSyntax",
        Fault.CLIENT,
        "The JSON in the body is nested too deeply or holds too much.",
    )
    MESSAGE_MALFORMED = (
        "message-malformed",
        400,
        "invalidSyntax",
        Fault.CLIENT,
        "The body is not the SCIM message that this request needs.",
    )
    PATCH_MALFORMED = (
        "patch-malformed",
        400,
        "invalidSyntax",
        Fault.CLIENT,
        "The body is not a well-formed SCIM PatchOp message.",
    )
    PATH_MALFORMED = (
        "path-malformed",
        400,
        "invalidPath",
        Fault.CLIENT,
        "A path in the PatchOp message cannot be understood.",
    )
    FILTER_MALFORMED = (
        "filter-malformed",
        400,
        "invalidFilter",
        Fault.CLIENT,
        "The filter cannot be understood, or is nested too deeply.",
    )
    VALUE_MALFORMED = (
        "value-malformed",
        400,
        "invalidValue",
        Fault.CLIENT,
        "A value has the wrong type for its attribute.",
    )
    MEMBERS_MISSING = (
        "members-missing",
        400,
        "invalidValue",
        Fault.CLIENT,
        "The PUT of a group must name its members, [] for none: without them nobody can tell who stays.",
    )
    QUERY_MALFORMED = (
        "query-malformed",
        400,
        "invalidValue",
        Fault.CLIENT,
        "A query parameter is repeated or malformed.",
    )
    OPERATION_FORBIDDEN = (
        "operation-forbidden",
        403,
        None,
        Fault.CLIENT,
        "The policy of this tenant does not allow the operation.",
    )
    BULK_FORBIDDEN = (
        "bulk-forbidden",
        403,
        None,
        Fault.CLIENT,
        "Bulk is not offered: send each operation as a request of its own.",
    )

    # guard
    GUARD_HELD = (
        "guard-held",
        503,
        None,
        Fault.GATEWAY,
        "Held by the gateway's guard: unusually many people would lose access. Somebody who runs the gateway must "
        "approve or deny it (scim-gateway guard list). Nothing is lost: the request may be sent again.",
    )
    GUARD_BEHIND = (
        "guard-behind",
        503,
        None,
        Fault.GATEWAY,
        "It waits behind an earlier change to the same user or group, which the gateway's guard holds. Somebody who "
        "runs the gateway must decide on that first (scim-gateway guard list). Nothing is lost: it may be sent again.",
    )
    GUARD_DENIED = (
        "guard-denied",
        403,
        None,
        Fault.CLIENT,
        "Denied by the gateway's guard: unusually many people would have lost access, and whoever runs the gateway "
        "said no, or did not say yes in time. Ask them before it is sent again.",
    )
    GUARD_UNAVAILABLE = (
        "guard-unavailable",
        503,
        None,
        Fault.GATEWAY,
        f"The gateway's guard cannot count at the moment, so whatever takes access from people waits. {_BE_BACK}",
    )

    # forward
    UPSTREAM_UNREACHABLE = (
        "upstream-unreachable",
        503,
        None,
        Fault.UPSTREAM,
        f"The application cannot be reached at the moment. {_BE_BACK}",
    )
    UPSTREAM_TIMEOUT = (
        "upstream-timeout",
        503,
        None,
        Fault.UPSTREAM,
        f"The application did not answer in time. {_MAYBE_DONE}",
    )
    UPSTREAM_UNAVAILABLE = (
        "upstream-unavailable",
        503,
        None,
        Fault.UPSTREAM,
        f"The application says that it is not available. {_MAYBE_DONE}",
    )
    UPSTREAM_BUSY = (
        "upstream-busy",
        429,
        None,
        Fault.UPSTREAM,
        f"The application asks to be called less often. {_BE_BACK}",
    )
    UPSTREAM_BROKEN = (
        "upstream-broken",
        503,
        None,
        Fault.UPSTREAM,
        f"The application's answer was cut short or malformed. {_MAYBE_DONE}",
    )
    UPSTREAM_NOT_SCIM = (
        "upstream-not-scim",
        503,
        None,
        Fault.UPSTREAM,
        f"The application's answer was not a SCIM message. {_MAYBE_DONE}",
    )
    UPSTREAM_REDIRECT = (
        "upstream-redirect",
        503,
        None,
        Fault.UPSTREAM,
        f"The application's answer was a redirect, which is never followed. {_MAYBE_DONE}",
    )
    UPSTREAM_TOO_LARGE = (
        "upstream-too-large",
        503,
        None,
        Fault.UPSTREAM,
        "The application's answer was larger than this tenant allows.",
    )
    UPSTREAM_CREDENTIAL = (
        "upstream-credential",
        503,
        None,
        Fault.UPSTREAM,
        f"The application does not accept the gateway's credential; its operators must mend that. {_BE_BACK}",
    )

    # record, and ourselves
    RECORD_UNAVAILABLE = (
        "record-unavailable",
        503,
        None,
        Fault.GATEWAY,
        f"The request cannot be put on record at the moment. {_MAYBE_DONE}",
    )
    CLIENT_GONE = ("client-gone", 499, None, Fault.CLIENT, "The client hung up.")
    STOPPING = ("stopping", 503, None, Fault.GATEWAY, f"The gateway is being stopped. {_MAYBE_DONE}")
    GATEWAY_FAULT = ("gateway-fault", 500, None, Fault.GATEWAY, f"The gateway failed. {_MAYBE_DONE}")

    def __init__(self, slug: str, status: int, scim_type: str | None, fault: Fault, detail: str) -> None:
        self.slug = slug
        self.status = status
        self.scim_type = scim_type
        self.fault = fault
        self.detail = detail

    @property
    def unavailable(self) -> bool:
        """Whether the client did nothing wrong and should simply come back later."""
        return self.fault is not Fault.CLIENT

    @property
    def waits_for_a_person(self) -> bool:
        """Whether it takes people to mend it, so that the client shall come back seldom."""
        return self in (Reason.GUARD_HELD, Reason.GUARD_BEHIND, Reason.GUARD_UNAVAILABLE)


class Refusal(Exception):
    """A request is turned away. The note is for operators and never reaches the client.

    The note may quote a setting or a library's error, never a token, a body or a password.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        note: str = "",
        allow: tuple[str, ...] = (),
        retry_after_seconds: int | None = None,
        hold: str | None = None,
    ) -> None:
        super().__init__(f"{reason.slug}: {note}" if note else reason.slug)
        self.reason = reason
        self.note = note
        self.allow = allow  # the methods of METHOD_NOT_ALLOWED, for its field Allow (RFC 9110 section 10.2.1)
        self.hold = hold  # the guard's name for a wave, which operators are asked about
        self.retry_after_seconds = retry_after_seconds  # the earliest moment worth a new try; None: the reply decides
