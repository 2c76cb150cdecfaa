from __future__ import annotations

from gateway.stages.recording.late import MAX_BYTES, Late


def test_lines_come_back_once_and_in_their_order() -> None:
    late = Late()
    late.add(b"1\n")
    late.add(b"2\n")

    assert late.take() == (b"1\n", b"2\n")
    assert late.take() == ()


def test_memory_is_bounded_and_its_room_is_free_again() -> None:
    late, line = Late(), b"x" * (MAX_BYTES // 4)
    for _ in range(2):
        for _ in range(9):
            late.add(line)
        assert not late.add(line)
        assert (len(late), late.take()) == (4, (line,) * 4)
