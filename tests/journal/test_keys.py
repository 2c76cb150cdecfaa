from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.journal.keys import KEY_NAME, made_or_read


def test_a_key_that_was_made_is_durable_and_so_is_its_name(tmp_path: Path) -> None:
    synced: list[tuple[bool, bool]] = []

    def sync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_directory, (tmp_path / KEY_NAME).exists()))

    made = made_or_read(tmp_path / KEY_NAME, sync)
    read = made_or_read(tmp_path / KEY_NAME, sync)

    assert synced == [(False, False), (True, True)]
    assert made.private_bytes_raw() == read.private_bytes_raw()
    assert [path.name for path in tmp_path.iterdir()] == [KEY_NAME]


def test_a_key_whose_name_may_not_be_durable_is_not_used(tmp_path: Path) -> None:
    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError

    with pytest.raises(OSError):
        made_or_read(tmp_path / KEY_NAME, sync)
