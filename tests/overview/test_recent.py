"""The requests of the last minutes, as the difference of counters."""

from __future__ import annotations

import pytest

from gateway.overview.recent import SPAN_SECONDS, Recent, counts_of, kind_of


@pytest.mark.parametrize(
    ("code", "kind"),
    [("200", "ok"), ("304", "ok"), ("429", "later"), ("404", "refused"), ("503", "failed"), ("none", "refused")],
)
def test_a_status_is_of_a_kind(code: str, kind: str) -> None:
    assert kind_of(code) == kind


def test_counters_are_summed_by_tenant_and_kind() -> None:
    requests: dict[tuple[str, ...], int] = {
        ("jira", "Users", "user.get", "200"): 3,
        ("jira", "Groups", "group.get", "201"): 4,
        ("jira", "Users", "user.get", "503"): 1,
        ("wiki", "Users", "user.get", "200"): 9,
    }

    assert counts_of(requests) == {"jira": {"ok": 7, "failed": 1}, "wiki": {"ok": 9}}


def test_what_came_before_the_last_minutes_is_not_counted() -> None:
    recent = Recent(0.0)
    for step in range(1, 101):
        recent.note(step * 10.0, {"jira": {"ok": step}})
    seconds, answers = recent.since(1000.0, {"jira": {"ok": 105, "failed": 2}})

    assert seconds == SPAN_SECONDS
    assert answers == {"jira": {"ok": 35, "failed": 2}}


def test_soon_after_the_start_everything_is_recent() -> None:
    assert Recent(5.0).since(7.0, {"jira": {"ok": 4}}) == (2.0, {"jira": {"ok": 4}})
