"""The file of checkpoints beside the segments: signed notes, a blank line after each. Blocking."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.checkpoints import Checkpoint, sign, split_notes
from gateway.audit.notes import before_hole
from gateway.journal.disk import Disk
from gateway.journal.recovery import NOTES_NAME, last_notes, write_all


def append_note(directory: Path, checkpoint: Checkpoint, key: Ed25519PrivateKey, disk: Disk) -> None:
    """Sign a checkpoint and put it on disk; what a crash left of an unfinished one is cut off.

    Raises:
        OSError: it is not there, or not for good.
    """
    path = directory / NOTES_NAME
    is_new = not path.exists()
    descriptor = disk.create(path) if is_new else disk.open(path)
    try:
        if not is_new:
            _mend(descriptor, *last_notes(path), disk)
        write_all(descriptor, sign(checkpoint, key) + b"\n", disk)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


def _mend(descriptor: int, content: bytes, begin: int, disk: Disk) -> None:
    if len(without_hole := before_hole(content)) < len(content):
        disk.truncate(descriptor, begin + len(without_hole))
        content = without_hole
    notes, _ = split_notes(content)
    whole = b"".join(note + b"\n" for note in notes)
    if whole == content + b"\n":
        write_all(descriptor, b"\n", disk)
    elif content.startswith(whole) and len(whole) < len(content):
        disk.truncate(descriptor, begin + len(whole))
