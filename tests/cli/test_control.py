"""Asking over the control socket: each way to get no answer is told in words that help."""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.control import ControlFailed, ask
from gateway.server.control import SOCKET_NAME


@contextmanager
def answering(directory: Path, answer: bytes, *, reads: bool = True) -> Iterator[list[bytes]]:
    """One connection that gets this answer, whatever it asks; what it asked."""
    asked: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            if reads:
                with connection.makefile("rb") as lines:
                    asked.append(lines.readline())
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / SOCKET_NAME))
        listening.listen()
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        yield asked
        server.join()


def failure(directory: Path, **words: object) -> str:
    with pytest.raises(ControlFailed) as caught:
        ask(directory, "guard.list", **words)
    return str(caught.value)


def test_the_words_go_out_and_the_answer_comes_back_without_its_ok(tmp_path: Path) -> None:
    with answering(tmp_path, b'{"ok": true, "holds": [1]}\n') as asked:
        answer: Mapping[str, object] = ask(tmp_path, "guard.list", tenant=None, tasks=True)

    assert answer == {"holds": [1]}
    assert asked == [b'{"command":"guard.list","tenant":null,"tasks":true}\n']


def test_a_no_is_told_as_the_instance_says_it(tmp_path: Path) -> None:
    with answering(tmp_path, b'{"ok": false, "problem": "there is no such hold"}\n'):
        assert failure(tmp_path) == "there is no such hold"


@pytest.mark.parametrize("what", ["nothing", "no directory", "a dead socket", "a file for a directory"])
def test_where_nobody_listens_no_instance_runs(tmp_path: Path, what: str) -> None:
    directory = tmp_path
    match what:
        case "no directory":
            directory = tmp_path / "none"
        case "a dead socket":
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(tmp_path / SOCKET_NAME))
        case "a file for a directory":
            directory = tmp_path / "file"
            directory.touch()
        case _:
            assert what == "nothing"

    assert f"no instance runs with the state directory {directory}" in failure(directory)


@pytest.mark.parametrize("answer", [b"", b'{"ok": true, "hol'])
def test_an_answer_that_is_cut_off_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer):
        assert "cut off" in failure(tmp_path)


@pytest.mark.parametrize("answer", [b"hello\n", b"[]\n", b"{}\n", b'{"ok": "yes"}\n'])
def test_an_answer_that_is_not_understood_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer):
        assert "not understood" in failure(tmp_path)


def test_who_is_turned_away_unheard_hears_why(tmp_path: Path) -> None:
    with answering(tmp_path, b'{"ok": false, "problem": "too many"}\n', reads=False):
        assert failure(tmp_path, long="x" * 1_000_000) == "too many"


def test_an_instance_without_a_place_is_asked_later(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(str(tmp_path / SOCKET_NAME))
        listening.listen(0)
        first.connect(str(tmp_path / SOCKET_NAME))

        assert "try again in a few seconds" in failure(tmp_path)


def test_a_directory_deeper_than_the_kernel_takes_is_asked(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    place = os.open(deep, os.O_PATH)
    try:
        with answering(Path(f"/proc/self/fd/{place}"), b'{"ok": true}\n'):
            assert ask(deep, "guard.list") == {}
    finally:
        os.close(place)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may everything: become somebody else for the while."""
    if os.geteuid() == 0:
        os.seteuid(65_534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


def test_who_may_not_ask_learns_whose_the_socket_is() -> None:
    with tempfile.TemporaryDirectory() as place:  # not below pytest's own, which nobody but its user may enter
        closed = Path(place) / "state"
        closed.mkdir(mode=0)
        Path(place).chmod(0o755)
        with as_nobody():
            told = failure(closed)

    assert told.startswith(f"you may not ask the instance: {closed} belongs to the user ")
    assert f"sudo -u {getpass.getuser()} ..." in told
