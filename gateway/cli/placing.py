"""Puts new files into place, all or none: nothing that exists is replaced, and an end midway leaves nothing behind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_O_PATH: int = getattr(os, "O_PATH", os.O_RDONLY)  # a directory need not be ours to list; Linux has it


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
    with ExitStack() as closing, ExitStack() as undo:  # also for Ctrl-C
        opened = _Opened(closing)
        for directory in directories:
            _make(directory, owner, opened, undo)
        for file in files:
            _write(file, owner, opened, undo)
        undo.pop_all()


class _Opened:
    """Directories by their descriptors.

    SECURITY: whoever owns a directory above may put a link where we have just made something. A descriptor stays
    what it was, so that root neither gives away nor writes into what such a link leads to.
    """

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self._descriptors: dict[Path, int] = {}

    def that_exists(self, path: Path) -> int:
        """One that we have made, else as its path leads to it, links included: those are the operator's."""
        if path not in self._descriptors:
            self._keep(path, os.open(path, _O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return self._descriptors[path]

    def made_now(self, path: Path, parent: int) -> int:
        """One that we have just made, and nothing that has been put into its place."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = self._keep(path, os.open(path.name, flags, dir_fd=parent))
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise PermissionError(1, "somebody has put another directory there", str(path))
        return descriptor

    def _keep(self, path: Path, descriptor: int) -> int:
        self._closing.callback(os.close, descriptor)
        self._descriptors[path] = descriptor
        return descriptor


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An error names the whole path, which a call relative to a descriptor does not know."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def _make(directory: NewDirectory, owner: Owner | None, opened: _Opened, undo: ExitStack) -> None:
    missing = [path for path in (directory.path, *directory.path.parents) if not path.exists()]
    for path in reversed(missing):
        with _naming(path):
            parent = opened.that_exists(path.parent)
            os.mkdir(path.name, 0o700, dir_fd=parent)
            undo.callback(_remove_directory, path.name, parent)
            descriptor = opened.made_now(path, parent)
            os.fchmod(descriptor, directory.mode if path == directory.path else 0o755)  # whatever the umask is
            if owner is not None and path == directory.path:
                os.fchown(descriptor, owner.user_id, owner.group_id)


def _remove_directory(name: str, parent: int) -> None:
    with suppress(OSError):  # why we take it back says more
        os.rmdir(name, dir_fd=parent)


def _write(file: NewFile, owner: Owner | None, opened: _Opened, undo: ExitStack) -> None:
    """Whole under another name first, then linked: a link never replaces what is there."""
    name, draft = file.path.name, f".{file.path.name}.{os.getpid()}"
    with _naming(file.path):
        parent = opened.that_exists(file.path.parent)
        # SECURITY: it is private from its first byte on; its mode grows, if at all, when it is whole.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600, dir_fd=parent)
        try:
            with os.fdopen(descriptor, "wb") as writing:
                writing.write(file.content)
                writing.flush()
                os.fchmod(writing.fileno(), file.mode)
                if owner is not None:
                    os.fchown(writing.fileno(), owner.user_id, owner.group_id)
                os.fsync(writing.fileno())
            # SECURITY: a link in the draft's place would become a second name of what it leads to.
            os.link(draft, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
            undo.callback(os.unlink, name, dir_fd=parent)
        finally:
            os.unlink(draft, dir_fd=parent)
