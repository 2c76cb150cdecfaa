"""The ledger of an instance: its doors, each of which leads to the book of one tenant. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from gateway.state.ledger import deciding
from gateway.state.ledger.book import Book
from gateway.state.ledger.deciding import Decided, Signature
from gateway.state.ledger.images import restore, rows_of, value_in
from gateway.state.ledger.limits import Rules
from gateway.state.ledger.rows import Changes, Key, Value
from gateway.state.ledger.values import Figures, Hold, HoldState, HoldView, Passed, Weighed, Write

MAX_WRITES = 20_000  # that are remembered, for a tenant: some 16 MB, and a quarter of a second for a decision on all


class UnknownHold(LookupError):
    """No hold has this id (any more)."""


class HoldIsOver(ValueError):
    """What a hold allows for a time can only be said while it waits."""


class Ledger:
    """The books of all tenants. Times are guard seconds and never go back from one call to the next."""

    def __init__(self, max_writes: int = MAX_WRITES) -> None:
        self._books: dict[str, Book] = {}
        self._max_writes = max_writes

    @classmethod
    def restored(cls, rows: Iterable[tuple[Key, Value]], max_writes: int = MAX_WRITES) -> Ledger:
        """The ledger that these rows were taken from."""
        ledger, by_tenant = cls(max_writes), defaultdict[str, list[tuple[Key, Value]]](list)
        for key, value in rows:
            by_tenant[key[1]].append((key, value))
        for tenant, own in by_tenant.items():
            restore(ledger._book(tenant), own)
        return ledger

    def _book(self, tenant: str) -> Book:
        book = self._books.get(tenant)
        if book is None:
            book = self._books[tenant] = Book(tenant, self._max_writes)
        return book

    def is_quiet(self, tenant: str) -> bool:
        """Whether a write that takes access from nobody passes without being weighed."""
        book = self._books.get(tenant)
        return book is None or book.is_quiet

    def binds(self, tenant: str, task: str, resource: str) -> bool:
        """Whether what is remembered has a say in a write, also where nothing new is held."""
        book = self._books.get(tenant)
        return book is not None and book.binds(task, resource)

    def wave_waits(self, tenant: str) -> bool:
        """Whether a hold of this tenant is open."""
        book = self._books.get(tenant)
        return book is not None and book.open_hold is not None

    def weigh(self, tenant: str, write: Write, rules: Rules, now: float, new_hold_id: str) -> Weighed:
        """The verdict on one attempt at a write. One that passes with a reservation is to be settled.

        `new_hold_id` is the name of the hold if this write trips one.
        """
        return self._book(tenant).weigh(write, rules, now, new_hold_id)

    def let_pass(self, tenant: str, people: frozenset[str], resource: str, rules: Rules, now: float) -> Passed | None:
        """What `weigh` would say of any write that takes access from these people, if that is plain; else None."""
        return self._book(tenant).let_pass(people, resource, rules, now)

    def observe(self, tenant: str, write: Write, rules: Rules, now: float) -> Weighed:
        """Let a write pass, and say what `weigh` would have done; by a window of its own."""
        return self._book(tenant).observe(write, rules, now)

    def settle(self, tenant: str, reservation: int, executed: bool | None, now: float, *, over: bool = True) -> None:
        """Say, once, what became of a write that passed; None when nobody can tell.

        `over` is whether its client does not come again with it: it got another answer than to come back.

        Raises:
            KeyError: there is no such reservation (any more).
        """
        self._books[tenant].settle(reservation, executed, now, over=over)

    def settle_all(self, now: float) -> None:
        """After a start: whatever was in flight when the last process ended may have been executed."""
        for book in self._books.values():
            for reservation in tuple(book.flights):
                book.settle(reservation, None, now, over=False)

    def was_away(self, seconds: float) -> None:
        """After a start: for so long no process ran."""
        for book in self._books.values():
            book.was_away(seconds)

    def approve(self, hold_id: str, signature: Signature, tasks: Collection[str] | None = None) -> Decided:
        """Let held writes pass when they come again: these, or all that wait (once it is over: all that were denied).

        Raises:
            UnknownHold: no hold has this id.
        """
        return deciding.approve(*self._find(hold_id), signature, tasks)

    def approve_until(self, hold_id: str, signature: Signature, until: float) -> Decided:
        """Let all that wait pass, and whatever takes access in this tenant until then.

        Raises:
            UnknownHold: no hold has this id.
            HoldIsOver: it was decided, or has expired.
            ValueError: `until` is no moment.
        """
        return deciding.approve_until(*self._find_open(hold_id), signature, until)

    def raise_threshold(self, hold_id: str, signature: Signature, people: int, until: float) -> Decided:
        """Let all that wait pass; until then so many people are the tenant's limit.

        Raises:
            UnknownHold: no hold has this id.
            HoldIsOver: it was decided, or has expired.
            ValueError: `until` is no moment.
        """
        return deciding.raise_threshold(*self._find_open(hold_id), signature, people, until)

    def deny(self, hold_id: str, signature: Signature, tasks: Collection[str] | None = None) -> Decided:
        """Turn held writes away for good: these, or all that wait.

        Of a hold that is over, all are those which were approved and not executed yet; what it allowed for a time ends.

        Raises:
            UnknownHold: no hold has this id.
        """
        return deciding.deny(*self._find(hold_id), signature, tasks)

    def _find(self, hold_id: str) -> tuple[Book, Hold]:
        for book in self._books.values():
            if hold_id in book.holds:
                return book, book.holds[hold_id]
        raise UnknownHold(hold_id)

    def _find_open(self, hold_id: str) -> tuple[Book, Hold]:
        book, hold = self._find(hold_id)
        if hold.state is not HoldState.OPEN:
            raise HoldIsOver(hold_id)
        return book, hold

    def overdue(self, now: float) -> tuple[HoldView, ...]:
        """The holds that `expire` would end now."""
        due = ((book, book.overdue_hold(now)) for book in self._books.values())
        return tuple(book.view(hold) for book, hold in due if hold is not None)

    def expire(self, now: float) -> tuple[Decided, ...]:
        """Deny what nobody decided in time, and forget what has run out. To be called every minute or so.

        Until it is, an overdue hold goes on holding. Costs a look at every remembered write.
        """
        decided = [deciding.expire(book, now) for book in self._books.values()]
        for book in self._books.values():
            book.tidy(now)
        return tuple(one for one in decided if one)

    def holds(self, tenant: str | None = None) -> tuple[HoldView, ...]:
        """The holds that are remembered, of one tenant or all, the oldest first within each."""
        books = self._books.values() if tenant is None else filter(None, [self._books.get(tenant)])
        return tuple(view for book in books for view in book.views())

    def figures(self, tenant: str) -> Figures:
        """How it stands with a tenant."""
        book = self._books.get(tenant)
        return Figures() if book is None else book.figures()

    def rows(self) -> dict[Key, Value]:
        """All of it."""
        every = (
            ((kind, name, about), value_in(book, kind, about))
            for name, book in self._books.items()
            for kind, about in rows_of(book)
        )
        return {key: value for key, value in every if value is not None}

    def take_changes(self) -> Changes:
        """What must be kept since the last time this was asked; empty when nothing."""
        changes: dict[Key, Value | None] = {}
        for name, book in self._books.items():
            if book.changed:
                changes.update({(kind, name, about): value_in(book, kind, about) for kind, about in book.changed})
                book.changed.clear()
        return changes
