"""A search finds what anybody would find by reading the whole log, whatever happened to log and index before."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.people import ID
from gateway.audit.queries import BEGINNING, END, Query
from gateway.journal.index import Index
from gateway.journal.search import Log, find_person, search
from tests.journal import searched

WORDS = st.fixed_dictionaries(
    {},
    optional={
        "person": st.sampled_from(searched.NAMES),
        "tenant": st.sampled_from(["jira", "wiki"]),
        "operation": st.sampled_from(["user.", "user.create", "group.members.", "bulk"]),
        "result": st.sampled_from([*searched.RESULTS, "held", "refused", "interrupted"]),
        "request": st.sampled_from(["r1", "r2", "r100"]),
        "since": st.sampled_from(["2027-01-15T09:00:20.000000Z", "2027-01-15T09:01:00.000000Z"]),
        "until": st.sampled_from(["2027-01-15T09:00:40.000000Z", "2027-01-15T09:00:00.000000Z"]),
    },
)


def query_of(logs: list[Log], words: dict[str, str]) -> Query:
    operation = words.get("operation")
    return Query(
        person=find_person(logs, words["person"], words.get("tenant")) if "person" in words else None,
        tenant=words.get("tenant"),
        operations=((operation + "*" if operation.endswith(".") else operation),) if operation else (),
        results=frozenset({words["result"]}) if "result" in words else frozenset(),
        request=words.get("request"),
        since=words.get("since", BEGINNING),
        until=words.get("until", END),
    )


def found_by(log: Log, words: dict[str, str]) -> list[bytes]:
    """The same in both directions."""
    query = query_of([log], words)
    forwards = [found.line for found in search([log], query)]
    backwards = [found.line for found in search([log], query, backwards=True)]
    assert forwards == backwards[::-1]
    return forwards


def with_index(directory: Path, words: dict[str, str]) -> list[bytes]:
    complaints: list[str] = []
    with Index(directory, directory / "index.sqlite", is_ours=True) as index:
        index.refresh()
        found = found_by(Log(directory, index, complaints.append), words)
    assert complaints == []
    return found


def check(seed: int, happenings: list[searched.Happening], words: list[dict[str, str]]) -> None:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        searched.append(directory, dice)
        for happening in happenings:
            happening(directory, dice)
            for asked in words:
                expected = searched.naive_search(directory, **asked)
                assert with_index(directory, asked) == expected
                assert found_by(Log(directory), asked) == expected


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(searched.HAPPENINGS), max_size=6), st.lists(WORDS, max_size=4))
def test_with_an_index_or_without_the_same_is_found_as_by_reading_everything(
    seed: int, happenings: list[searched.Happening], words: list[dict[str, str]]
) -> None:
    check(seed, [searched.append, *happenings], words)


@pytest.mark.soak
@pytest.mark.timeout(900)
@settings(max_examples=1000)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(searched.HAPPENINGS), max_size=12), st.lists(WORDS, max_size=6))
def test_so_it_is_after_long_lives(
    seed: int, happenings: list[searched.Happening], words: list[dict[str, str]]
) -> None:
    check(seed, happenings, words)


def log_of(directory: Path, *records: str) -> Log:
    directory.mkdir()
    lines = "".join(
        f'{{"time":"2027-01-15T09:00:0{second}.000000Z",{record}}}\n' for second, record in enumerate(records)
    )
    (directory / "audit-000001.jsonl").write_text(lines)
    return Log(directory)


def test_logs_of_several_instances_are_merged_by_time(tmp_path: Path) -> None:
    one = log_of(tmp_path / "1", '"n":1', '"n":3', '"n":5')
    two = log_of(tmp_path / "2", '"n":2,"instance":"two"')  # at the moment of 1
    three = log_of(tmp_path / "3", '"n":2', '"n":4')  # at those of 1 and 3

    assert [found.record["n"] for found in search([one, two, three], Query())] == [1, 2, 2, 3, 4, 5]
    assert next(search([one, two, three], Query(), backwards=True)).directory == one.directory


def test_a_line_that_stands_in_two_logs_comes_once_and_one_that_stands_in_one_twice_comes_twice(tmp_path: Path) -> None:
    one = log_of(tmp_path / "1", '"n":1', '"n":2', '"n":3')
    copy = log_of(tmp_path / "2", '"n":1', '"n":2', '"n":4')
    twice = tmp_path / "3"
    twice.mkdir()
    (twice / "audit-000001.jsonl").write_text('{"time":"2027-01-15T09:00:00.000000Z","n":9}\n' * 2)

    for backwards in (False, True):
        found = [found.record["n"] for found in search([one, copy, Log(twice)], Query(), backwards=backwards)]
        assert sorted(map(str, found)) == ["1", "2", "3", "4", "9", "9"]
    assert one.lines_of_others + copy.lines_of_others == 4  # of two searches


def test_a_name_that_one_instance_saw_is_known_of_the_others(tmp_path: Path) -> None:
    one = log_of(tmp_path / "1", '"tenant":"jira","people":[{"userName":"anna","id":"1"}]')
    two = log_of(tmp_path / "2", '"tenant":"jira","people":[{"id":"1"}]')
    anna = find_person([one, two], "ANNA", None)

    assert anna.names()["jira"][ID] == ("1",)
    assert [found.directory.name for found in search([two], Query(person=anna))] == ["2"]


def test_lines_that_cannot_be_read_are_counted_and_do_not_stand_in_the_way(tmp_path: Path) -> None:
    log = log_of(tmp_path / "1", '"n":1')
    with (tmp_path / "1" / "audit-000001.jsonl").open("ab") as file:
        file.write(b'{"n":\n\n{"n":2}\n')

    assert [found.record["n"] for found in search([log], Query())] == [1, 2]
    assert log.unreadable_lines == 2
    with Index(log.directory, tmp_path / "index", is_ours=True) as index:
        index.refresh()
        assert Log(log.directory, index).unreadable_lines == 2


def test_what_an_index_points_at_is_no_answer_yet(tmp_path: Path) -> None:
    """Whoever writes another index may hide lines, not invent any."""
    log = log_of(tmp_path / "1", '"tenant":"jira","people":[{"id":"1"}]', '"tenant":"jira","people":[{"id":"2"}]')
    with Index(log.directory, tmp_path / "index", is_ours=True) as index:
        index.refresh()
        found: list[Any] = list(search([Log(log.directory, index)], query_of([log], {"person": "1"})))

    assert [one.record["people"] for one in found] == [[{"id": "1"}]]
