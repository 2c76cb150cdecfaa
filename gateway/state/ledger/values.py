"""What the ledger is asked, answers and remembers. Pure; all values are frozen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

LAST_ATTEMPTS_FROM = 8  # Okta gives a task up after ten attempts
SHORTEST_PATIENCE_SECONDS = 1500.0  # a hold sends its client away for up to 1200 s, and clients are late
PATIENCE_FACTOR = 2.5  # clients double their wait; and a quarter for those who are late


class Verdict(Enum):
    """What becomes of a write."""

    PASS = "pass"  # noqa: S105 - a verdict
    HOLD = "hold"  # the client is to come back
    DENY = "deny"  # it is not to


class Standing(Enum):
    """Where a remembered write stands."""

    HELD = "held"  # it takes access; a person decides
    FOLLOWS = "follows"  # only those before it on the resource keep it
    APPROVED = "approved"  # it passes when it comes again and its turn has come
    DENIED = "denied"
    SUPERSEDED = "superseded"  # a later write to the resource was executed; this one would undo it


LIVE = frozenset({Standing.HELD, Standing.FOLLOWS, Standing.APPROVED})  # later writes to the resource wait for these
WAITING = frozenset({Standing.HELD, Standing.FOLLOWS})
REFUSED = frozenset({Standing.DENIED, Standing.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Write:
    """A write as the guard puts it before the ledger; a text that is no UTF-8 is a ValueError."""

    task: str  # a digest which a client's repeats share
    resource: str  # key of the resource it writes to
    operation: str  # "user.deactivate"
    people: frozenset[str]  # ids of those who would lose access; empty when nobody would
    request_id: str
    summary: str  # userName, displayName or path, for people

    def __post_init__(self) -> None:
        # SECURITY: one text that is no UTF-8 (a lone surrogate) would keep all of the ledger from being saved.
        "".join((self.task, self.resource, self.operation, self.request_id, self.summary, *self.people)).encode()


@dataclass(frozen=True, slots=True)
class HeldWrite:
    """A write that was held, with what became of it so far."""

    task: str
    resource: str
    operation: str
    people: frozenset[str]  # by its last attempt; once approved, those who were approved
    summary: str
    hold: str  # the id of the hold which it waits for, itself or behind another
    sequence: int  # order of arrival within the tenant
    standing: Standing
    first_at: float
    last_at: float
    first_request: str
    last_request: str
    attempts: int = 1
    longest_gap_seconds: float = 0.0  # between two attempts
    decided_at: float | None = None

    def is_abandoned(self, now: float) -> bool:
        """Whether it may go on, and yet its client has not come for so long that it will not."""
        return self.standing in (Standing.APPROVED, Standing.FOLLOWS) and now - self.last_at > self.patience_seconds

    @property
    def patience_seconds(self) -> float:
        """How long after its last attempt another one is expected."""
        return max(SHORTEST_PATIENCE_SECONDS, PATIENCE_FACTOR * self.longest_gap_seconds)


@dataclass(frozen=True, slots=True)
class Weighed:
    """The ledger's word on one attempt at a write."""

    verdict: Verdict
    counted: int  # people who lost access in the window, those in flight and this write's own
    limit: int
    hold: str | None = None  # what it waits for, or was decided in
    attempts: int = 1  # as far as the ledger saw them
    tripped: bool = False  # this write is the first over the limit
    would_hold: bool = False  # when only observing
    warning_due: bool = False  # true once for each hold: a client gives up soon
    last_chance: bool = False  # the next attempt may be the client's last, or this one was
    reservation: int | None = None  # to be settled once the outcome is known
    note: str = ""  # for operators


Passed: TypeAlias = "tuple[int, int, int]"
"""Of a write that passes: people counted, the limit, and the reservation."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A write that passed and whose outcome is not known yet."""

    people: frozenset[str]  # those to be counted if it was executed
    resource: str
    task: str | None  # when it was held before
    sequence: int
    watched: bool = False  # only observed


class HoldState(Enum):
    """Whether a hold still waits for a person."""

    OPEN = "open"
    DECIDED = "decided"
    EXPIRED = "expired"  # nobody decided: all of it is denied


class Ruling(Enum):
    """What was decided on a hold."""

    APPROVE = "approve"
    APPROVE_UNTIL = "approve-until"
    RAISE_THRESHOLD = "raise-threshold"
    DENY = "deny"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision on a hold, as it goes on record."""

    ruling: Ruling
    by: str  # a person; "" for an expiry
    reason: str
    at: float
    writes: int  # how many it changed
    until: float | None = None
    people: int | None = None  # the raised threshold


@dataclass(frozen=True, slots=True)
class Hold:
    """A wave that was held."""

    id: str
    tripped_at: float
    expires_at: float
    counted: int  # when it tripped
    limit: int
    state: HoldState = HoldState.OPEN
    ended_at: float | None = None
    tripped_by: str = ""  # operation and whom, for people
    warned: bool = False  # that clients of its writes give up soon
    done: int = 0  # of its writes, approved and executed
    beyond: int = 0  # attempts at writes that were held but found no room in the ledger
    decisions: tuple[Decision, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it waits for a person, and how long its denials last."""
        return self.expires_at - self.tripped_at


@dataclass(frozen=True, slots=True)
class HoldView:
    """A hold with its writes in order of arrival, followers included: what an operator looks at."""

    tenant: str
    hold: Hold
    writes: tuple[HeldWrite, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """How it stands with a tenant."""

    open_holds: int = 0
    held: int = 0  # writes that wait for a person, or behind one that does
    near_their_end: int = 0  # of these, how many clients give up soon


@dataclass(frozen=True, slots=True)
class Terms:
    """What people allowed a tenant for a time, and whether its observed wave goes on."""

    pass_until: float = 0.0
    raised_people: int = 0
    raised_until: float = 0.0
    latched: bool = False  # observing only
