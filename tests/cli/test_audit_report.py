"""`scim-gateway audit report`: the same for people, for a spreadsheet and for machines."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.audit import command
from gateway.cli.audit_report_rows import COLUMNS, MOST_ROWS, safe_cell
from gateway.cli.audit_rows import local
from tests.cli.test_audit_search import ANNA, executed_and_told_late, line, write

HELD: dict[str, Any] = {
    "status": 429,
    "outcome": "not-executed",
    "reason": "guard-held",
    "guard": {"verdict": "hold", "hold": "hold-1"},
}
DECISION = {"tenant": "jira", "hold": "hold-1", "ruling": "approve", "by": "olga", "reason": "a team left"}


def report(*words: object) -> Result:
    ran = CliRunner().invoke(command, ["report", *map(str, words)])
    assert ran.exit_code == 0, ran.output
    return ran


def rows(*words: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report(*words, "--csv").stdout, newline="")))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write(
        tmp_path / "gw-1",
        line(1, **HELD),
        line(2, event="notice", notice="guard-decision", details=DECISION),
        line(21),
        line(30, operation="group.members.add", resource="/Groups/g"),
        line(31, operation="user.deactivate", resource="/Users/2", people=[{"id": "2"}], status=503, outcome="unknown"),
        line(40, operation="user.replace", people=[ANNA], resource_name="anna@example.com", attributes=["active"]),
        line(50, operation="group.rename", resource="/Groups/g", people=None, resource_name="crew"),
    )  # fmt: skip
    return tmp_path / "gw-1"


def test_the_page_says_totals_first_and_who_left_when(log: Path) -> None:
    page = report(log).stdout
    totals, *tables = page.split("\n\n")[1:]

    assert "given      1 given or kept, 1 added to group" in totals
    assert "taken      1 deactivated" in totals
    assert "leavers    1 done, 1 unknown" in totals
    assert "20 min (median), 20 min at most" in totals
    assert "held       1 requests" in totals
    assert "unsettled  1 writes: somebody should look" in totals
    assert [table.splitlines()[0] for table in tables] == [
        "ASKED FOR AND NOT DONE", "LEAVERS", "ACCESS GIVEN AND TAKEN", "REFUSED AND HELD", "SOMEBODY SHOULD LOOK",
    ]  # fmt: skip
    leaver = tables[1].splitlines()[2]
    assert "anna@example.com" in leaver, "the name is learnt from a later line"
    assert f"hold-1  approve by olga at {local('2026-01-15T09:02:00.000000Z')}: a team left" in leaver
    assert "20 min" in leaver
    assert "held" not in tables[2], "what did not happen is no access given or taken"


def test_the_last_decision_is_shown_whole_and_the_spreadsheet_has_all(log: Path) -> None:
    deny = DECISION | {"ruling": "deny", "reason": "x" * 90 + " the end"}
    write(
        log,
        line(1, **HELD),
        line(2, event="notice", notice="guard-decision", details=DECISION),
        line(3, event="notice", notice="guard-decision", details=deny),
    )
    [leaver] = [row for row in rows(log) if row["section"] == "leavers"]
    page = report(log).stdout

    assert f"deny by olga at {local('2026-01-15T09:03:00.000000Z')}: {'x' * 90} the end (and 1 before it)" in page
    assert "T09:0" not in page, "a page has one zone"
    assert leaver["decision"].startswith("approve by olga at 2026-01-15T09:02:00.000000Z: a team left; deny by olga")
    assert leaver["result"] == "denied"


def test_the_spreadsheet_has_a_row_for_everything(log: Path) -> None:
    found = rows(log)
    [leaver] = [row for row in found if row["section"] == "leavers" and row["result"] == "done"]

    assert tuple(found[0]) == COLUMNS
    assert [row["section"] for row in found].count("access") == 5
    assert (leaver["person"], leaver["id"], leaver["external_id"]) == ("anna@example.com", "1", "00u1")
    assert (leaver["received"], leaver["done"]) == ("2026-01-15T09:01:00.000000Z", "2026-01-15T09:21:00.000000Z")
    assert (leaver["seconds"], leaver["attempts"], leaver["hold"]) == ("1200.0", "2", "hold-1")
    [member] = [row for row in found if row["what"] == "added to group"]
    assert (member["group"], member["person"], member["credential"]) == ("crew", "anna@example.com", "")


def test_json_tells_the_same_and_ends_with_totals(log: Path) -> None:
    *told, totals = map(json.loads, report(log, "--json", "--tenant", "jira").stdout.splitlines())

    assert len(told) == len(rows(log))
    assert totals["section"] == "totals"
    assert totals["executed"] == {"added to group": 1, "deactivated": 1, "given or kept": 1}


def test_a_request_whose_outcome_was_told_late_counts_once(tmp_path: Path) -> None:
    page = report(executed_and_told_late(tmp_path / "log")).stdout

    assert "taken      1 deactivated" in page
    assert "refused    0 requests" in page


def test_a_long_table_shows_its_end_and_says_so(tmp_path: Path) -> None:
    count = 3 * MOST_ROWS
    records = [
        line(number % 60, request=f"req-{number:03}", resource=f"/Users/u{number:03}", people=[{"id": f"u{number:03}"}])
        for number in range(count)
    ]
    write(tmp_path / "log", *records)
    page = report(tmp_path / "log").stdout

    assert f"taken      {count} deactivated" in page
    assert f"LEAVERS (the last {MOST_ROWS} of {count}; --csv has all)" in page
    for number in range(count):
        assert (f"u{number:03}" in page) is (number >= count - MOST_ROWS)


def test_who_was_given_access_back_is_no_open_leaver(tmp_path: Path) -> None:
    write(tmp_path / "log", line(1, **HELD), line(2, operation="user.activate"))
    page = report(tmp_path / "log").stdout

    assert "leavers    1 given back meanwhile" in page
    assert "ASKED FOR AND NOT DONE" not in page


def test_only_what_lies_in_the_period_is_told(log: Path) -> None:
    found = rows(log, "--since", "2026-01-15T09:25Z", "--until", "2026-01-15T09:35Z")

    assert [(row["section"], row["request"]) for row in found] == [
        ("access", "req-30"),
        ("access", "req-31"),
        ("unsettled", "req-31"),
        ("leavers", "req-31"),
    ]


def test_another_tenants_lines_are_not_told(log: Path) -> None:
    assert rows(log, "--tenant", "wiki") == []
    assert "leavers    nobody" in report(log, "--tenant", "wiki").stdout


def test_several_instances_make_one_report(log: Path, tmp_path: Path) -> None:
    write(tmp_path / "gw-2", line(35, resource="/Users/2", people=[{"id": "2"}]))
    found = rows(log, tmp_path / "gw-2")
    [leaver] = [row for row in found if row["section"] == "leavers" and row["id"] == "2"]

    assert (leaver["result"], leaver["attempts"]) == ("done", "2"), "what one began the other did"


def test_a_copy_of_a_log_counts_once_and_is_said(log: Path, tmp_path: Path) -> None:
    lines = (log / "audit-000001.jsonl").read_bytes().splitlines(keepends=True)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "audit-000001.jsonl").write_bytes(b"".join(lines[1:]))

    assert rows(log, copy) == rows(copy, log) == rows(log)
    assert f"{len(lines) - 1} lines of {copy} stand in another of these logs too" in report(log, copy).stderr
    assert "stand in another" not in report(log).stderr


def test_of_whom_somebody_should_look_after_the_names_are_told(tmp_path: Path) -> None:
    crew = line(
        3, operation="group.patch", resource="/Groups/g", resource_name="crew", people=[{"id": "1"}, {"id": "2"}]
    )
    write(
        tmp_path / "log",
        line(1, operation="user.replace", people=[ANNA], resource_name="anna@example.com"),
        line(2, operation="user.patch", outcome="unknown"),
        crew | {"outcome": "unknown"},
    )
    user, group = (row for row in rows(tmp_path / "log") if row["section"] == "unsettled")
    page = report(tmp_path / "log").stdout.partition("SOMEBODY SHOULD LOOK")[2]

    assert (user["person"], user["id"], user["what"]) == (
        "anna@example.com",
        "1",
        "the application may have done it or not",
    )
    assert (group["group"], group["person"]) == ("crew", "anna@example.com, 2")
    assert "anna@example.com" in page


def test_what_was_learnt_after_the_period_does_not_change_what_is_told_of_it(log: Path) -> None:
    before = rows(log, "--until", "2026-01-15T09:35Z")
    assert {row["person"] for row in before if row["section"] == "leavers"} == {"1", "2"}
    with (log / "audit-000001.jsonl").open("a") as file:
        file.write(json.dumps(line(55, people=[{"id": "2", "userName": "bo"}], resource="/Users/2")) + "\n")

    assert rows(log, "--until", "2026-01-15T09:35Z") == before


def test_what_the_application_refused_is_shown(tmp_path: Path) -> None:
    created: dict[str, Any] = {"operation": "user.create", "resource": "/Users", "people": [{"userName": "anna"}]}
    refused: dict[str, Any] = {"status": 409, "outcome": "not-executed"}
    write(
        tmp_path / "log",
        line(1, **created, **refused),
        line(2, **refused),  # a deactivation: a leaver that is not done
        line(3, **created, status=503, outcome="not-executed", reason="upstream-unreachable"),
    )
    *_, table = report(tmp_path / "log").stdout.partition("REFUSED BY THE APPLICATION\n")
    _, row, end = table.split("\n")[:3]

    assert row.split()[3:] == ["jira", "created", "anna", "409", "req-1"]
    assert end == ""


def test_a_log_without_its_beginning_says_so(log: Path) -> None:
    write(log, line(7), line(8))
    begins = f"{log} begins with line 7, {local('2026-01-15T09:07:00.000000Z')}: what was before is not in it."

    assert begins in report(log).stdout
    assert begins in report(log, "--csv").stderr
    assert begins in report(log, "--json", "--since", "2026-01-15T09:06Z").stderr
    assert begins not in report(log, "--since", "2026-01-15T09:08Z").output


def test_a_tenant_whom_no_line_names_is_said(log: Path) -> None:
    assert "No line names the tenant nope; there are jira." in report(log, "--tenant", "nope").stdout
    assert "No line names" in report(log, "--tenant", "nope", "--csv").stderr
    assert "No line names" not in report(log, "--tenant", "jira").output


@pytest.mark.parametrize("how", [[], ["--csv"], ["--json"]])
def test_what_the_locale_has_no_sign_for_stops_nothing(tmp_path: Path, how: list[str]) -> None:
    write(tmp_path / "log", line(1, people=[{"id": "1", "userName": "\u0141ukasz"}]), line(2))
    ran = run_report(tmp_path / "log", *how, PYTHONIOENCODING="latin-1")

    assert ran.returncode == 0, ran.stderr
    told = ran.stdout.decode("latin-1" if how == [] else "utf-8")
    assert {"": "?ukasz", "--csv": "\u0141ukasz", "--json": "\\u0141ukasz"}["".join(how)] in told


@pytest.mark.parametrize("how", [[], ["--csv"], ["--json"]])
def test_a_bar_shares_no_line_with_what_is_told(log: Path, how: list[str]) -> None:
    ours, theirs = pty.openpty()
    try:
        run_report(log, *how, stdout=theirs, stderr=theirs)
        os.set_blocking(ours, False)
        shown = b"".join(iter(partial(_read, ours), b"")).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    bar, rows_of_it = shown.split("100%")[-2:]

    assert "reading" in bar
    assert not set(rows_of_it.splitlines()[0]) - set(" \x1b[?25h")
    assert ("Access given", "section,time", '{"section"')[["", "--csv", "--json"].index("".join(how))] in rows_of_it
    assert "section" not in bar


def _read(terminal: int) -> bytes:
    with suppress(BlockingIOError):
        return os.read(terminal, 1 << 16)
    return b""


def run_report(
    directory: Path, *words: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """In a process of its own, for its streams are not click's."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", "audit", "report", str(directory), *words],
        stdout=stdout,
        stderr=stderr,
        env=os.environ | environ,
        check=False,
        timeout=20,
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("anna", "anna"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("  =1", "'  =1"),
        ("\t=1", "'\N{REPLACEMENT CHARACTER}=1"),
        ("\r=1", "'\N{REPLACEMENT CHARACTER}=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a=1", "a=1"),
        ('x;=HYPERLINK("http://a")', 'x;\'=HYPERLINK("http://a")'),
        ("x; +1;-1;a", "x;' +1;'-1;a"),
        ('x;"@SUM(1)', "x;'\"@SUM(1)"),
        ("x;\t=1", "x;'\N{REPLACEMENT CHARACTER}=1"),
        ("x\t=1", "x\N{REPLACEMENT CHARACTER}=1"),
        ("x;\uff1d1", "x;'\uff1d1"),
        ("=1;=1", "'=1;'=1"),
        ("a;b", "a;b"),
        ("\x1b[2J", "\N{REPLACEMENT CHARACTER}[2J"),
        (-1.5, -1.5),
    ],
)
def test_no_cell_is_a_formula(text: str | float, cell: str | float) -> None:
    assert safe_cell(text) == cell


@pytest.mark.parametrize("how", [[], ["--csv"], ["--json"]])
def test_what_a_terminal_or_a_spreadsheet_would_obey_is_made_harmless(tmp_path: Path, how: list[str]) -> None:
    evil = {"id": "1", "userName": "=cmd|' /C calc'!A0\x1b[2J\u202e", "externalId": "00u1"}
    write(tmp_path / "log", line(1, people=[evil]), line(2, outcome="unknown", people=[evil]))
    said = report(tmp_path / "log", *how).stdout

    assert not set(said) & set("\x1b\u202e")
    assert how != ["--csv"] or ",=cmd" not in said
    assert "cmd" in said


def test_no_log_exits_1(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for directory, why in ((tmp_path, "there is no audit log"), (file, "Not a directory"), (tmp_path / "x", "No such")):
        ran = CliRunner().invoke(command, ["report", str(directory)])

        assert (ran.exit_code, why in ran.stderr) == (1, True), ran.stderr


def test_lines_that_cannot_be_read_are_said(log: Path) -> None:
    with (log / "audit-000001.jsonl").open("a") as file:
        file.write("{\n")

    assert "1 lines hold no record" in report(log).stderr
