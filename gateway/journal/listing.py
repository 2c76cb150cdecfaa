"""The files of a log that somebody reads, wherever it lies and whatever else does. Blocking."""

from __future__ import annotations

from contextlib import suppress
from errno import EINVAL, ENOENT
from pathlib import Path
from stat import S_ISREG

from gateway.journal.recovery import segment_paths


def segments_of(directory: Path) -> list[Path]:
    """The files of a log, in their order.

    Raises:
        OSError: it cannot be read, or there is none, or one of them is a pipe, at which a reader would wait for ever.
    """
    paths = segment_paths(directory)
    for path in paths:
        must_be_regular(path)
    if not paths:
        raise FileNotFoundError(ENOENT, "there is no audit log (audit-*.jsonl)", str(directory))
    return paths


def must_be_regular(path: Path) -> None:
    """A pipe or a device in the place of a file would be waited for; one that is gone by now is no concern.

    Raises:
        OSError: it is something else than a file.
    """
    with suppress(FileNotFoundError):
        if not S_ISREG(path.stat().st_mode):
            raise OSError(EINVAL, "is no regular file", str(path))
