"""The files of a log that somebody reads, wherever it lies and whatever else does. Blocking."""

from __future__ import annotations

import re
from contextlib import suppress
from errno import EINVAL, ENOENT
from pathlib import Path
from stat import S_ISREG

from gateway.journal.recovery import segment_paths

_PACKED = re.compile(r"audit-\d{6,}\.jsonl\.(?:gz|bz2|xz|zst|lz4|zip)")


def segments_of(directory: Path) -> list[Path]:
    """The files of a log, in their order.

    Raises:
        OSError: it cannot be read, or there is none, or one of them is a pipe, at which a reader would wait for ever.
    """
    paths = segment_paths(directory)
    for path in paths:
        must_be_regular(path)
    if not paths:
        packed = packed_in(directory)
        why = f"there is no audit log (audit-*.jsonl){packed and ', but '}{packed}"
        raise FileNotFoundError(ENOENT, why, str(directory))
    return paths


def packed_in(directory: Path) -> str:
    """What is to be said of files of a log that somebody compressed; "" if there are none.

    Raises:
        OSError: the directory cannot be read.
    """
    names = sorted(path.name for path in directory.iterdir() if _PACKED.fullmatch(path.name))
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} is compressed: unpack it first"
    return f"{len(names)} files are compressed ({names[0]} is the first): unpack them first"


def must_be_regular(path: Path) -> None:
    """A pipe or a device in the place of a file would be waited for; one that is gone by now is no concern.

    Raises:
        OSError: it is something else than a file.
    """
    with suppress(FileNotFoundError):
        if not S_ISREG(path.stat().st_mode):
            raise OSError(EINVAL, "is no regular file", str(path))
