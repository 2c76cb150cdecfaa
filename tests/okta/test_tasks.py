"""The law by which a refused task comes back."""

from __future__ import annotations

import pytest

from tests.okta.tasks import Law, wait_seconds


@pytest.mark.parametrize(
    ("law", "retry_afters", "expected"),
    [
        ("documented", ["60"], 60),
        ("documented", ["60", "7", "9"], 240),  # the first counts, whatever comes later
        ("documented", [None], 300),
        ("documented", ["Fri, 31 Dec 2027 23:59:59 GMT"], 300),
        ("documented", ["1.5", "60"], 600),
        ("documented", ["60"] * 9, 60 * 256),
        ("documented", ["60"] * 10, None),
        ("latest-header", ["60", "7", "9"], 9),
        ("latest-header", ["60", "soon"], 300),
        ("latest-header", ["60"] * 9, 60),
        ("latest-header", ["60"] * 10, None),
    ],
)
def test_the_wait_before_the_next_attempt(law: Law, retry_afters: list[str | None], expected: int | None) -> None:
    assert wait_seconds(law, retry_afters) == expected


def test_a_first_wait_of_a_minute_outlasts_eight_hours() -> None:
    waits = [wait_seconds("documented", ["60"] * attempts) or 0 for attempts in range(1, 10)]

    assert sum(waits) == 60 * (2**9 - 1) > 8 * 3600
