from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.journal.locks import LOCK_NAME, DirectoryInUse, exclusive, is_held


def test_a_directory_that_is_held_is_refused_with_the_holders_process(tmp_path: Path) -> None:
    text = rf"^{tmp_path} is in use by process {os.getpid()}$"
    with exclusive(tmp_path), pytest.raises(DirectoryInUse, match=text), exclusive(tmp_path):
        pass


def test_a_directory_is_free_again_after_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with exclusive(tmp_path):
            pass


def test_a_holder_that_was_refused_takes_nothing_from_the_first(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        for _ in range(2):
            with pytest.raises(DirectoryInUse, match=str(os.getpid())), exclusive(tmp_path):
                pass


def test_a_missing_directory_is_made_for_its_owner_and_group_only(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a" / "b"):
        assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) & 0o027 == 0


def test_a_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic"), exclusive(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_lock_goes_with_a_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time; from gateway.journal.locks import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(DirectoryInUse, match=f"process {process.pid}"), exclusive(tmp_path):
            pass
        process.kill()
        process.wait()

    with exclusive(tmp_path):
        pass


def test_a_lock_that_can_be_asked_no_more_is_held_no_more(tmp_path: Path) -> None:
    with exclusive(tmp_path) as lock:
        assert is_held(lock, tmp_path)
        assert not is_held(-1, tmp_path), "EBADF for all of EIO, ESTALE and ENOTCONN, as a dead file system says"


def test_a_lock_that_is_gone_already_is_let_go_all_the_same(tmp_path: Path) -> None:
    with exclusive(tmp_path) as lock:
        os.close(lock)

    with exclusive(tmp_path):
        pass
