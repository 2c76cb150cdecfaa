"""The values that travel with one request: Request, Client, Operation, Delivery, Answer, and the Trail. Pure.

All are frozen but the Trail, which only the pipeline writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NewType, TypeAlias

from gateway.refusal import Reason, Refusal
from gateway.scim.access import Taking
from gateway.scim.addresses import Address, Kind
from gateway.scim.documents import Document
from gateway.scim.operations import Who
from gateway.scim.told import completed, id_told
from gateway.scim.versions import Version
from gateway.settings.models import Tenant
from gateway.wire.fields import Fields

RequestId = NewType("RequestId", str)
Told: TypeAlias = "tuple[str, str | int | float | bool | None]"  # an attribute and its value; None: taken away


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request's head, exactly as it came: nothing decoded, nothing merged."""

    id: RequestId
    received_at: float  # Unix seconds
    address: str  # the client's IP address, normalised (::ffff:192.0.2.1 is 192.0.2.1)
    method: str
    target: str  # the raw request target; bytes above 0x7f as surrogate escapes
    version: tuple[int, int]
    fields: Fields
    has_body: bool  # a Content-Length above 0, or a Transfer-Encoding


@dataclass(frozen=True, slots=True)
class Unparsed:
    """What is known of bytes that never became a request; `note` is the parser's reason, for operators."""

    id: RequestId
    received_at: float
    address: str
    reason: Reason
    note: str


@dataclass(frozen=True, slots=True)
class Client:
    """An identified caller: only `identify` makes one, so whoever holds it knows that the caller is known."""

    tenant_name: str
    tenant: Tenant
    credential: str  # its name
    path: str  # what follows the tenant's path in the target, raw: "" or "/Users/1"
    query: str | None  # raw, without the "?"
    public_base: str = ""  # https://scim.example.com/scim/zbs848185728/v2

    @property
    def upstream_bases(self) -> tuple[str, ...]:
        """Where the tenant's resources live, on each node: http://jira-1.internal:5501/scim/zbs848185728/v2."""
        path = self.tenant.upstream_path or self.tenant.path
        return tuple(node + path for node in self.tenant.upstream)


def version_of(tenant: Tenant | None) -> Version:
    """What a tenant's client and upstream speak; 2.0 to whoever asks for no tenant of ours."""
    return Version.V1_1 if tenant is not None and tenant.client.speaks_scim_1_1 else Version.V2_0


@dataclass(frozen=True, slots=True)
class Operation:
    """A request understood as SCIM: only `inspect` makes one, so whatever is forwarded was judged."""

    name: str  # "user.create", "group.members.add", ...; the list is scim.operations.NAMES
    method: str
    address: Address
    query: str | None  # forwarded as it came, but for the flags in an Entra tenant's URL
    body: bytes  # forwarded as judged; b"" for none
    fields: tuple[tuple[str, str], ...]  # what is passed on of the request's header: the allow-list only
    attributes: tuple[str, ...] = ()  # names the operation writes, never values
    values: tuple[Told, ...] = ()  # of those attributes that the tenant wants on record
    people: tuple[Who, ...] = ()
    resource_name: str | None = None  # displayName or userName a create or replace gives
    dropped: tuple[str, ...] = ()  # attributes the policy took out, such as "password"
    writes: bool = False
    takes: Taking | None = None  # whose access; None when nobody loses any


class Verdict(Enum):
    """What the guard says of a write; the values stand in the audit log and in metrics."""

    PASS = "pass"  # noqa: S105 - a verdict
    HOLD = "hold"
    DENY = "deny"
    WOULD_HOLD = "would-hold"  # it passed, for the guard only observes
    EXEMPT = "exempt"  # it passed, for the group is exempt


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guard made of a write: who would lose access by it, and whether it may leave."""

    verdict: Verdict
    loss: str = ""  # a scim.access.Loss; "" for a write that takes nothing and waits behind one that does
    lost: tuple[str, ...] = ()  # ids of the people
    counted: int = 0  # distinct people in the window, with these
    limit: int = 0  # more than so many are a wave
    hold: str | None = None
    attempts: int = 0  # of the held task, with this one
    reservation: int | None = None  # to be settled when the outcome is known
    note: str = ""
    reason: Reason | None = None  # why it may not leave

    def refusal(self) -> Refusal | None:
        """What to raise; None when the write may leave."""
        return None if self.reason is None else Refusal(self.reason, note=self.note, hold=self.hold)


class Stage(Enum):
    """How far an attempt to reach the upstream came; decides what is known of its outcome."""

    NOT_SENT = "not-sent"  # provably: no connection
    SENT = "sent"  # some or all of it may have been read
    ANSWERED = "answered"  # a complete answer came


class Outcome(Enum):
    """What is known of an operation's effect; in doubt it is UNKNOWN, never one of the others."""

    EXECUTED = "executed"  # the upstream answered so
    NOT_EXECUTED = "not-executed"  # nothing was sent, or the upstream refused it
    UNKNOWN = "unknown"  # it was sent, and nobody can say


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one node."""

    node: str  # host:port
    seconds: float
    stage: Stage
    status: int | None = None  # the upstream's, when answered
    note: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """A complete and bounded answer of the upstream, decoded of its content coding."""

    status: int
    fields: Mapping[str, str]  # those that may concern a client, each of which came once
    body: bytes
    document: Document | None = None  # the body, read; None for none. Whoever changes it writes a body anew


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an operation: an answer, or the reason why there is none."""

    attempts: tuple[Attempt, ...]
    answer: UpstreamAnswer | None = None
    reason: Reason | None = None
    note: str = ""

    @property
    def outcome_is_unknown(self) -> bool:
        """Whether the upstream may have executed the operation although nobody knows (RFC 9110 section 9.2.2)."""
        return any(attempt.stage is Stage.SENT for attempt in self.attempts)

    @property
    def outcome(self) -> Outcome:
        """A redirect, a 5xx or an answer that is no SCIM message proves nothing."""
        if self.answer and not self.reason and (self.answer.status < 300 or self.answer.status == 304):
            return Outcome.EXECUTED
        if self.outcome_is_unknown:
            return Outcome.UNKNOWN
        statuses = [attempt.status for attempt in self.attempts if attempt.stage is Stage.ANSWERED]
        refused = all(status is not None and 400 <= status < 500 for status in statuses)
        return Outcome.NOT_EXECUTED if refused else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets. `fields` holds everything but Content-Length, Date and Connection."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes  # b"" for none; 204 and 304 never have one
    ends_connection: bool = False  # whoever gets it is not asked for another request on the same connection


@dataclass(slots=True)
class Trail:
    """All that is known of one request. Only the pipeline writes it; audit, metrics and log read it."""

    request: Request
    settings: str = ""  # the digest of those that it is judged by
    tenant_name: str | None = None  # known from the path, before the caller is
    tenant: Tenant | None = None
    client: Client | None = None
    operation: Operation | None = None
    judgement: Judgement | None = None
    delivery: Delivery | None = None
    answer: Answer | None = None
    refusal: Refusal | None = None
    seconds: dict[str, float] = field(default_factory=dict)  # stage name -> how long it took
    wave_waits: bool = False  # whether the tenant has a wave that waits for a person; known of what was refused
    body_bytes: int = 0  # of the request, as read
    stage: str = ""  # the present one; "" before the first and after the last
    stage_began_at: float = 0.0  # by the pipeline's stopwatch

    def enter(self, stage: str, now: float) -> None:
        """One stage ends and the next begins; `now` by a stopwatch that is the pipeline's own."""
        if self.stage:
            self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self.stage_began_at
        self.stage, self.stage_began_at = stage, now

    @property
    def was_forwarded(self) -> bool:
        """Whether forwarding began, however it ended."""
        return "forward" in (self.stage, *self.seconds)

    @property
    def outcome(self) -> Outcome:
        """What is known of the operation's effect; UNKNOWN too when forwarding was cut short."""
        if self.delivery:
            return self.delivery.outcome
        return Outcome.UNKNOWN if self.was_forwarded else Outcome.NOT_EXECUTED

    @property
    def people(self) -> tuple[Who, ...]:
        """Whom the operation concerns; of a write to a user that was executed, also by the names in its answer."""
        if self.operation is None:
            return ()
        document = self._executed
        if document is None or self.operation.address.kind not in (Kind.USERS, Kind.ME):
            return self.operation.people
        return completed(self.operation.people, document)

    @property
    def created_id(self) -> str | None:
        """The id that the application gave to what it created; None when nothing was, or nobody knows."""
        if self.operation is None or self.operation.method != "POST" or (document := self._executed) is None:
            return None
        return id_told(document)

    @property
    def _executed(self) -> Document | None:
        """The answer to a write that was executed."""
        delivery = self.delivery
        if delivery is None or delivery.answer is None or self.operation is None or not self.operation.writes:
            return None
        return delivery.answer.document if delivery.outcome is Outcome.EXECUTED else None

    @property
    def reason(self) -> Reason | None:
        """Why the client did not get what it asked for; None when the upstream's own answer was passed on."""
        if self.refusal:
            return self.refusal.reason
        return self.delivery.reason if self.delivery else None
