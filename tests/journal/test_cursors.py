from __future__ import annotations

from pathlib import Path

import pytest

from gateway.journal.cursors import BEGINNING, CursorFile, Position


def test_what_was_saved_last_is_read(tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "sinks" / "syslog.json")
    cursor.save(Position(1, 100, 3))
    cursor.save(Position(2, 50, 9))

    assert CursorFile(cursor.path).read() == Position(2, 50, 9)
    assert [path.name for path in cursor.path.parent.iterdir()] == ["syslog.json"]


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"segment":1}',
        b'{"segment":null}',
        b'{"segment":Infinity}',
        b"[" * 100_000,
        b"\xff\0",
    ],
    ids=lambda content: repr(content)[:30],
)
def test_who_cannot_be_read_begins_again(tmp_path: Path, content: bytes | None) -> None:
    cursor = CursorFile(tmp_path / "syslog.json")
    if content is not None:
        cursor.path.write_bytes(content)

    assert cursor.read() == BEGINNING


def test_a_draft_that_a_crash_left_is_in_nobodys_way(tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "syslog.json")
    (tmp_path / "syslog.new").write_bytes(b"half of an old one that is much longer than any cursor ever is" * 9)
    cursor.save(Position(1, 2, 3))

    assert cursor.read() == Position(1, 2, 3)
