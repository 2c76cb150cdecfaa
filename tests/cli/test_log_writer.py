from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gateway.cli.log_writer import LineWriter, to_descriptor
from tests.cli.readers import Stalling

LINES = [f"{number:06}" * 50 + "\n" for number in range(400)]  # more than a pipe holds


def gap(lines: int) -> str:
    return f"({lines} dropped)\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def test_a_reader_that_stalls_holds_up_nobody_who_has_something_to_say() -> None:
    taken: list[bytes] = []
    reader = Stalling(taken)
    writer = LineWriter(reader, gap, max_waiting_chars=20)
    writer.put("before\n")
    reader.stalls.wait(10)
    for _ in range(1000):
        writer.put("meanwhile\n")

    assert not writer.drain(0)
    reader.goes_on.set()
    assert writer.drain(10)
    assert b"".join(taken) == b"before\nmeanwhile\nmeanwhile\n(998 dropped)\n"


def test_no_line_that_comes_after_a_dropped_one_stands_before_the_gap() -> None:
    taken: list[bytes] = []
    reader = Stalling(taken)
    writer = LineWriter(reader, gap, max_waiting_chars=10)
    writer.put("1\n")
    reader.stalls.wait(10)
    for line in ("2\n", "too long for the room\n", "3\n"):
        writer.put(line)
    reader.goes_on.set()
    assert writer.drain(10)
    writer.put("4\n")
    assert writer.drain(10)

    assert b"".join(taken) == b"1\n2\n(2 dropped)\n4\n"


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_arrive_whole_and_in_order_however_slow_the_reader(pipe: tuple[int, int], blocking: bool) -> None:
    os.set_blocking(pipe[1], blocking)
    writer = LineWriter(to_descriptor(pipe[1]), gap)
    for line in LINES:
        writer.put(line)
    content, expected = b"", "".join(LINES).encode()
    while len(content) < len(expected):
        assert select.select([pipe[0]], [], [], 10)[0]
        content += os.read(pipe[0], 5000)

    assert content == expected
    assert writer.drain(10)


def test_lines_of_others_stand_between_ours_not_in_them() -> None:
    ours, reader = socket.socketpair(type=socket.SOCK_DGRAM)  # shows what was written at once
    with ours, reader:
        writer = LineWriter(to_descriptor(ours.fileno()), gap)
        for line in LINES[:20]:
            writer.put(line)
        assert writer.drain(10)
        reader.setblocking(False)
        pieces: list[bytes] = []
        with suppress(BlockingIOError):
            while True:
                pieces.append(reader.recv(100_000))

    assert b"".join(pieces) == "".join(LINES[:20]).encode()
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in pieces)


def test_a_reader_that_is_gone_is_no_reason_to_wait(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    writer = LineWriter(to_descriptor(pipe[1]), gap)
    writer.put("lost\n")

    assert writer.drain(10)
