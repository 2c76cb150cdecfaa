from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.checkpoints import Checkpoint, sign, split_notes
from gateway.journal.disk import Disk
from gateway.journal.notes import append_note
from gateway.journal.recovery import NOTES_NAME, last_notes
from tests.journal.logs import KEY

CHECKPOINT = Checkpoint("scim-gateway/gw-1", 7, bytes(32))
NOTE = sign(CHECKPOINT, KEY)


@pytest.mark.parametrize("before", [0, 1, 500])
@pytest.mark.parametrize(
    ("left", "notes"),
    [
        (b"", 1),
        (NOTE + b"\n", 2),
        (NOTE, 2),  # a crash took the blank line
        (NOTE + b"\n" + NOTE[:50], 2),
        (NOTE[:20], 1),
        (NOTE + b"\n" + bytes(40) + NOTE[40:] + b"\n", 2),  # a power cut left zeros for its first page
        (NOTE + b"\n" + bytes(len(NOTE) - 20) + NOTE[-20:] + b"\n", 2),
        (NOTE + b"\0", 2),
    ],
)
def test_what_a_crash_left_of_a_note_spoils_none_that_follows(
    tmp_path: Path, left: bytes, notes: int, before: int
) -> None:
    (tmp_path / NOTES_NAME).write_bytes((NOTE + b"\n") * before + left)
    append_note(tmp_path, CHECKPOINT, KEY, Disk())

    assert split_notes((tmp_path / NOTES_NAME).read_bytes()) == ((NOTE,) * (before + notes), False)


def test_what_is_no_note_is_read_over_whole_and_cut_off(tmp_path: Path) -> None:
    (tmp_path / NOTES_NAME).write_bytes((NOTE + b"\n") * 500 + bytes(100_000))
    append_note(tmp_path, CHECKPOINT, KEY, Disk())

    assert split_notes((tmp_path / NOTES_NAME).read_bytes()) == ((NOTE,) * 501, False)


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / NOTES_NAME
    path.write_bytes((NOTE + b"\n") * 5000)
    content, begin = last_notes(path)

    assert len(content) < 20_000
    assert split_notes(content) == ((NOTE,) * (5000 - begin // len(NOTE + b"\n")), False)


@pytest.mark.parametrize("size", range(16_300, 16_800, 7))
def test_the_end_begins_with_a_note_wherever_the_file_is_cut(tmp_path: Path, size: int) -> None:
    path = tmp_path / NOTES_NAME
    whole = (NOTE + b"\n") * 100
    path.write_bytes(whole[:size])
    content, begin = last_notes(path)

    assert content.startswith(NOTE)
    assert whole[:size] == whole[:begin] + content
