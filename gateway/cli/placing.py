"""Puts new files into place, all or none: nothing that exists is replaced, and an end midway leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NewFile:
    path: Path
    content: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class NewDirectory:
    """Made with the parents that it lacks; one that exists is left as it is."""

    path: Path
    mode: int = 0o750


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom new files and directories are given."""

    name: str
    user_id: int
    group_id: int


def place(directories: Sequence[NewDirectory], files: Sequence[NewFile], owner: Owner | None = None) -> None:
    """Make the directories, then the files in their order: whoever sees the last one can rely on all before.

    Raises:
        FileExistsError: a file is there already; nothing was changed.
        OSError: one cannot be made; what had been made is gone again.
    """
    for file in files:
        if os.path.lexists(file.path):
            raise FileExistsError(17, "exists, and nothing is overwritten", str(file.path))
    with ExitStack() as undo:  # also for Ctrl-C
        for directory in directories:
            _make(directory, owner, undo)
        for file in files:
            _write(file, owner, undo)
        undo.pop_all()


def _make(directory: NewDirectory, owner: Owner | None, undo: ExitStack) -> None:
    missing = [path for path in (directory.path, *directory.path.parents) if not path.exists()]
    for path in reversed(missing):
        mode = directory.mode if path == directory.path else 0o755
        path.mkdir(mode)
        undo.callback(path.rmdir)
        path.chmod(mode)  # whatever the umask is
        if owner is not None and path == directory.path:
            os.chown(path, owner.user_id, owner.group_id)


def _write(file: NewFile, owner: Owner | None, undo: ExitStack) -> None:
    """Whole under another name first, then linked: a link never replaces what is there."""
    draft = file.path.with_name(f".{file.path.name}.{os.getpid()}")
    # SECURITY: it is private from its first byte on; its mode grows, if at all, when it is whole.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.content)
            opened.flush()
            os.fchmod(opened.fileno(), file.mode)
            if owner is not None:
                os.fchown(opened.fileno(), owner.user_id, owner.group_id)
            os.fsync(opened.fileno())
        os.link(draft, file.path)
        undo.callback(file.path.unlink)
    finally:
        draft.unlink()
