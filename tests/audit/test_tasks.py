"""A held task is found again on the lines of the audit log under the name that the guard gave it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.audit.tasks import tasks_of

LINE: dict[str, Any] = {
    "tenant": "jira",
    "method": "PATCH",
    "operation": "group.members.remove",
    "resource": "/Groups/g",
    "attributes": ["members"],
    "people": [{"id": "1"}, {"id": "2"}],
    "guard": {"verdict": "hold", "loss": "removed", "hold": "hold-1"},
    "lost": ["1", "2"],
}


def test_the_name_is_the_one_that_a_log_has() -> None:
    """From a gateway's log: `guard list --tasks` said so of this write."""
    resource = "/Users/1503a30fc6b64b04b9e4fa7176d14b66"
    line: dict[str, Any] = {"tenant": "demo", "method": "PATCH", "operation": "user.deactivate", "resource": resource}
    line |= {"attributes": ["active"], "guard": {"verdict": "hold", "loss": "deactivated"}}

    assert tasks_of(line) == ("7228adfdd7463a1c",)


@pytest.mark.parametrize(
    ("changed", "is_the_same"),
    [
        ({"people": [{"id": "2"}, {"id": "1"}], "lost": ["2", "1"]}, True),
        ({"status": 429}, True),
        ({"people": [{"id": "1"}], "lost": ["1"]}, False),
        ({"tenant": "wiki"}, False),
        ({"guard": {"loss": ""}}, False),
        ({"attributes": ["members", "displayName"]}, False),
    ],
)
def test_repeats_share_it_and_others_do_not(changed: dict[str, Any], is_the_same: bool) -> None:
    assert (tasks_of(LINE | changed)[0] == tasks_of(LINE)[0]) is is_the_same


@pytest.mark.parametrize("changed", [{"people_total": 300}, {"lost_total": 300}, {"guard": None}])
def test_it_is_not_guessed_where_the_line_does_not_tell(changed: dict[str, Any]) -> None:
    assert tasks_of(LINE | changed) == ()


def test_a_whole_list_is_one_task_whoever_stands_in_it() -> None:
    put = LINE | {"method": "PUT", "operation": "group.replace", "people_total": 300}

    assert set(tasks_of(put)) == set(tasks_of(put | {"people": [], "lost": ["3"]}))
