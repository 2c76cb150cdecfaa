"""Where in the audit log somebody is, and remembering that over restarts. The files block; for a thread."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.journal.disk import sync_directory

log = logging.getLogger(__name__)

_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The end of a line: its segment, where in that file it ends, and the line's number. Later ones are greater."""

    segment: int = 0
    offset: int = 0
    sequence: int = 0


BEGINNING = Position()


class CursorFile:
    """A position on disk, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Position:
        """What was saved last; the beginning if nothing was, or nobody can read it: rather twice than never."""
        try:
            raw = json.loads(self.path.read_bytes())
            return Position(int(raw["segment"]), int(raw["offset"]), int(raw["sequence"]))
        except FileNotFoundError:
            return BEGINNING
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            log.exception("%s cannot be read: the whole audit log is sent again", self.path)
            return BEGINNING

    def save(self, position: Position) -> None:
        """Put a position in the place of the last one; it would survive a power cut once this returns.

        Raises:
            OSError: the last one stands, or this one does.
        """
        save_whole(self.path, json.dumps(asdict(position)).encode("ascii"))


def save_whole(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file's old one; it would survive a power cut once this returns.

    Raises:
        OSError: the old one stands, or the new one does.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, _ANEW, 0o640), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)
