"""The checkpoints that a log is held against: those beside it, and those that were kept elsewhere. Blocking."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.audit.checkpoints import Checkpoint, NoteInvalid, open_note
from gateway.audit.notes import Notes, read_notes, shown
from gateway.audit.tampering import Finding, Kind
from gateway.journal.listing import must_be_regular
from gateway.journal.recovery import NOTES_NAME


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What the checkpoints say, and what is wrong with others."""

    checkpoints: tuple[Checkpoint, ...]  # the smallest first
    kept: frozenset[Checkpoint]  # those of them that were kept elsewhere
    findings: tuple[Finding, ...]
    is_torn: bool  # the last one beside the log is unfinished


def hear(directory: Path, kept: Collection[bytes], keys: Collection[Ed25519PublicKey]) -> Witnesses:
    """The checkpoints of a directory and some `kept` notes; each must be signed by one of `keys`, if any are given.

    Raises:
        OSError: the directory's cannot be read.
    """
    found = notes_of(directory)
    checkpoints, elsewhere, findings = [], set(), list(_damage(found))
    for note in (*kept, *found.notes):
        try:
            checkpoint = open_note(note, keys)
        except NoteInvalid as error:
            kind = Kind.FOREIGN_CHECKPOINT if error.is_foreign else Kind.FORGED_CHECKPOINT
            text = note.partition(b"\n\n")[0]
            findings.append(Finding(kind, 0, f"checkpoint {shown(text)}: {error}"))
            continue
        checkpoints.append(checkpoint)
        if note in kept:
            elsewhere.add(checkpoint)
    checkpoints.sort(key=lambda checkpoint: checkpoint.size)
    return Witnesses(tuple(checkpoints), frozenset(elsewhere), tuple(findings), found.is_torn)


def notes_of(directory: Path) -> Notes:
    """What stands in the file of checkpoints beside a log, if there is one.

    Raises:
        OSError: it cannot be read.
    """
    path = directory / NOTES_NAME
    must_be_regular(path)
    return read_notes(path.read_bytes() if path.exists() else b"")


def _damage(found: Notes) -> list[Finding]:
    """What no crash leaves of the file beside a log: somebody had a hand in it."""
    why = [f"the file `{NOTES_NAME}` holds {shown(spot)}, which is no part of one" for spot in found.damaged]
    if found.is_tight:
        why.append(f"a blank line was taken out of the file `{NOTES_NAME}`")
    return [Finding(Kind.FORGED_CHECKPOINT, 0, text) for text in why]
