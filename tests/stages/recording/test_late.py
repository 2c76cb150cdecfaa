from __future__ import annotations

from gateway.stages.recording.late import Late

LINE = b"x" * 25


def test_lines_stand_in_their_order_until_they_are_removed() -> None:
    late = Late(100)
    for line in (b"1\n", b"2\n", b"3\n"):
        assert late.add(line)
    first, second = late.first(2)
    assert (first[1], second[1]) == (b"1\n", b"2\n")
    late.remove([second[0], second[0]])

    assert [line for _, line in late.first(100)] == [b"1\n", b"3\n"]
    assert len(late) == 2


def test_memory_is_bounded_and_its_room_is_free_again() -> None:
    late = Late(4 * len(LINE))
    for _ in range(2):
        assert [late.add(LINE) for _ in range(6)] == [True] * 4 + [False] * 2
        late.remove([number for number, _ in late.first(100)])
        assert len(late) == 0
