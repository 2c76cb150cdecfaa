"""New files come into place all or none, and private from their first byte on."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.placing import NewDirectory, NewFile, Owner, place


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def everything_in(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


def test_files_and_directories_get_their_modes_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        directories = [NewDirectory(tmp_path / "a/b", 0o750)]
        place(directories, [NewFile(tmp_path / "a/b/secret", b"x"), NewFile(tmp_path / "a/b/open", b"y", 0o644)])
    finally:
        os.umask(before)

    assert (mode_of(tmp_path / "a"), mode_of(tmp_path / "a/b")) == (0o755, 0o750)
    assert (mode_of(tmp_path / "a/b/secret"), mode_of(tmp_path / "a/b/open")) == (0o600, 0o644)
    assert len(everything_in(tmp_path)) == 4


@pytest.mark.parametrize("kind", ["file", "link"])
def test_nothing_is_overwritten_and_nothing_else_is_made(tmp_path: Path, kind: str) -> None:
    there = tmp_path / "there"
    if kind == "file":
        there.write_text("mine")
    else:
        there.symlink_to("/nonexistent")
    before = everything_in(tmp_path)

    with pytest.raises(FileExistsError) as refused:
        place([NewDirectory(tmp_path / "new")], [NewFile(tmp_path / "first", b"x"), NewFile(there, b"y")])
    assert refused.value.filename == str(there)
    assert everything_in(tmp_path) == before


def test_an_end_midway_leaves_nothing_behind(tmp_path: Path) -> None:
    """Here because the second file's directory is missing; Ctrl-C ends it the same way."""
    files = [NewFile(tmp_path / "new/first", b"x"), NewFile(tmp_path / "missing/second", b"y")]

    with pytest.raises(FileNotFoundError):
        place([NewDirectory(tmp_path / "new")], files)
    assert everything_in(tmp_path) == []


def test_what_existed_before_stays_when_the_rest_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o700)

    with pytest.raises(FileNotFoundError):
        place([NewDirectory(tmp_path / "old", 0o755)], [NewFile(tmp_path / "missing/file", b"y")])
    assert mode_of(tmp_path / "old") == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_and_directories_are_given_to_their_owner(tmp_path: Path) -> None:
    place([NewDirectory(tmp_path / "a")], [NewFile(tmp_path / "a/secret", b"x")], Owner("nobody", 65534, 65534))

    assert {(tmp_path / name).stat().st_uid for name in ("a", "a/secret")} == {65534}


# What somebody who owns the directory above may do meanwhile ------------------------------------------


def after_making(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> None:
    """Let somebody act in the instant after a directory of that name was made."""
    make = os.mkdir

    def make_and_act(path: str | Path, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        make(path, mode, dir_fd=dir_fd)
        if Path(path).name == name:
            act()

    monkeypatch.setattr(os, "mkdir", make_and_act)


def swap(path: Path, victim: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(victim)


def test_a_link_that_is_put_where_a_directory_was_made_leads_to_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, new = tmp_path / "victim", tmp_path / "new"
    victim.mkdir(mode=0o700)
    after_making(monkeypatch, "new", lambda: swap(new, victim))
    owner = Owner("nobody", 65534, 65534) if os.geteuid() == 0 else None

    with pytest.raises(OSError, match="Not a directory") as refused:
        place([NewDirectory(new, 0o755)], [], owner)
    assert refused.value.filename == str(new)
    assert (mode_of(victim), victim.stat().st_uid) == (0o700, os.geteuid())


def test_another_directory_that_is_put_where_one_was_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, others = tmp_path / "new", tmp_path / "others"
    others.mkdir()
    others.chmod(0o777)
    after_making(monkeypatch, "new", lambda: (new.rename(tmp_path / "moved"), others.rename(new)))

    with pytest.raises(PermissionError, match="somebody has put another directory there"):
        place([NewDirectory(new)], [NewFile(new / "secret", b"x")])
    assert not (new / "secret").exists()


def test_a_file_goes_into_the_directory_that_was_made_and_not_where_a_link_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, secrets = tmp_path / "victim", tmp_path / "secrets"
    victim.mkdir()
    after_making(monkeypatch, "later", lambda: swap(secrets, victim))
    place([NewDirectory(secrets), NewDirectory(tmp_path / "later")], [NewFile(secrets / "jira", b"x")])

    assert everything_in(victim) == []
    assert (tmp_path / "moved/jira").read_bytes() == b"x"
