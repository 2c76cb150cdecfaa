"""The report: its counts, its table and its JSON."""

from __future__ import annotations

import pytest

from gateway.rehearsal.outcomes import Outcome, Report, StepResult, closing_line, table_lines

PASSED = StepResult("look up", Outcome.PASSED, 12.34)
FAILED = StepResult("create", Outcome.FAILED, 5.0, "got 500", "look into the log.")
NOT_RUN = StepResult("update", Outcome.NOT_RUN, note="the user was not created")


@pytest.mark.parametrize(
    ("steps", "passed"),
    [((PASSED,), True), ((PASSED, FAILED), False), ((PASSED, NOT_RUN), False)],
)
def test_a_rehearsal_passes_only_if_every_step_ran_and_passed(steps: tuple[StepResult, ...], passed: bool) -> None:
    assert Report(steps).passed is passed


def test_the_closing_line_counts_every_outcome() -> None:
    assert closing_line(Report((PASSED, PASSED, FAILED, NOT_RUN))) == "2 passed, 1 failed, 1 not run"


def test_the_table_says_what_to_do_below_a_failed_step() -> None:
    assert [line for step in (PASSED, FAILED, NOT_RUN) for line in table_lines(step)] == [
        "passed      12 ms  look up",
        "failed       5 ms  create",
        "                   got 500",
        "                   What to do: look into the log.",
        "not run            update",
        "                   the user was not created",
    ]


def test_the_json_holds_counts_and_steps() -> None:
    assert Report((PASSED, FAILED)).as_json() == {
        "passed": 1,
        "failed": 1,
        "not_run": 0,
        "steps": [
            {"name": "look up", "outcome": "passed", "milliseconds": 12.3, "note": "", "advice": ""},
            {
                "name": "create",
                "outcome": "failed",
                "milliseconds": 5.0,
                "note": "got 500",
                "advice": "look into the log.",
            },
        ],
    }
