"""A circuit breaker for one node: after failures in a row it is left alone for a while, then tried again. Pure.

    in-service ---- FAILURES or LOST_PROBES in a row ----> out-of-service, for a pause
    out-of-service  -- a probe is answered well ---------> in-service, but one failure more puts it out again
                    -- a probe is answered, but oddly ---> on-trial: it gets one request
                    -- a probe is lost ------------------> out-of-service, for twice the pause
    on-trial ------ its request is answered well --------> in-service
                    -- or not ---------------------------> out-of-service, for twice the pause

Times are loop seconds. `jitter` is a random number from 0 to 1, so that many gateways do not come back at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

FAILURES = 5  # in a row
LOST_PROBES = 2  # in a row: nobody may have sent a request for hours
PAUSE_SECONDS = 1.0  # the first one: a client that was told to come back is lost for a minute
MAX_PAUSE_SECONDS = 30.0


class State(Enum):
    """What a node is to its tenant's requests; the values are operators' words, for whom an open port is a good one."""

    CLOSED = "in-service"  # it gets them
    OPEN = "out-of-service"  # it gets none
    HALF_OPEN = "on-trial"  # it gets one, to see
    DRAINED = "drained"  # it gets none, for the settings say so


@dataclass(frozen=True, slots=True)
class Breaker:
    """A node's breaker. `pauses` is how many pauses in a row have not ended in a request answered well."""

    state: State = State.CLOSED
    failures: int = 0
    pauses: int = 0
    until: float = 0.0  # when the pause is over
    lost_probes: int = 0  # in a row, that reached nobody
    trial: bool = False  # half-open, and its one request is under way

    @property
    def admits(self) -> bool:
        """Whether a request may be sent now."""
        return self.state is State.CLOSED or (self.state is State.HALF_OPEN and not self.trial)


_UNTROUBLED = Breaker()


def probe_is_due(breaker: Breaker, probe_at: float, now: float) -> bool:
    """Whether to ask a node: at its time, and while it is out of service at the end of each pause."""
    return now >= breaker.until if breaker.state is State.OPEN else now >= probe_at


def began(breaker: Breaker) -> Breaker:
    """A request is being sent: a half-open breaker admits no other meanwhile."""
    return replace(breaker, trial=True) if breaker.state is State.HALF_OPEN else breaker


def ended(breaker: Breaker) -> Breaker:
    """A request is over, whatever became of it."""
    return replace(breaker, trial=False) if breaker.trial else breaker


def after_success(_breaker: Breaker) -> Breaker:
    """A request was answered well: whatever speaks against the node is forgotten."""
    return _UNTROUBLED


def after_failure(breaker: Breaker, now: float, jitter: float) -> Breaker:
    """A request failed. What fails while it is open was sent before that, and counts no more."""
    if breaker.state is State.OPEN:
        return breaker
    if breaker.state is State.CLOSED and breaker.failures + 1 < FAILURES:
        return replace(breaker, failures=breaker.failures + 1)
    return _open(breaker, now, jitter)


def after_probe(breaker: Breaker, now: float, jitter: float, *, reachable: bool, healthy: bool) -> Breaker:
    """A probe came back.

    It bears no credential, so it proves little: the first request that fails opens a breaker again that a probe has
    closed, for longer.
    """
    if breaker.state is State.CLOSED:
        lost = 0 if reachable else breaker.lost_probes + 1
        if lost >= LOST_PROBES:
            return _open(breaker, now, jitter)
        return breaker if lost == breaker.lost_probes else replace(breaker, lost_probes=lost)
    if breaker.trial or now < breaker.until:
        return breaker
    if healthy:
        return Breaker(failures=FAILURES - 1, pauses=breaker.pauses)
    if reachable:
        return replace(breaker, state=State.HALF_OPEN)
    return _open(breaker, now, jitter)


def _open(breaker: Breaker, now: float, jitter: float) -> Breaker:
    pause = min(MAX_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** min(breaker.pauses, 10))
    return Breaker(State.OPEN, 0, breaker.pauses + 1, now + pause * (0.8 + 0.4 * jitter))
