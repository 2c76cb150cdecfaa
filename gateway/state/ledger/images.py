"""A book as rows, and from rows: so that a store can keep it without knowing what it means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.state.ledger.book import Book
from gateway.state.ledger.rows import Key, Kind, RowUnreadable, Value
from gateway.state.ledger.values import Flight, HeldWrite, Hold, Terms


def rows_of(book: Book) -> Iterator[tuple[Kind, str]]:
    """Every row there is: its kind, and what it is about."""
    yield from (("lost", person) for person in book.window.lost)
    yield from (("watched", person) for person in book.watched.lost)
    yield from (("flight", str(reservation)) for reservation in book.flights)
    yield from (("write", task) for task in book.writes.by_task)
    yield from (("hold", hold_id) for hold_id in book.holds)
    if book.terms != Terms():
        yield "terms", ""


def value_in(book: Book, kind: Kind, about: str) -> Value | None:
    """A row as it is now; None when it is gone."""
    match kind:
        case "lost":
            return book.window.lost.get(about)
        case "watched":
            return book.watched.lost.get(about)
        case "flight":
            return book.flights.get(int(about))
        case "write":
            return book.writes.by_task.get(about)
        case "hold":
            return book.holds.get(about)
        case "terms":
            return book.terms if book.terms != Terms() else None


def restore(book: Book, rows: Iterable[tuple[Key, Value]]) -> None:
    """Fill an empty book with the rows of another.

    Raises:
        RowUnreadable: they are not whole.
    """
    for (kind, _, about), value in sorted(rows, key=_by_age):
        match value:
            case Flight():
                book.flights[int(about)] = value
                book.last_flight = max(book.last_flight, int(about))
                book.writes.sequence = max(book.writes.sequence, value.sequence)
                (book.watched if value.watched else book.window).reserve(value.people)
            case HeldWrite():
                book.writes.put(value)
            case Hold():
                book.set_hold(value)
            case Terms():
                book.terms = value
            case float() | int():
                (book.watched if kind == "watched" else book.window).lose((about,), value)
    if not all(write.hold in book.holds for write in book.writes.by_task.values()):
        raise RowUnreadable("a held write whose hold is missing")
    book.changed.clear()


def _by_age(row: tuple[Key, Value]) -> tuple[float, str]:
    """People and writes must be met again in the order in which they came."""
    (_, _, about), value = row
    match value:
        case HeldWrite():
            return value.sequence, about
        case Hold():
            return value.tripped_at, about
        case float() | int():
            return value, about
        case Flight() | Terms():
            return 0.0, about
