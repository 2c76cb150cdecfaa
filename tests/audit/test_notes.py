from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.checkpoints import Checkpoint, sign
from gateway.audit.notes import before_hole, read_notes, shown

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOTE = sign(Checkpoint("scim-gateway/gw-1", 20852, bytes(range(32))), KEY)
FILE = NOTE + b"\n" + NOTE + b"\n"


@pytest.mark.parametrize(
    "copy",
    [
        FILE,
        FILE.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + FILE,
        b"\n".join(b"    " + line + b" \t" for line in FILE.split(b"\n")),
        b"\n\n" + FILE.replace(b"\n\n", b"\n\n\n") + b"\n\n",
        FILE.rstrip(b"\n"),
    ],
)
def test_a_copy_holds_the_notes_however_it_was_made(copy: bytes) -> None:
    found = read_notes(copy)

    assert found.notes == (NOTE, NOTE)
    assert (found.damaged, found.is_torn, found.is_tight) == ((), False, False)


@pytest.mark.parametrize("size", range(1, len(NOTE) - 1))
def test_of_a_torn_note_nothing_is_taken(size: int) -> None:
    found = read_notes(FILE + NOTE[:size])

    assert found.notes == (NOTE, NOTE)
    assert (found.damaged, found.is_torn, found.is_tight) == ((), True, False)


def test_zeros_that_a_power_cut_leaves_are_a_torn_note() -> None:
    assert read_notes(FILE + bytes(300)).is_torn


@pytest.mark.parametrize("size", range(1, len(NOTE) + 2))
def test_so_are_zeros_before_the_rest_of_a_note(size: int) -> None:
    """A page ends within it, and only the next one got to the disk."""
    found = read_notes(FILE + bytes(size) + (NOTE + b"\n")[size:])

    assert found.notes == (NOTE, NOTE)
    assert (found.damaged, found.is_torn, found.is_tight) == ((), True, False)


@pytest.mark.parametrize("size", range(1, len(NOTE)))
def test_zeros_before_a_whole_note_are_damage_and_do_not_hide_it(size: int) -> None:
    found = read_notes(FILE + bytes(size) + (NOTE + b"\n")[size:] + NOTE + b"\n")

    assert found.notes[-1] == NOTE
    assert before_hole(FILE + bytes(size) + (NOTE + b"\n")[size:] + NOTE) != FILE


@pytest.mark.parametrize(
    ("content", "notes", "damaged"),
    [
        (NOTE + b"\njunk\n\n" + FILE, 3, (b"junk",)),
        (b"junk\n\njunk\n\n", 0, (b"junk",)),
        (NOTE + b"\n" + NOTE.split(b"\n\n")[1] + b"\n" + NOTE, 2, (NOTE.split(b"\n\n")[1][:-1],)),
        (NOTE + b"\n" + NOTE.split(b"\n\n")[0] + b"\n\n" + NOTE, 2, (b"scim-gateway/gw-1",)),
        (NOTE + b"\na\nb\nc\nd\n", 1, (b"a",)),
        (b"root:x:0:0:root:/root:/bin/bash\n" * 5, 0, (b"root:x:0:0:root:/root:/bin/bash",)),
    ],
)
def test_what_is_no_note_is_damage_and_hides_no_note_behind_it(
    content: bytes, notes: int, damaged: tuple[bytes, ...]
) -> None:
    found = read_notes(content)

    assert found.notes == (NOTE,) * notes
    assert (found.damaged, found.is_torn) == (damaged, content.startswith(b"junk"))


@pytest.mark.parametrize("content", [NOTE + NOTE, NOTE.replace(b"\n\n", b"\n") + b"\n" + NOTE])
def test_notes_without_a_blank_line_are_read_and_it_is_said(content: bytes) -> None:
    found = read_notes(content)

    assert (found.notes, found.damaged, found.is_tight) == ((NOTE, NOTE), (), True)


def test_long_bytes_are_cut_where_they_are_shown() -> None:
    assert shown(b"a\n1\nb") == "'a 1 b'"
    assert shown(b"9" * 5000) == repr("9" * 80 + "...")
