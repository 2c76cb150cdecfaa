"""`scim-gateway audit search` on logs in files: what it finds, what it says, and where its index lies."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.audit import command
from gateway.cli.audit_logs import index_path
from tests.journal import searched

ANNA = {"id": "1", "userName": "anna@example.com", "externalId": "00u1"}


def line(minute: int, event: str = "outcome", **more: Any) -> dict[str, Any]:
    """A user's deactivation, unless `more` says otherwise."""
    plain: dict[str, Any] = {
        "seq": minute,
        "time": f"2026-01-15T09:{minute:02}:00.000000Z",
        "event": event,
        "tenant": "jira",
    }
    plain |= {
        "request": f"req-{minute}",
        "operation": "user.deactivate",
        "resource": "/Users/1",
        "people": [{"id": "1"}],
    }
    if event == "outcome":
        plain |= {"status": 204, "outcome": "executed", "seconds": {"forward": 0.012}}
    return plain | more


def write(directory: Path, *records: dict[str, Any], number: int = 1) -> None:
    directory.mkdir(exist_ok=True)
    lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    (directory / f"audit-{number:06}.jsonl").write_text(lines)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def log(tmp_path: Path, cache: Path) -> Path:
    write(
        tmp_path / "gw-1",
        line(1, operation="user.replace", people=[ANNA], resource_name="anna@example.com"),
        line(2, event="intent"),
        line(2),
        line(3, resource="/Users/2", people=[{"id": "2"}]),
        line(4, status=429, outcome="not-executed", reason="guard-held", guard={"verdict": "hold", "hold": "hold-1"}),
        line(5, event="refusal", operation=None, people=None, resource=None, path="/scim", method="GET", status=401,
             outcome="not-executed", reason="credential-unknown"),
        line(6, event="interrupted", outcome="unknown"),
    )  # fmt: skip
    return tmp_path / "gw-1"


def search(*words: object) -> Result:
    return CliRunner().invoke(command, ["search", *map(str, words)])


def requests(*words: object) -> list[str]:
    """The requests of the lines that are found."""
    ran = search(*words, "--json")
    assert ran.exit_code == 0, ran.output
    return [json.loads(found)["request"] for found in ran.stdout.splitlines()]


@pytest.mark.parametrize("how", [[], ["--no-index"]])
def test_what_was_held_and_who_decided_is_found_by_the_hold(log: Path, how: list[str]) -> None:
    details = {"tenant": "jira", "hold": "hold-1", "ruling": "approve", "by": "olga", "reason": "a team left"}
    write(log, line(7, event="notice", notice="guard-decision", details=details), line(8), number=2)

    assert requests(log, "--hold", "hold-1", *how) == ["req-4", "req-7"]
    assert requests(log, "--notice", "guard-decision", "--notice", "stop", *how) == ["req-7"]
    assert requests(log, "--hold", "hold-2", *how) == []
    assert "by olga; reason a team left" in search(log, "--hold", "hold-1", *how).stdout


@pytest.mark.parametrize("how", [[], ["--no-index"]])
def test_refused_requests_about_somebody_are_found_though_they_bear_a_path_alone(log: Path, how: list[str]) -> None:
    refused = {"operation": None, "people": None, "resource": None, "reason": "operation-not-allowed"}
    refused |= {"method": "DELETE", "path": "/scim/jira/v2/Users/1"}
    other = refused | {"path": "/scim/jira/v2/Users/2"}
    write(log, line(7, event="refusal", **refused), line(8, event="refusal", **other), number=2)

    assert requests(log, "--person", "anna@example.com", "--outcome", "refused", *how) == ["req-7"]
    assert requests(log, "--operation", "user.delete", *how) == ["req-7", "req-8"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--person", "ANNA@example.com"], ["req-1", "req-2", "req-2", "req-4", "req-6"]),
        (["--person", "00U1", "--outcome", "held"], ["req-4"]),
        (["--person", "1", "--outcome", "executed"], ["req-1", "req-2"]),
        (["--person", "anna@example.com", "--exact"], ["req-1"]),
        (["--person", "nobody"], []),
        (["--outcome", "refused"], ["req-5"]),
        (["--outcome", "unknown"], ["req-6"]),
        (["--outcome", "interrupted", "--outcome", "held"], ["req-4", "req-6"]),
        (["--operation", "user.replace"], ["req-1"]),
        (["--operation", "user.*", "--tenant", "wiki"], []),
        (["--request", "req-2"], ["req-2", "req-2"]),
        (["--since", "2026-01-15T09:04Z", "--until", "2026-01-15T09:06Z"], ["req-4", "req-5"]),
        (["--since", "2026-01-15 09:05:00 UTC", "--until", "2999-01-01"], ["req-5", "req-6"]),
        (["--limit", "2"], ["req-5", "req-6"]),
        (["--limit", "0", "--tenant", "jira"], ["req-1", "req-2", "req-2", "req-3", "req-4", "req-5", "req-6"]),
    ],
)
@pytest.mark.parametrize("how", [[], ["--no-index"]])
def test_what_is_found(log: Path, words: list[str], found: list[str], how: list[str]) -> None:
    assert requests(log, *words, *how) == found


def test_json_gives_the_lines_as_they_stand(log: Path) -> None:
    ran = search(log, "--request", "req-3", "--json")

    assert ran.stdout.encode().rstrip(b"\n") in (log / "audit-000001.jsonl").read_bytes().split(b"\n")


def test_the_table_has_a_row_a_request_and_says_who_was_taken_for_one_person(log: Path) -> None:
    ran = search(log, "--person", "anna@example.com")

    assert ran.stdout.splitlines()[0] == (
        "anna@example.com is taken as, in tenant jira: userName anna@example.com; id 1; externalId 00u1"
    )
    assert ran.stdout.count("req-2") == 1
    assert "held 429 guard-held hold-1" in ran.stdout
    assert "executed 204" in ran.stdout
    assert "12 ms" in ran.stdout
    assert "interrupted: nobody knows" in ran.stdout


def test_the_table_tells_names_that_the_log_gives_to_ids(log: Path) -> None:
    write(
        log,
        line(7, operation="group.create", resource="/Groups", resource_id="g", resource_name="crew", people=None),
        line(8, operation="group.members.add", resource="/Groups/g"),
        line(9, operation="user.get", people=None),
        number=2,
    )
    table = search(log, "--since", "2026-01-15T09:06Z").stdout
    _, head, *of_anna = search(log, "--person", "00u1", "--since", "2026-01-15T09:06Z").stdout.splitlines()
    whom = slice(head.index("WHOM"), head.index("REQUEST"))

    assert "crew, 1" in table, "her name is on none of these lines"
    assert [row[whom].strip() for row in of_anna] == [
        "anna@example.com",
        "/Groups/g, anna@example.com",
        "anna@example.com",
    ]


def executed_and_told_late(directory: Path) -> Path:
    """A request whose outcome stands there twice: the disk was slow, and the client was told to come back."""
    late: dict[str, Any] = {"status": 429, "reason": "record-unavailable"}
    write(directory, line(1, "intent"), line(2, request="req-1"), line(7, request="req-1", **late))
    return directory


def test_of_two_outcomes_the_table_shows_the_later_and_does_not_call_it_refused(tmp_path: Path, cache: Path) -> None:
    rows = search(executed_and_told_late(tmp_path / "log"), "--request", "req-1").stdout.splitlines()

    assert len(rows) == 2, rows
    assert "executed 429 record-unavailable" in rows[1]


def test_an_intent_alone_is_shown(log: Path) -> None:
    write(log, line(7, event="intent"), number=2)

    assert "about to leave" in search(log, "--request", "req-7").stdout


def test_a_name_that_two_people_had_is_said(log: Path) -> None:
    write(log, line(8, people=[{"id": "9", "userName": "anna@example.com"}], resource="/Users/9"), number=2)
    ran = search(log, "--person", "anna@example.com")

    assert "id 1, 9" in ran.stdout
    assert "2 ids bore one of these names" in ran.stdout
    assert "req-8" in ran.stdout
    assert "req-4" in ran.stdout


def test_more_than_the_limit_is_said(log: Path) -> None:
    assert "the newest 2; there are older ones" in search(log, "--limit", "2").stderr
    assert "older" not in search(log, "--limit", "6").stderr


def test_nothing_found_exits_0_and_says_so(log: Path) -> None:
    ran = search(log, "--person", "nobody")

    assert (ran.exit_code, ran.stdout) == (0, "Nothing in the log answers to that.\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--operation", "user.remove"], "there are bulk, discovery.get"),
        (["--outcome", "done"], "'executed', 'not-executed', 'unknown', 'refused', 'held', 'interrupted'"),
        (["--since", "last week"], "must be a time such as"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "--until must come after --since"),
        (["--since", "2999-01-01"], "is to come"),
        (["--person", " "], "give a name or an id"),
        (["--exact"], "--exact needs --person"),
        (["--index", "x", "--no-index"], "without --no-index"),
    ],
)
def test_a_slip_is_a_usage_error_that_says_what_there_is(log: Path, words: list[str], says: str) -> None:
    ran = search(log, *words)

    assert ran.exit_code == 2
    assert says in ran.stderr


def test_a_file_is_no_log(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    assert (search(file).exit_code, search(file, "--no-index").exit_code) == (1, 1)


def test_no_log_exits_1_and_leaves_no_index(tmp_path: Path, cache: Path) -> None:
    ran = search(tmp_path)

    assert (ran.exit_code, "there is no audit log" in ran.stderr) == (1, True)
    assert not cache.exists()


def test_a_log_without_its_beginning_says_so(log: Path) -> None:
    write(log, line(7), line(8))

    assert f"{log} begins with line 7" in search(log).stderr
    assert "begins with" not in search(log, "--since", "2026-01-15T09:08Z").stderr


def test_a_tenant_whom_no_line_names_is_said(log: Path) -> None:
    assert "No line names the tenant nope; the newest lines name jira." in search(log, "--tenant", "nope").stderr
    assert "No line names" not in search(log, "--tenant", "jira", "--person", "nobody").stderr


def test_who_gives_a_part_of_a_name_is_told_that_names_are_whole(log: Path) -> None:
    assert "No line bears the name anna: --person takes whole names" in search(log, "--person", "anna").stderr
    assert "No line bears" not in search(log, "--person", "00u1", "--outcome", "unknown", "--tenant", "x").stderr


def test_two_logs_are_merged_and_named(log: Path, tmp_path: Path) -> None:
    write(tmp_path / "gw-2", line(3, request="other"))
    ran = search(log, tmp_path / "gw-2", log)

    assert [row.split()[-1] for row in ran.stdout.splitlines()[1:]] == [
        "req-1", "req-2", "req-3", "other", "req-4", "req-5", "req-6",
    ]  # fmt: skip
    assert f"{tmp_path / 'gw-2'}" in ran.stdout


def test_lines_of_a_copy_are_shown_once_and_that_is_said(log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "audit-000001.jsonl").write_bytes((log / "audit-000001.jsonl").read_bytes())

    assert requests(log, copy) == requests(log)
    assert f"lines of {copy} stand in another of these logs too" in search(log, copy).stderr


def test_what_a_terminal_would_obey_is_made_harmless(log: Path) -> None:
    evil = "\x1b[2J\u202e\x9b\nanna"
    write(log, line(9, people=[{"id": "1", "userName": evil}], note=evil), number=2)
    raw = json.dumps(line(10, note="\u202e\x9b\x7f"), ensure_ascii=False)
    with (log / "audit-000002.jsonl").open("a") as file:
        file.write(raw + "\n")

    for ran in (search(log, "--person", "1"), search(log, "--person", "1", "--json")):
        assert not set(ran.output) & set("\x1b\u202e\x9b\x7f")
        assert "req-9" in ran.output
        assert "req-10" in ran.output


def test_lines_that_cannot_be_read_are_said(log: Path) -> None:
    with (log / "audit-000001.jsonl").open("a") as file:
        file.write('{"seq":\n')

    assert "1 line holds no record" in search(log).stderr
    assert "1 line holds no record" in search(log, "--no-index").stderr


def test_the_index_lies_in_the_users_cache_for_nobody_else(log: Path, cache: Path) -> None:
    search(log)
    [file] = (cache / "scim-gateway" / "audit-index").iterdir()

    assert file == index_path(log, {"XDG_CACHE_HOME": str(cache)})
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


def test_no_index_leaves_none(log: Path, cache: Path) -> None:
    search(log, "--no-index")

    assert not cache.exists()


def test_a_cache_that_is_no_absolute_path_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert index_path(tmp_path, {"XDG_CACHE_HOME": "here"}).is_relative_to(tmp_path / ".cache")


@pytest.mark.parametrize("content", [b"somebody's notes", b""])
def test_an_index_that_cannot_be_used_is_said_and_the_log_is_read(log: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes"
    file.write_bytes(content)
    ran = search(log, "--index", file, "--request", "req-3")

    assert "req-3" in ran.stdout
    assert ("the log itself is read" in ran.stderr) is bool(content)
    assert content == b"" or file.read_bytes() == content


def test_a_damaged_index_is_no_hindrance(log: Path, cache: Path) -> None:
    expected = search(log, "--person", "1", "--json").stdout
    file = index_path(log, {"XDG_CACHE_HOME": str(cache)})
    file.write_bytes(file.read_bytes()[:5000] + b"x" * 3000)

    assert search(log, "--person", "1", "--json").stdout == expected
    ran = search(log, "--person", "1", "--json")
    assert (ran.stdout, "the log itself" in ran.stderr) == (expected, False)


def test_a_cache_that_cannot_be_written_is_no_hindrance(log: Path, cache: Path) -> None:
    cache.write_text("no directory")
    ran = search(log, "--request", "req-3")

    assert (ran.exit_code, "req-3" in ran.stdout, "the log itself is read" in ran.stderr) == (0, True, True)


def test_an_index_of_another_version_is_made_anew(log: Path, cache: Path) -> None:
    search(log)
    file = index_path(log, {"XDG_CACHE_HOME": str(cache)})
    content = file.read_bytes()
    file.write_bytes(content[:71] + b"\x01" + content[72:])

    assert requests(log, "--request", "req-3") == ["req-3"]
    assert file.read_bytes()[68:72] == content[68:72]


def test_deleted_files_are_found_no_more(log: Path) -> None:
    write(log, line(20, people=[ANNA]), number=2)
    assert "req-20" in requests(log, "--person", "00u1")
    (log / "audit-000001.jsonl").unlink()

    assert requests(log, "--person", "00u1") == ["req-20"]
    assert searched.segments(log) == [log / "audit-000002.jsonl"]
