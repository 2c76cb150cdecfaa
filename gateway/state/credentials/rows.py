"""The book of credentials as rows of text, for a store. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from gateway.state.credentials.values import Book, End, Fingerprint, Made, Owed
from gateway.state.last_use import Use

Rows = Mapping[tuple[str, str, str], str]  # kind, tenant, what it is about -> JSON
Uses = Mapping[Fingerprint, Use]

_MADE: TypeAdapter[Made] = TypeAdapter(Made)
_END: TypeAdapter[End] = TypeAdapter(End)
_OWED: TypeAdapter[Owed] = TypeAdapter(Owed)
_USE: TypeAdapter[Use] = TypeAdapter(Use)


class RowUnreadable(ValueError):
    """A row that no gateway of this version wrote; the text says which."""


def rows_of(book: Book, uses: Uses, owed: Sequence[Owed] = ()) -> dict[tuple[str, str, str], str]:
    """Everything, to be written."""
    made = {("made", one.tenant, one.name): _MADE.dump_json(one).decode() for one in book.made}
    ends = {("end", end.tenant, print_): _END.dump_json(end).decode() for print_, end in book.ends.items()}
    used = {("use", "", print_): _USE.dump_json(use).decode() for print_, use in uses.items()}
    due = {("owed", "", f"{number:06}"): _OWED.dump_json(one).decode() for number, one in enumerate(owed)}
    return made | ends | used | due


def read_rows(rows: Rows) -> tuple[Book, dict[Fingerprint, Use], tuple[Owed, ...]]:
    """What was written; what is owed in the order in which it fell due.

    Raises:
        RowUnreadable: a row is damaged, or of a kind that is not known.
    """
    made: list[Made] = []
    ends: dict[Fingerprint, End] = {}
    uses: dict[Fingerprint, Use] = {}
    owed: dict[str, Owed] = {}
    for (kind, _, about), text in rows.items():
        try:
            match kind:
                case "made":
                    made.append(_MADE.validate_json(text))
                case "end":
                    ends[Fingerprint(about)] = _END.validate_json(text)
                case "use":
                    uses[Fingerprint(about)] = _USE.validate_json(text)
                case "owed":
                    owed[about] = _OWED.validate_json(text)
                case _:
                    raise RowUnreadable(f"a row of the unknown kind {kind!r}")
        except ValidationError as error:
            raise RowUnreadable(f"a damaged row of the kind {kind!r}") from error
    book = Book(tuple(sorted(made, key=lambda one: one.made_at)), ends)
    return book, uses, tuple(owed[about] for about in sorted(owed))
