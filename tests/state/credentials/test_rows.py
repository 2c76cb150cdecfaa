"""The book of credentials as rows: what was written is read again, and what nobody wrote is refused."""

from __future__ import annotations

import pytest

from gateway.state.credentials import Owed, added, revoked, rotated, token_fingerprint
from gateway.state.credentials.rows import RowUnreadable, read_rows, rows_of
from gateway.state.last_use import Use
from tests.state.credentials.books import DAY, EMPTY, OLD, end, tenants, wish
from tests.worlds import NOW

TENANTS = tenants()
USES = {token_fingerprint("a" * 64): Use(NOW, "192.0.2.1"), token_fingerprint(OLD): Use(NOW - 1.5, "2001:db8::1")}


def test_a_book_is_read_as_it_was_written() -> None:
    book = added(EMPTY, TENANTS, wish("made", at=NOW - 5))
    book = rotated(book, TENANTS, "okta-2026-11", DAY, wish("a-successor"))
    book = revoked(book, TENANTS, end("basic"), even_the_last=False)

    owed = tuple(Owed("credential-revoked", {"credential": str(n), "uid": n}) for n in range(12))

    assert read_rows(rows_of(book, USES, owed)) == (book, USES, owed)


@pytest.mark.parametrize("kind", ["made", "end", "use", "owed", "other"])
def test_a_row_that_nobody_wrote_is_refused(kind: str) -> None:
    with pytest.raises(RowUnreadable, match=kind):
        read_rows({(kind, "jira", "x"): '{"tenant":"jira"}'})
