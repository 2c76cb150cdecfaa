"""What the record tells of the guard: every task once, nobody twice, and nothing lost to torn lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.guard_report import (
    Reduction,
    TenantReport,
    as_json_object,
    busiest_window,
    page_of_report,
    read_reductions,
    reckon,
)
from tests.worlds import NOW

HOUR = 3600.0


def line(at: float, verdict: str, lost: Iterable[str], **changes: Any) -> str:
    """One line of the audit log, of a user's deactivation unless `changes` say otherwise."""
    people = list(lost)
    record = {
        "seq": 1,
        "v": 1,
        "time": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
        "event": "outcome",
        "request": f"r-{at}-{'-'.join(people)}",
        "tenant": "jira",
        "operation": "user.deactivate",
        "resource": f"/Users/{people[0]}" if people else "/Users/x",
        "outcome": "not-executed" if verdict in ("hold", "deny") else "executed",
        "guard": {"verdict": verdict, "loss": "deactivated", "people": len(people), "counted": 1, "limit": 20},
        "lost": people,
    }
    return json.dumps(record | changes, separators=(",", ":"))


def write(directory: Path, *lines: str, number: int = 1, end: str = "\n") -> None:
    (directory / f"audit-{number:06}.jsonl").write_text("\n".join(lines) + end)


def told(directory: Path, window_seconds: float = HOUR, tenant: str = "jira") -> TenantReport:
    return reckon(read_reductions(directory, 0.0).reductions, lambda _tenant: window_seconds)[tenant]


def reduction(at: float, *people: str) -> Reduction:
    return Reduction(at, f"r{at}", "jira", "pass", ("user.delete", f"/Users/{people}"), frozenset(people), 20, "")


def test_each_verdict_is_counted(tmp_path: Path) -> None:
    verdicts = ["pass", "pass", "would-hold", "exempt", "hold", "deny"]
    write(tmp_path, *(line(NOW + place, verdict, [f"u{place}"]) for place, verdict in enumerate(verdicts)))
    report = told(tmp_path)

    assert report.tasks == {"pass": 2, "hold": 1, "deny": 1, "would-hold": 1, "exempt": 1}
    assert report.attempts == 1  # what was denied is over
    assert report.busiest_people == 5  # an exempt group is no part of a wave
    assert report.people == 3  # who was held or denied lost nothing, who was exempt does not count


def test_a_write_is_one_reduction_although_it_has_an_intent_and_an_outcome(tmp_path: Path) -> None:
    write(
        tmp_path,
        line(NOW, "pass", ["u1", "u2"], event="intent", request="r1", outcome=None),
        line(NOW + 1, "pass", [], event="outcome", request="r1"),
    )
    report = told(tmp_path)

    assert report.tasks["pass"] == 1
    assert (report.people, report.busiest_at) == (2, NOW)  # as the intent has it, when it left


def test_a_write_that_takes_nothing_from_anybody_is_no_reduction_whatever_the_guard_said(tmp_path: Path) -> None:
    nothing = [
        line(NOW + place, verdict, [], guard={"verdict": verdict}) for place, verdict in enumerate(["pass", "hold"])
    ]
    write(tmp_path, line(NOW, "pass", ["u1"]), *nothing)
    report = told(tmp_path)

    assert (report.tasks["pass"], report.tasks["hold"], report.attempts) == (1, 0, 0)


def test_who_was_held_lost_nothing_whatever_else_the_line_says(tmp_path: Path) -> None:
    write(tmp_path, line(NOW, "hold", ["u1"], outcome=""))

    assert told(tmp_path).people == 0


@pytest.mark.parametrize(("outcome", "people"), [("executed", 1), ("unknown", 1), ("not-executed", 0), (None, 1)])
def test_who_may_have_lost_access_is_counted_as_having_lost_it(
    tmp_path: Path, outcome: str | None, people: int
) -> None:
    changes = {} if outcome is None else {"outcome": outcome}
    write(tmp_path, line(NOW, "pass", ["u1"], event="intent", request="r1", outcome=""))
    if changes:
        write(tmp_path, line(NOW + 1, "pass", ["u1"], request="r1", **changes), number=2)

    assert told(tmp_path).people == people


def test_a_held_task_that_is_tried_again_counts_once_at_its_first_attempt(tmp_path: Path) -> None:
    attempts = [line(NOW + n * HOUR * 2, "hold", [f"u{u}"]) for n in range(4) for u in range(30)]
    write(tmp_path, *attempts, line(NOW + 6 * HOUR, "pass", ["late"]))
    report = told(tmp_path)

    assert (report.tasks["hold"], report.attempts) == (30, 120)
    assert (report.busiest_people, report.busiest_at) == (30, NOW)


def test_what_passes_after_it_was_held_is_no_second_wave(tmp_path: Path) -> None:
    held = [line(NOW, "hold", [f"u{u}"]) for u in range(30)]
    passed = [line(NOW + 2 * HOUR, "pass", [f"u{u}"]) for u in range(30)]
    single = line(NOW + 2 * HOUR, "pass", ["single"])
    write(tmp_path, *held, *passed, single)
    report = told(tmp_path)

    assert (report.tasks["hold"], report.tasks["pass"], report.people) == (30, 31, 31)
    assert report.busiest_people == 30


def test_the_same_person_again_after_that_is_news(tmp_path: Path) -> None:
    again = line(NOW + 9000, "pass", ["u1"]), line(NOW + 9000, "pass", ["u2"])
    write(tmp_path, line(NOW, "hold", ["u1"]), line(NOW + 1, "pass", ["u1"]), *again)

    assert told(tmp_path).busiest_people == 2


def test_people_whom_a_line_counts_without_naming_them_are_counted_and_owned_up_to(tmp_path: Path) -> None:
    lost = [f"u{u}" for u in range(64)]
    group = {"operation": "group.members.replace", "resource": "/Groups/g1", "lost_total": 300}
    write(tmp_path, line(NOW, "pass", lost, **group), line(NOW + 1, "pass", lost, **group))
    report = told(tmp_path)

    assert (report.people, report.busiest_people, report.unnamed) == (300, 300, True)
    assert "people may be fewer" in page_of_report({"jira": report}, NOW, 0)


@pytest.mark.parametrize("torn", ['{"seq":9,"guard":{"verd', '{"guard":{}}', '["guard":{}]', '\x00\x00"guard":{'])
def test_lines_that_cannot_be_read_are_counted_and_the_others_read(tmp_path: Path, torn: str) -> None:
    write(tmp_path, line(NOW, "pass", ["u1"]), torn, line(NOW + 1, "pass", ["u2"]), torn, end="")
    found = read_reductions(tmp_path, 0.0)

    assert (len(found.reductions), found.unreadable) == (2, 2)
    assert "2 lines cannot be read" in page_of_report({}, NOW, found.unreadable)


def test_lines_that_tell_of_no_reduction_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, '{"seq":1,"event":"notice"}', "half a li", line(NOW, "pass", ["u1"]))

    assert read_reductions(tmp_path, 0.0).unreadable == 0


def test_only_what_came_since_then_is_told_and_files_from_before_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path, '"guard":{ half a line of long ago', number=1)
    write(tmp_path, line(NOW - 1, "pass", ["before"]), line(NOW, "pass", ["since"]), number=2)
    os.utime(tmp_path / "audit-000001.jsonl", (NOW - 10, NOW - 10))
    os.utime(tmp_path / "audit-000002.jsonl", (NOW, NOW))
    found = read_reductions(tmp_path, NOW)

    assert [sorted(r.people) for r in found.reductions] == [["since"]]
    assert found.unreadable == 0


def test_a_directory_without_a_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="there is no audit log"):
        read_reductions(tmp_path, 0.0)


def test_each_tenant_is_reckoned_with_its_own_window(tmp_path: Path) -> None:
    two = [line(NOW + at, "pass", [f"u{at}"], tenant=name) for name in ("jira", "wiki") for at in (0, 60)]
    write(tmp_path, *(entry.replace('"r-', f'"{place}-') for place, entry in enumerate(two)))
    windows = {"jira": 30.0, "wiki": 90.0}
    tenants = reckon(read_reductions(tmp_path, 0.0).reductions, windows.__getitem__)

    assert [report.busiest_people for report in tenants.values()] == [1, 2]


def test_tenants_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path, line(NOW, "pass", ["u1"]), line(NOW + 1, "hold", ["u2"], tenant="confluence"))

    assert told(tmp_path, tenant="jira").people == 1
    assert told(tmp_path, tenant="confluence").people == 0


def test_a_window_holds_its_end_and_not_its_beginning() -> None:
    assert busiest_window([reduction(0, "a"), reduction(HOUR, "b")], HOUR) == (1, 0)
    assert busiest_window([reduction(0, "a"), reduction(HOUR - 1, "b")], HOUR) == (2, HOUR - 1)
    assert busiest_window([], HOUR) == (0, None)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.frozensets(st.sampled_from("abcdefgh"), max_size=4))),
    st.integers(1, 30),
)
def test_the_busiest_window_is_the_one_that_looking_at_each_finds(
    drawn: list[tuple[int, frozenset[str]]], window: int
) -> None:
    told = [reduction(at, *people) for at, people in sorted(drawn, key=lambda pair: pair[0])]
    each = [
        frozenset().union(*(other.people for other in told if last.at - window < other.at <= last.at)) for last in told
    ]

    assert busiest_window(told, window)[0] == max(map(len, each), default=0)


def test_the_page_and_the_object_tell_the_same(tmp_path: Path) -> None:
    write(tmp_path, *(line(NOW, "would-hold", [f"u{u}"]) for u in range(33)))
    tenants = {"jira": told(tmp_path)}
    page = page_of_report(tenants, NOW - HOUR, 0)
    plain = json.loads(json.dumps(as_json_object(tenants, NOW - HOUR, 0)))

    assert "would have held  33 reductions" in page
    assert "33 people within 1 h, up to" in page
    assert "33 would have held nothing; the lowest limit in force was 20" in page
    assert plain["tenants"]["jira"]["reductions"]["would-hold"] == 33
    assert plain["tenants"]["jira"]["fitting_limit"] == 33
    assert plain["tenants"]["jira"]["limit"] == 20


def test_nothing_on_record_is_said_to_be_nothing() -> None:
    assert "no write that takes access" in page_of_report({}, NOW, 0)
