from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.checkpoints import Checkpoint
from gateway.journal.disk import Disk
from gateway.journal.notes import append_note
from gateway.journal.recovery import NOTES_NAME, recover, segment_path
from gateway.journal.verifying import Request, verify
from tests.journal.disks import LINE, FailingDisk, line, open_segments, sequences


def test_an_empty_directory_begins_at_nothing(tmp_path: Path) -> None:
    recovered = recover(tmp_path, Disk())

    assert (recovered.segment, recovered.link.sequence, recovered.torn) == (0, 0, ())


def test_an_empty_last_segment_goes_on_where_the_one_before_it_ended(tmp_path: Path) -> None:
    segment_path(tmp_path, 1).write_bytes(line(1) + line(2))
    segment_path(tmp_path, 2).touch()
    recovered = recover(tmp_path, Disk())

    assert (recovered.segment, recovered.link.sequence) == (2, 2)


def test_segments_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    segment_path(tmp_path, 999_999).write_bytes(line(1))
    segment_path(tmp_path, 1_000_000).write_bytes(line(2))

    assert recover(tmp_path, Disk()).link.sequence == 2


def test_what_a_crash_left_is_set_aside_whole(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 3)
    path.write_bytes(line(1) + b'{"seq":2,"torn')
    (torn,) = recover(tmp_path, Disk()).torn

    assert (torn.segment, torn.size_bytes) == (path, 14)
    assert torn.set_aside.read_bytes() == b'{"seq":2,"torn'
    assert sequences(tmp_path) == [1]


def test_a_second_crash_does_not_overwrite_what_the_first_one_left(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 1)
    names = set()
    for tail in (b"first", b"second"):
        path.write_bytes(line(1) + tail)
        (torn,) = recover(tmp_path, Disk()).torn
        names.add(torn.set_aside.name)

    assert names == {"audit-000001.torn1", "audit-000001.torn2"}


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_nothing_is_cut_off_before_it_is_safe_elsewhere(tmp_path: Path, operation: str) -> None:
    path = segment_path(tmp_path, 1)
    path.write_bytes(line(1) + b"torn")
    disk = FailingDisk()
    disk.failing = {operation}

    with pytest.raises(OSError, match="Input/output"):
        recover(tmp_path, disk)
    assert path.read_bytes() == line(1) + b"torn"


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_copy_that_could_not_be_made_leaves_nothing_behind(tmp_path: Path, operation: str) -> None:
    path = segment_path(tmp_path, 1)
    path.write_bytes(line(1) + b"torn")
    disk = FailingDisk()
    disk.failing = {operation}
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            recover(tmp_path, disk)

    assert list(tmp_path.iterdir()) == [path]


def zeroed(directory: Path, signed: int, gone: slice) -> tuple[Path, bytes]:
    """A segment of a header and 29 lines, of which a part is zeros; so many of them are signed."""
    directory.mkdir(exist_ok=True)
    segments = open_segments(directory)
    segments.append([LINE] * 29)
    segments.close()
    key = Ed25519PrivateKey.generate()
    append_note(directory, Checkpoint("scim-gateway/gw-1", signed, bytes(32)), key, Disk())
    path = segment_path(directory, 1)
    content = bytearray(path.read_bytes())
    content[gone] = bytes(len(content[gone]))
    path.write_bytes(content)
    return path, bytes(content)


# Line 21 begins within the zeros, or they do within it, or at its newline.
@pytest.mark.parametrize("start", [0, 1, 40, -1])
def test_zeros_among_lines_that_were_not_synced_are_a_torn_tail(tmp_path: Path, start: int) -> None:
    lines = zeroed(tmp_path / "whole", 0, slice(0, 0))[1].splitlines(keepends=True)
    begin = sum(map(len, lines[:20])) + start
    path, content = zeroed(tmp_path / "log", 19, slice(begin, begin + 300))
    recovered = recover(tmp_path / "log", Disk())
    last = 20 if start >= 0 else 19

    assert (recovered.link.sequence, recovered.broken) == (last, None)
    assert sequences(tmp_path / "log") == list(range(1, last + 1))
    (torn,) = recovered.torn
    assert path.read_bytes() + torn.set_aside.read_bytes() == content


def test_zeros_among_lines_that_are_signed_are_a_tampering_and_nothing_is_cut_off(tmp_path: Path) -> None:
    lines = zeroed(tmp_path / "whole", 0, slice(0, 0))[1].splitlines(keepends=True)
    begin = sum(map(len, lines[:20]))
    path, content = zeroed(tmp_path / "log", 21, slice(begin, begin + 300))
    recovered = recover(tmp_path / "log", Disk())

    assert (recovered.link.sequence, recovered.torn, path.read_bytes()) == (30, (), content)
    assert recovered.broken is not None


def test_zeros_where_nobody_can_tell_what_is_signed_are_a_tampering(tmp_path: Path) -> None:
    path, content = zeroed(tmp_path, 0, slice(2000, 2300))
    (tmp_path / NOTES_NAME).write_bytes(b"junk\n\njunk\n\n")
    recovered = recover(tmp_path, Disk())

    assert (recovered.torn, path.read_bytes()) == ((), content)
    assert recovered.broken is not None


def with_a_new_file(directory: Path, signed: int) -> bytes:
    """Zeros at the beginning of the second file, behind one with six lines; so many lines are signed."""
    zeroed(directory, signed, slice(0, 0))
    segment_path(directory, 1).unlink()
    for lines in (5, 40):
        segments = open_segments(directory, max_segment_bytes=2000)
        segments.append([LINE] * lines)
        segments.close()
    path = segment_path(directory, 2)
    content = bytes(1000) + path.read_bytes()[1000:]
    path.write_bytes(content)
    return content


def test_zeros_at_the_beginning_of_a_new_file_make_a_torn_tail_of_all_of_it(tmp_path: Path) -> None:
    content = with_a_new_file(tmp_path, 6)
    recovered = recover(tmp_path, Disk())

    assert (recovered.segment, recovered.link.sequence, recovered.header, recovered.broken) == (2, 6, None, None)
    (torn,) = recovered.torn
    assert torn.set_aside.read_bytes() == content
    segments = open_segments(tmp_path)
    segments.append([LINE])
    segments.close()
    assert sequences(tmp_path) == list(range(1, 9))
    (tmp_path / NOTES_NAME).unlink()  # it has no true root
    assert verify(Request(tmp_path)).finding is None


def test_zeros_at_the_beginning_of_the_only_file_make_a_torn_tail_of_all_of_it(tmp_path: Path) -> None:
    zeroed(tmp_path, 0, slice(0, 300))
    recovered = recover(tmp_path, Disk())

    assert (recovered.segment, recovered.link.sequence, len(recovered.torn)) == (1, 0, 1)
    assert recovered.broken is None


def test_zeros_at_the_beginning_of_a_file_of_which_a_line_is_signed_are_a_tampering(tmp_path: Path) -> None:
    content = with_a_new_file(tmp_path, 7)
    recovered = recover(tmp_path, Disk())

    assert (recovered.torn, segment_path(tmp_path, 2).read_bytes()) == ((), content)
    assert recovered.broken is not None


def test_zeros_within_the_last_checkpoint_hide_no_torn_tail(tmp_path: Path) -> None:
    zeroed(tmp_path, 5, slice(2000, 2300))
    notes = (tmp_path / NOTES_NAME).read_bytes()
    (tmp_path / NOTES_NAME).write_bytes(notes + bytes(20) + notes[20:])

    assert recover(tmp_path, Disk()).broken is None


def test_an_edit_behind_the_signed_lines_is_no_torn_tail(tmp_path: Path) -> None:
    path, content = zeroed(tmp_path, 0, slice(0, 0))
    path.write_bytes(content.replace(b'"seq":21,', b'"seq":91,'))
    recovered = recover(tmp_path, Disk())

    assert recovered.torn == ()
    assert recovered.broken is not None


@pytest.mark.parametrize("spoilt", ["nothing", "a line", "the end"])
def test_a_large_segment_is_not_read_into_memory(tmp_path: Path, spoilt: str) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=1 << 30)
    segments.append([b'{"v":2,"pad":"%s"}\n' % (b"x" * 60_000)] * 600)
    segments.close()
    path = segment_path(tmp_path, 1)
    with path.open("r+b") as file:
        if spoilt == "a line":
            file.seek(100_000)
            file.write(b"y")
        if spoilt == "the end":
            file.seek(4_000_000)
            file.write(bytes(20_000_000))
            file.truncate()
    tracemalloc.start()
    try:
        recovered = recover(tmp_path, Disk())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (recovered.broken is not None) == (spoilt == "a line")
    assert [torn.size_bytes > 20_000_000 for torn in recovered.torn] == ([True] if spoilt == "the end" else [])
    assert peak_bytes < 10 << 20
