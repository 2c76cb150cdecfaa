"""The guard's memory: who lost access lately, which writes are held, and what people decided about them. Pure.

One ledger belongs to an instance, with a book for each tenant. It decides and keeps; it never waits, reads a clock or
touches a disk. Times are guard seconds (`clock.py`); what must outlive a crash is handed over by `take_changes`.
"""

from gateway.state.ledger.clock import GuardClock, Moment
from gateway.state.ledger.deciding import Decided, Signature
from gateway.state.ledger.ledger import HoldIsOver, Ledger, UnknownHold
from gateway.state.ledger.limits import Rules, limit_of
from gateway.state.ledger.rows import Changes
from gateway.state.ledger.values import (
    Decision,
    Figures,
    HeldWrite,
    HoldState,
    HoldView,
    Ruling,
    Standing,
    Verdict,
    Weighed,
    Write,
)

__all__ = [
    "Changes",
    "Decided",
    "Decision",
    "Figures",
    "GuardClock",
    "HeldWrite",
    "HoldIsOver",
    "HoldState",
    "HoldView",
    "Ledger",
    "Moment",
    "Rules",
    "Ruling",
    "Signature",
    "Standing",
    "UnknownHold",
    "Verdict",
    "Weighed",
    "Write",
    "limit_of",
]
