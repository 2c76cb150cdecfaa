from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.checkpoints import Checkpoint, sign, split_notes
from gateway.journal.disk import Disk
from gateway.journal.notes import append_note
from gateway.journal.recovery import NOTES_NAME
from tests.journal.logs import KEY

CHECKPOINT = Checkpoint("scim-gateway/gw-1", 7, bytes(32))
NOTE = sign(CHECKPOINT, KEY)


@pytest.mark.parametrize(
    ("left", "notes"),
    [
        (b"", 1),
        (NOTE + b"\n", 2),
        (NOTE, 2),  # a crash took the blank line
        (NOTE + b"\n" + NOTE[:50], 2),
        (NOTE[:20], 1),
    ],
)
def test_what_a_crash_left_of_a_note_spoils_none_that_follows(tmp_path: Path, left: bytes, notes: int) -> None:
    (tmp_path / NOTES_NAME).write_bytes(left)
    append_note(tmp_path, CHECKPOINT, KEY, Disk())

    assert split_notes((tmp_path / NOTES_NAME).read_bytes()) == ((NOTE,) * notes, False)
