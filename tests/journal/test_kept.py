from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.chain import Link, linked
from gateway.audit.checkpoints import Checkpoint, origin_of, sign
from gateway.audit.lines import segment_line
from gateway.audit.merkle import Tree
from gateway.journal.kept import Kept, deal
from gateway.journal.recovery import NOTES_NAME

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in range(3)]
FILE = Path("kept")


def log(directory: Path, instance: str, *keys: Ed25519PrivateKey) -> Path:
    """A log of one line, with a checkpoint of each of these keys."""
    directory.mkdir()
    line = segment_line(1, 1, Tree(), now=0.0, instance=instance)
    (directory / "audit-000001.jsonl").write_bytes(linked(Link(), [line])[0])
    (directory / NOTES_NAME).write_bytes(b"".join(note(instance, key) + b"\n" for key in keys))
    return directory


def note(instance: str, key: Ed25519PrivateKey) -> bytes:
    return sign(Checkpoint(origin_of(instance), 1, bytes(32)), key)


def dealt(notes: list[bytes], *directories: Path) -> list[list[int]]:
    """To which logs each note goes."""
    hand = deal([Kept(FILE, tuple(notes), is_torn=False)], directories)
    assert [kept for _, kept in hand.left] == [
        kept for kept in notes if not any(kept in of_log for of_log in hand.dealt)
    ]
    return [[place for place, of_log in enumerate(hand.dealt) if kept in of_log] for kept in notes]


def test_each_goes_to_the_log_of_its_name_and_one_that_is_of_none_is_left(tmp_path: Path) -> None:
    logs = log(tmp_path / "a", "gw-1", KEYS[0]), log(tmp_path / "b", "gw-2", KEYS[0])
    notes = [note("gw-2", KEYS[0]), note("gw-1", KEYS[1]), note("gw-3", KEYS[0]), "junk\n\n\u2014 junk\n".encode()]

    assert dealt(notes, *logs) == [[1], [0], [], []]


def test_a_log_alone_gets_them_all(tmp_path: Path) -> None:
    assert dealt([note("gw-2", KEYS[0]), b"junk"], log(tmp_path / "a", "gw-1", KEYS[0])) == [[0], [0]]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0], [1], [[0], [1], [0, 1]]),
        ([0, 2], [1], [[0], [1], [0]]),
        ([0], [], [[0], [1], [1]]),
        ([], [], [[0, 1], [0, 1], [0, 1]]),
        ([0], [0, 1], [[0, 1], [1], [0, 1]]),
    ],
)
def test_of_two_logs_of_one_name_the_key_tells_which(
    tmp_path: Path, first: list[int], second: list[int], expected: list[list[int]]
) -> None:
    logs = [
        log(tmp_path / name, "gw-1", *(KEYS[number] for number in numbers))
        for name, numbers in (("a", first), ("b", second))
    ]

    assert dealt([note("gw-1", key) for key in KEYS], *logs) == expected


def test_a_log_that_does_not_tell_its_name_gets_what_is_of_no_other(tmp_path: Path) -> None:
    named = log(tmp_path / "a", "gw-1", KEYS[0])
    (tmp_path / "b").mkdir()

    assert dealt([note("gw-1", KEYS[0]), note("gw-2", KEYS[0])], named, tmp_path / "b") == [[0], [1]]
