"""The page of holds: everything a person decides by, and nothing a client could smuggle onto the screen."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cli.holds import holds_of, page_of
from gateway.cli.moments import shown
from tests.worlds import NOW

TASK = {
    "task": "task-1",
    "operation": "user.deactivate",
    "summary": "ada@example.com",
    "people": 1,
    "attempts": 6,
    "first_at": NOW - 7200,
    "last_at": NOW - 60,
    "state": "held",
}
HOLD = {
    "id": "hold-7f3a",
    "tenant": "jira",
    "state": "held",
    "tripped_at": NOW - 7200,
    "tripped_by": "user.deactivate of bo@example.com (/Users/2)",
    "expires_at": NOW + 252_000,
    "counted": 21,
    "limit": 20,
    "held": 480,
    "approved": 0,
    "denied": 0,
    "done": 0,
    "most_attempts": 6,
    "last_chance": 0,
    "decided_by": None,
    "decided_at": None,
    "reason": None,
    "tasks": [TASK],
}


def page(*holds: dict[str, Any], with_tasks: bool = False) -> str:
    return page_of(holds_of({"holds": list(holds)}), NOW, with_tasks=with_tasks)


def test_a_hold_shows_what_a_decision_needs() -> None:
    text = page(HOLD)

    for piece in (
        "hold-7f3a  tenant jira  HELD",
        f"tripped   {shown(NOW - 7200)} (2 h ago) by user.deactivate of bo@example.com (/Users/2)",
        "21 would have lost access within the window; the limit is 20",
        "480 held, 0 approved, 0 denied, 0 done",
        "attempts  up to 6; Okta gives a task up after 10",
        f"until {shown(NOW + 252_000)} (in 2 d 22 h), then it is denied",
    ):
        assert piece in text
    assert "WARNING" not in text
    assert "decided" not in text
    assert "ada@example.com" not in text


@pytest.mark.parametrize(("count", "words"), [(1, "1 task comes"), (12, "12 tasks come")])
def test_tasks_that_come_for_the_last_time_are_warned_of(count: int, words: str) -> None:
    assert f"WARNING   {words} for the last time soon" in page(HOLD | {"last_chance": count})


def test_a_decision_shows_who_when_and_why_and_waits_for_nothing() -> None:
    decision = {"state": "approved", "decided_by": "eve", "decided_at": NOW - 60, "reason": "reorganisation", "held": 0}
    text = page(HOLD | decision)

    assert "APPROVED" in text
    assert f"decided   by eve, {shown(NOW - 60)} (1 min ago)" in text
    assert "reason    reorganisation" in text
    assert "waits" not in text
    assert "attempts" not in text


def test_tasks_are_shown_in_columns_when_asked_for() -> None:
    long = TASK | {"task": "task-10000", "operation": "group.members.replace", "people": 300}
    lines = page(HOLD | {"tasks": [TASK, long]}, with_tasks=True).splitlines()[-3:]

    assert lines[0].split() == ["TASK", "STATE", "OPERATION", "PEOPLE", "ATTEMPTS", "FIRST", "LAST", "WHOM"]
    assert len({line.index(word) for line, word in zip(lines, ("OPERATION", "user", "group"), strict=True)}) == 1
    assert "ada@example.com" in lines[1]
    assert "300" in lines[2]


def test_no_holds_are_said_to_be_none() -> None:
    assert page().startswith("Nothing is held")


@pytest.mark.parametrize("trick", ["\x1b[2K\rharmless", "two\nlines", "\u202egnp.exe", "\x9b2J", "\x00"])
def test_names_from_a_client_cannot_rewrite_the_screen(trick: str) -> None:
    task = TASK | dict.fromkeys(("summary", "operation", "task", "state"), trick)
    tricky = HOLD | dict.fromkeys(("tenant", "reason", "decided_by"), trick) | {"tasks": [task]}
    plain = HOLD | dict.fromkeys(("tenant", "reason", "decided_by"), "x")
    text = page(tricky, with_tasks=True)

    assert all(character.isprintable() or character == "\n" for character in text)
    assert text.count("\n") == page(plain, with_tasks=True).count("\n")


@pytest.mark.parametrize("answer", [{}, {"holds": None}, {"holds": ["x", 1]}, {"holds": [{}]}])
def test_an_answer_that_says_less_is_shown_as_far_as_it_goes(answer: dict[str, Any]) -> None:
    assert page_of(holds_of(answer), NOW, with_tasks=True)


@pytest.mark.parametrize(("mode", "noted"), [("hold", False), ("observe", True), ("off", True)])
def test_a_hold_that_the_settings_do_not_keep_any_more_says_so(mode: str, noted: bool) -> None:
    assert (f"the guard's mode is {mode} now" in page({"id": "hold-1", "state": "held", "mode": mode})) == noted
