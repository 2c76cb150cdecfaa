"""What people decide about a hold, and what time decides when nobody does. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from gateway.state.ledger.book import Book
from gateway.state.ledger.values import Decision, HeldWrite, Hold, HoldState, HoldView, Ruling, Standing


@dataclass(frozen=True, slots=True)
class Signature:
    """Who decides, why, and when."""

    by: str
    reason: str
    at: float  # guard seconds

    def __post_init__(self) -> None:
        if not self.by.strip() or not self.reason.strip():
            raise ValueError("a decision needs the name of a person and a reason")
        (self.by + self.reason).encode()  # as for a Write: what is no UTF-8 cannot be kept


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision changed."""

    view: HoldView
    changed: tuple[HeldWrite, ...]
    ended: bool  # by this decision


def approve(book: Book, hold: Hold, signature: Signature, tasks: Collection[str] | None) -> Decided:
    """These, or all that wait, may pass. In a hold that is over, all are those that were denied: people err."""
    ended = hold.state is not HoldState.OPEN
    chosen = _chosen(book, hold, tasks, Standing.DENIED if ended else Standing.HELD, also=Standing.DENIED)
    decision = Decision(Ruling.APPROVE, signature.by, signature.reason, signature.at, len(chosen))
    return _decide(book, hold, chosen, decision)


def deny(book: Book, hold: Hold, signature: Signature, tasks: Collection[str] | None) -> Decided:
    """These, or all that wait, must not pass. In a hold that is over, all are those approved and not yet executed."""
    ended = hold.state is not HoldState.OPEN
    chosen = _chosen(book, hold, tasks, Standing.APPROVED if ended else Standing.HELD, also=Standing.APPROVED)
    decision = Decision(Ruling.DENY, signature.by, signature.reason, signature.at, len(chosen))
    if ended and tasks is None:
        book.set_terms(replace(book.terms, pass_until=0.0, raised_until=0.0))
    return _decide(book, hold, chosen, decision)


def approve_until(book: Book, hold: Hold, signature: Signature, until: float) -> Decided:
    """All that wait may pass, and whatever takes access from anybody until then."""
    _check(until)
    chosen = _chosen(book, hold, None, Standing.HELD)
    decision = Decision(Ruling.APPROVE_UNTIL, signature.by, signature.reason, signature.at, len(chosen), until)
    book.set_terms(replace(book.terms, pass_until=until))
    return _decide(book, hold, chosen, decision)


def raise_threshold(book: Book, hold: Hold, signature: Signature, people: int, until: float) -> Decided:
    """All that wait may pass, and until then the tenant's limit is another."""
    _check(until)
    chosen = _chosen(book, hold, None, Standing.HELD)
    decision = Decision(
        Ruling.RAISE_THRESHOLD, signature.by, signature.reason, signature.at, len(chosen), until, people
    )
    book.set_terms(replace(book.terms, raised_people=people, raised_until=until))
    return _decide(book, hold, chosen, decision)


def expire(book: Book, now: float) -> Decided | None:
    """Deny a hold that nobody decided in time; its window is not cleared, for nobody has looked at it."""
    hold = book.overdue_hold(now)
    if hold is None:
        return None
    overdue = tuple(book.writes.of(hold.id, (Standing.HELD,)))
    denied = _set(book, overdue, Standing.DENIED, now)
    decision = Decision(Ruling.EXPIRE, "", "nobody decided in time", now, len(denied))
    book.set_hold(replace(hold, state=HoldState.EXPIRED, ended_at=now, decisions=(*hold.decisions, decision)))
    return Decided(_view(book, hold.id), denied, ended=True)


def _check(until: float) -> None:
    if not math.isfinite(until):
        raise ValueError("what is allowed for a time needs an end")


def _chosen(
    book: Book, hold: Hold, tasks: Collection[str] | None, standing: Standing, also: Standing | None = None
) -> tuple[HeldWrite, ...]:
    """All that stand so; or those that are named, which may also stand otherwise."""
    if tasks is None:
        return tuple(book.writes.of(hold.id, (standing,)))
    named = (book.writes.by_task.get(task) for task in dict.fromkeys(tasks))
    may_stand = (Standing.HELD, standing, also)
    return tuple(write for write in named if write and write.hold == hold.id and write.standing in may_stand)


def _decide(book: Book, hold: Hold, chosen: tuple[HeldWrite, ...], decision: Decision) -> Decided:
    standing = Standing.DENIED if decision.ruling is Ruling.DENY else Standing.APPROVED
    changed = _set(book, chosen, standing, decision.at)
    hold = replace(hold, decisions=(*hold.decisions, decision))
    ends = hold.state is HoldState.OPEN and not any(book.writes.of(hold.id, (Standing.HELD,)))
    if ends:
        hold = replace(hold, state=HoldState.DECIDED, ended_at=decision.at)
        if decision.ruling is not Ruling.DENY:  # those before a wave that was denied were part of it
            book.clear_window()
    book.set_hold(hold)
    return Decided(_view(book, hold.id), changed, ends)


def _set(book: Book, writes: tuple[HeldWrite, ...], standing: Standing, at: float) -> tuple[HeldWrite, ...]:
    changed = []
    for write in writes:
        # Others went on while it was denied: whoever sends it once more means it to come after them.
        comes_anew = write.standing is Standing.DENIED
        sequence = book.writes.next_sequence() if comes_anew else write.sequence
        changed.append(replace(write, standing=standing, decided_at=at, sequence=sequence))
        book.keep(changed[-1])
    return tuple(changed)


def _view(book: Book, hold_id: str) -> HoldView:
    return book.view(book.holds[hold_id])
