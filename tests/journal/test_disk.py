from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal.disks import FailingDisk


def test_a_file_whose_name_cannot_be_made_durable_is_not_left(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.failing = {"sync_directory"}
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            disk.create(tmp_path / "new")
        assert list(tmp_path.iterdir()) == []
    disk.failing = set()
    disk.close(disk.create(tmp_path / "new"))

    assert (tmp_path / "new").exists()


def test_a_file_that_was_there_is_left(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        FailingDisk().create(tmp_path / "old")

    assert (tmp_path / "old").read_bytes() == b"precious"
