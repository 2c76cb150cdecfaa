"""The index: goes on where it ended, notices what changed, and is never believed when it is damaged."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.audit.queries import Query
from gateway.journal.blocks import Wanted, person_term
from gateway.journal.index import Index, IndexUnusable
from gateway.journal.search import Log, find_person, search
from gateway.journal.stretches import Stretch
from tests.journal import searched

LINE = b'{"people":[{"id":"%d"}]}\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    directory.mkdir()
    return directory


def segment(log: Path, number: int, content: bytes, *, old: bool = True) -> Path:
    """A file, touched long ago if it is `old`, so that its times may be believed."""
    path = log / f"audit-{number:06}.jsonl"
    path.write_bytes(content)
    if old:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def lines(*ids: int) -> bytes:
    return b"".join(LINE % number for number in ids)


def find(log: Path, who: int, read: list[int] | None = None) -> list[Stretch]:
    with Index(log, log.parent / "index", is_ours=True) as index:
        index.refresh((read if read is not None else []).append)
        return index.stretches(Wanted((frozenset({person_term(str(who))}),)))


def test_only_blocks_that_hold_it_are_to_be_read(log: Path) -> None:
    path = segment(log, 1, lines(*range(1000)))
    [stretch] = find(log, 500)

    assert stretch.path == path
    assert LINE % 500 in path.read_bytes()[stretch.start : stretch.end]
    assert stretch.end - stretch.start < path.stat().st_size / 4
    assert find(log, 5000) == []


def test_lines_that_came_are_taken_up_and_half_a_line_is_not(log: Path) -> None:
    path = segment(log, 1, lines(1))
    find(log, 1)
    with path.open("ab") as file:
        file.write(lines(2) + (LINE % 3)[:-1])

    assert find(log, 2) == [Stretch(path, len(lines(1)), len(lines(1, 2)))]
    assert find(log, 3) == []
    with path.open("ab") as file:
        file.write(b"\n")
    assert find(log, 3) == [Stretch(path, len(lines(1, 2)), len(lines(1, 2, 3)))]


def test_what_is_deleted_from_the_log_goes_from_the_index(log: Path) -> None:
    segment(log, 1, lines(1)).unlink(find(log, 1) == [])
    segment(log, 2, lines(2))

    assert find(log, 1) == []
    assert len(find(log, 2)) == 1
    with sqlite3.connect(log.parent / "index") as database:
        assert database.execute("SELECT DISTINCT segment FROM block").fetchall() == [(2,)]
    database.close()


@pytest.mark.parametrize("content", [lines(7, 8), lines(7), b"", lines(7, 2, 9), (LINE % 1)[:-1]])
def test_a_file_that_was_changed_is_read_anew(log: Path, content: bytes) -> None:
    segment(log, 1, lines(1, 2))
    find(log, 1)
    segment(log, 1, content, old=False)

    assert find(log, 1) == []
    assert bool(find(log, 7)) is (b"7" in content)


def test_a_change_of_the_same_length_right_after_is_not_missed(log: Path) -> None:
    path = segment(log, 1, lines(1), old=False)
    find(log, 1)
    told = path.stat()
    path.write_bytes(lines(2))
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))

    assert find(log, 1) == []
    assert len(find(log, 2)) == 1


def test_only_its_owner_may_read_it(log: Path) -> None:
    segment(log, 1, lines(1))
    find(log, 1)

    assert stat.S_IMODE((log.parent / "index").stat().st_mode) == 0o600


def test_it_holds_no_name(log: Path) -> None:
    segment(log, 1, b'{"people":[{"userName":"anna@example.com","id":"1"}],"request":"req-1"}\n')
    find(log, 1)

    assert b"anna" not in (log.parent / "index").read_bytes()
    assert b"req-1" not in (log.parent / "index").read_bytes()


@pytest.mark.parametrize("content", [b"somebody's notes", b"SQLite format 3\0" + b"x" * 200])
def test_another_programs_file_is_left_as_it_is(log: Path, content: bytes) -> None:
    segment(log, 1, lines(1))
    file = log.parent / "notes"
    file.write_bytes(content)

    with pytest.raises(IndexUnusable, match="left as it is"):
        Index(log, file, is_ours=False)
    assert file.read_bytes() == content


def test_in_our_own_place_it_is_thrown_away(log: Path) -> None:
    segment(log, 1, lines(1))
    (log.parent / "index").write_bytes(b"x" * 5000)

    assert len(find(log, 1)) == 1


def test_a_link_is_not_followed(log: Path) -> None:
    (log.parent / "theirs").write_bytes(b"")
    (log.parent / "index").symlink_to(log.parent / "theirs")

    with pytest.raises(IndexUnusable):
        Index(log, log.parent / "index", is_ours=True)
    assert (log.parent / "theirs").read_bytes() == b""


def test_while_another_writes_it_the_log_itself_is_to_be_read(log: Path) -> None:
    segment(log, 1, lines(1))
    find(log, 1)
    segment(log, 2, lines(2))
    other = sqlite3.connect(log.parent / "index", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with Index(log, log.parent / "index", is_ours=True, wait_seconds=0.01) as index:
        with pytest.raises(IndexUnusable, match="locked"):
            index.refresh()
        assert (log.parent / "index").exists()
    other.close()

    assert len(find(log, 2)) == 1


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_makes_a_wrong_answer(log: Path, seed: int) -> None:
    """A bit is flipped, or a page overwritten, anywhere in the file."""
    dice = random.Random(seed)
    for _ in range(4):
        searched.append(log, dice)
        searched.rotate(log, dice)
    find(log, 1)
    file = log.parent / "index"
    whole = file.read_bytes()
    expected = searched.naive_search(log, person="anna")
    for _ in range(5):
        content = bytearray(whole)
        place = dice.randrange(len(content))
        if dice.random() < 0.7:
            content[place] ^= 1 << dice.randrange(8)
        else:
            content[place : place + 512] = dice.randbytes(min(512, len(content) - place))
        file.write_bytes(content)
        assert _found(log, file) == expected, place


def _found(log: Path, file: Path) -> list[bytes]:
    """As the command does it: an index that cannot be used is done without."""
    try:
        with Index(log, file, is_ours=True) as index:
            index.refresh()
            return _answers(Log(log, index))
    except IndexUnusable:
        return _answers(Log(log))


def _answers(log: Log) -> list[bytes]:
    person = find_person([log], "anna", None)
    return [found.line for found in search([log], Query(person=person))]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM block WHERE start > 0",
        "DELETE FROM block WHERE start = 0",
        "DELETE FROM block",
        "UPDATE block SET terms = zeroblob(4)",
        "UPDATE block SET terms = 'text'",
        "UPDATE block SET latest = ''",
        "UPDATE block SET finish = finish + 1",
        "UPDATE segment SET size = 'many'",
        "UPDATE segment SET size = 0",
        "UPDATE segment SET number = 7",
        "DROP TABLE segment",
    ],
)
def test_a_damaged_index_is_found_out_and_made_anew_by_the_next_search(log: Path, damage: str) -> None:
    segment(log, 1, lines(*range(1000)))
    found = find(log, 500)
    with sqlite3.connect(log.parent / "index") as database:
        database.execute(damage)
    database.close()
    with suppress(IndexUnusable):
        assert find(log, 500) == found

    assert find(log, 500) == found
