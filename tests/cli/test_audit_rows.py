"""Tables of lines of the audit log, on a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.audit.reporting import Names
from gateway.cli.audit_rows import aligned, local, row_of


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("a" * 48, "a" * 48),
        ("a" * 500, "a" * 45 + "..."),
        ("the group rule was wrong, " * 3, "the group rule was wrong, the group rule was..."),
        ("\u5c71" * 30, "\u5c71" * 22 + "..."),
    ],
)
def test_one_long_cell_does_not_make_every_row_long(cell: str, shown: str) -> None:
    head, row, other = aligned(("PERSON", "WHY"), [(cell, "x"), ("bo", "y")]).splitlines()

    assert row == f"{shown}{' ' * (head.index('WHY') - len(shown) - shown.count(chr(0x5C71)))}x"
    assert other.index("y") == head.index("WHY") <= 50


def test_a_column_that_matters_is_not_cut() -> None:
    assert aligned(("WHY",), [("x" * 500,)], whole="WHY").endswith("x" * 500)


def test_wide_signs_and_accents_do_not_shift_columns() -> None:
    rows = aligned(("PERSON", "WHY"), [("\uff1dfull", "x"), ("e\u0301va", "y"), ("plain", "z")]).splitlines()

    assert [row.index(sign) for row, sign in zip(rows[1:], "xyz", strict=True)] == [7, 9, 8]


def test_a_connection_says_why_it_came_to_nothing() -> None:
    assert row_of({"event": "connection", "failure": "plain-http"}, Names())[3] == "failed: plain-http"


def test_moments_of_a_notice_are_in_the_zone_of_the_others() -> None:
    details: dict[str, Any] = {"hold": "hold-1", "until": 1_800_000_000.5, "tasks": ["a", "b"], "counted": 21}
    details["expires"] = "2027-01-15T09:00:00Z"
    whom = row_of({"event": "notice", "notice": "guard-decision", "details": details}, Names())[5]

    assert f"until {local('2027-01-15T08:00:00Z')}; tasks a, b; counted 21" in whom
    assert f"expires {local('2027-01-15T09:00:00Z')}" in whom
