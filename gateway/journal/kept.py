"""Checkpoints that were kept elsewhere: read from files, and dealt out to the logs that they are of. Blocking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.chain import read_header
from gateway.audit.checkpoints import NoteInvalid, open_note, origin_of, signers_of
from gateway.audit.notes import read_notes, shown
from gateway.journal.listing import segments_of
from gateway.journal.witnesses import notes_of

_MOST_HEADER_BYTES = 1 << 20


class KeptUnusable(Exception):
    """A file holds no checkpoints, or something else besides; the text names it and what would be right."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The signed notes of a file that was kept elsewhere."""

    path: Path
    notes: tuple[bytes, ...]
    is_torn: bool  # a further one, the last, is unfinished


@dataclass(frozen=True, slots=True)
class Hand:
    """What was dealt out: the notes of each log, in the order of the logs, and those that are of none."""

    dealt: tuple[tuple[bytes, ...], ...]
    left: tuple[tuple[Path, bytes], ...]  # with their files


@dataclass(frozen=True, slots=True)
class _Log:
    """What tells whose a log is: the names that its files begin with, and the ids of the keys that signed for it."""

    origins: frozenset[str]
    signers: frozenset[bytes]


def read_kept(path: Path) -> Kept:
    """The checkpoints in a file.

    Raises:
        KeptUnusable: there is none, or something else besides.
        OSError: it cannot be read.
    """
    found = read_notes(path.read_bytes())
    if not found.notes:
        raise KeptUnusable(f"{path} holds no checkpoint: {_HOW}")
    if found.damaged:
        raise KeptUnusable(f"{path} holds {shown(found.damaged[0])}, which is no part of a checkpoint: {_HOW}")
    return Kept(path, found.notes, found.is_torn)


def deal(kept: Iterable[Kept], directories: Sequence[Path]) -> Hand:
    """Give each note to the log whose it is; a log alone gets all, and says itself which are not its own.

    SECURITY: no note is dropped. Whoever owns a machine may write into its log what makes it look like another's, so
    a note that fits several logs goes to each, and one that fits none is told of.
    """
    logs = [_look(directory) for directory in directories]
    dealt: list[list[bytes]] = [[] for _ in logs]
    left = []
    for file in kept:
        for note in file.notes:
            places = range(len(logs)) if len(logs) == 1 else _places(note, logs)
            if not places:
                left.append((file.path, note))
            for place in places:
                dealt[place].append(note)
    return Hand(tuple([tuple(notes) for notes in dealt]), tuple(left))


def _places(note: bytes, logs: Sequence[_Log]) -> Sequence[int]:
    """By the log's name; of several instances of one name by the key, whose id stands in the signature."""
    try:
        origin = open_note(note, ()).origin
    except NoteInvalid:
        return ()
    named = [place for place, log in enumerate(logs) if origin in log.origins]
    if len(named) < 2:
        return named or [place for place, log in enumerate(logs) if not log.origins]
    signers = signers_of(note, origin)
    return (
        [place for place in named if signers & logs[place].signers]
        or [place for place in named if not logs[place].signers]
        or named
    )


def _look(directory: Path) -> _Log:
    origins, signers = set(), set[bytes]()
    with suppress(OSError):  # whoever verifies it says so
        for path in segments_of(directory):
            with path.open("rb") as segment:
                header = read_header(segment.readline(_MOST_HEADER_BYTES).rstrip(b"\n"))
            if header:
                origins.add(origin_of(header.instance))
        for note in notes_of(directory).notes:
            for origin in origins:
                signers |= signers_of(note, origin)
    return _Log(frozenset(origins), frozenset(signers))


_HOW = "give a copy of the file `checkpoints`, or signed notes out of it, each with all of its lines"
