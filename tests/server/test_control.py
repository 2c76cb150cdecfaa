"""The control socket on real sockets: what is asked, by whom, and everything that is no question."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.server.control import ControlRefused, ControlSocket, Handler, Limits, User, control_address, user_name
from tests.waiting import until

QUICK = Limits(request_seconds=0.05, command_seconds=0.05, farewell_seconds=0.05)


async def echo(words: Mapping[str, object], user: User) -> Mapping[str, object]:
    return {"words": words, "user": user.name, "uid": user.uid}


async def refuse(words: Mapping[str, object], user: User) -> Mapping[str, object]:
    raise ControlRefused("there is no such hold: see guard list")


async def fail(words: Mapping[str, object], user: User) -> Mapping[str, object]:
    raise RuntimeError("secret of the inside")


async def tell_what_is_no_json(words: Mapping[str, object], user: User) -> Mapping[str, object]:
    return {"who": object()}


async def tell_much(words: Mapping[str, object], user: User) -> Mapping[str, object]:
    return {"much": "x" * 20_000_000}


HANDLERS: dict[str, Handler] = {
    "echo": echo,
    "refuse": refuse,
    "fail": fail,
    "no-json": tell_what_is_no_json,
    "much": tell_much,
}


class Asked:
    """One connection to a control socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, command: str, **words: object) -> dict[str, Any]:
        return await self.send(json.dumps({"command": command, **words}).encode() + b"\n")

    async def send(self, request: bytes) -> dict[str, Any]:
        self.writer.write(request)
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            line = await self.reader.readline()
        assert line.endswith(b"\n")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    async def is_closed(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:  # what was sent last was not read any more
                return True


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Asked]:
    with control_address(path) as address:
        reader, writer = await asyncio.open_unix_connection(address, limit=1 << 26)
    try:
        yield Asked(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def served(
    directory: Path, limits: Limits | None = None, handlers: Mapping[str, Handler] = HANDLERS
) -> AsyncIterator[Path]:
    path = directory / "control.sock"
    async with ControlSocket(path, handlers, limits):
        yield path


# Asking --------------------------------------------------------------------------------------------


async def test_a_command_gets_its_words_and_the_user_whom_the_kernel_names(tmp_path: Path) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        answer = await asked.ask("echo", hold="hold-1", tasks=None, user="root")

    assert answer == {
        "ok": True,
        "words": {"hold": "hold-1", "tasks": None, "user": "root"},
        "user": getpass.getuser(),
        "uid": os.getuid(),
    }


def test_a_user_without_a_name_is_named_by_number() -> None:
    assert user_name(1_234_567_890) == "uid-1234567890"


async def test_a_connection_may_ask_again_whatever_came_of_the_command_before(tmp_path: Path) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        for command in ("refuse", "fail", "unknown", "no-json"):
            assert (await asked.ask(command))["ok"] is False
        assert (await asked.ask("echo"))["ok"] is True


async def test_requests_that_come_in_one_piece_or_in_many_are_answered_in_order(tmp_path: Path) -> None:
    lines = b"".join(b'{"command": "echo", "number": %d}\n' % number for number in range(3))
    async with served(tmp_path) as path, connected(path) as asked:
        asked.writer.write(lines)
        together = [(await asked.hear())["words"]["number"] for _ in range(3)]
        for place in range(len(lines)):
            asked.writer.write(lines[place : place + 1])
            await asked.writer.drain()
        apart = [(await asked.hear())["words"]["number"] for _ in range(3)]

    assert together == apart == [0, 1, 2]


async def test_a_refusal_is_told_in_its_own_words(tmp_path: Path) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        assert await asked.ask("refuse") == {"ok": False, "problem": "there is no such hold: see guard list"}


@pytest.mark.parametrize("command", ["fail", "no-json"])
async def test_a_fault_is_logged_whole_and_told_without_its_inside(
    tmp_path: Path, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        assert await asked.ask(command) == {"ok": False, "problem": f"{command} failed; see the log"}

    assert "Traceback" in caplog.text


async def test_an_unknown_command_is_answered_with_those_there_are(tmp_path: Path) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        assert "echo, fail" in (await asked.ask("guard.list"))["problem"]


async def test_an_answer_of_any_size_comes_as_one_line(tmp_path: Path) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        assert len((await asked.ask("much"))["much"]) == 20_000_000


# What is no request --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"guard list\n",
        b"\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"command": 1}\n',
        b'{"command": ["echo"]}\n',
        b'{"command": "echo", "share": NaN}\n',
        b'{"command": "\xff"}\n',
        b'{"command": "\\ud800"}\n',
        b"[" * 100_000 + b"\n",
        b'{"command": "echo"} {"command": "echo"}\n',
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_line_that_is_no_request_is_told_so_and_ends_the_connection(tmp_path: Path, line: bytes) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        answer = await asked.send(line + b'{"command": "echo"}\n')

        assert answer["ok"] is False
        assert "a request is" in answer["problem"]
        assert await asked.is_closed()


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_a_request_that_is_too_long_ends_the_connection(tmp_path: Path, end: bytes) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        answer = await asked.send(b'"' + b"x" * (1 << 20) + end)

        assert "at most 1048576 bytes" in answer["problem"]
        assert await asked.is_closed()


async def test_a_request_just_short_enough_is_taken(tmp_path: Path) -> None:
    head, tail = b'{"command": "echo", "x": "', b'"}'
    async with served(tmp_path) as path, connected(path) as asked:
        assert (await asked.send(head + b"x" * ((1 << 20) - len(head + tail)) + tail + b"\n"))["ok"] is True


@pytest.mark.parametrize("begun", [b"", b'{"command": "echo"'])
async def test_a_request_that_does_not_come_ends_the_connection(tmp_path: Path, begun: bytes) -> None:
    async with served(tmp_path, QUICK) as path, connected(path) as asked:
        assert "no request came within" in (await asked.send(begun))["problem"]
        assert await asked.is_closed()


async def test_a_request_that_is_cut_off_is_not_carried_out(tmp_path: Path) -> None:
    async with served(tmp_path) as path, connected(path) as asked:
        asked.writer.write(b'{"command": "echo"}')
        asked.writer.write_eof()

        assert "cut off" in (await asked.hear())["problem"]


async def test_a_command_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def hang(words: Mapping[str, object], user: User) -> Mapping[str, object]:
        await asyncio.Event().wait()
        return {}

    async with served(tmp_path, QUICK, {"hang": hang}) as path, connected(path) as asked:
        assert "hang took too long" in (await asked.ask("hang"))["problem"]


# Many ----------------------------------------------------------------------------------------------


async def test_one_connection_too_many_is_told_so_and_the_next_has_its_place_again(tmp_path: Path) -> None:
    async with served(tmp_path, Limits(connections=2)) as path:
        async with connected(path) as one, connected(path) as two:
            assert (await one.ask("echo"))["ok"]
            assert (await two.ask("echo"))["ok"]
            async with connected(path) as three:
                assert "too many" in (await three.hear())["problem"]
                assert await three.is_closed()

        async def is_served() -> bool:
            async with connected(path) as again:
                return bool((await again.ask("echo"))["ok"])

        async with asyncio.timeout(5):
            while not await is_served():
                pass


async def test_who_hangs_up_meanwhile_takes_nobody_along(tmp_path: Path) -> None:
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(words: Mapping[str, object], user: User) -> Mapping[str, object]:
        begun.set()
        await go_on.wait()
        ended.set()
        return {"much": "x" * 10_000_000}

    async with served(tmp_path, handlers=HANDLERS | {"wait": wait}) as path:
        async with connected(path) as asked:
            asked.writer.write(b'{"command": "wait"}\n')
            await begun.wait()
        go_on.set()
        await ended.wait()
        async with connected(path) as asked:
            assert (await asked.ask("echo"))["ok"]


# Stopping ------------------------------------------------------------------------------------------


async def test_a_stop_waits_for_the_command_under_way_and_its_answer(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(words: Mapping[str, object], user: User) -> Mapping[str, object]:
        begun.set()
        await go_on.wait()
        return {"done": True}

    ready, leave = asyncio.Event(), asyncio.Event()
    path = tmp_path / "control.sock"

    async def serve() -> None:
        async with ControlSocket(path, {"wait": wait}):
            ready.set()
            await leave.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve())
        await ready.wait()
        async with connected(path) as asked, connected(path) as idle:
            answer = tasks.create_task(asked.ask("wait"))
            await begun.wait()
            leave.set()
            assert await idle.is_closed()
            go_on.set()
            assert (await answer) == {"ok": True, "done": True}
            assert await asked.is_closed()


async def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def hang(words: Mapping[str, object], user: User) -> Mapping[str, object]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    async with asyncio.timeout(5):
        async with served(tmp_path, Limits(farewell_seconds=0.05), {"hang": hang}) as path:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b'{"command": "hang"}\n')
            await begun.wait()
        assert await reader.read() == b""
        writer.close()


async def test_what_goes_wrong_inside_of_the_with_comes_out_of_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        async with served(tmp_path):
            raise KeyError


# The file ------------------------------------------------------------------------------------------


async def test_only_owner_and_group_may_connect_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with served(tmp_path) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(before)


async def test_the_socket_is_gone_after_the_stop(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        assert path.is_socket()

    assert not path.exists()


async def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    async with served(tmp_path) as path, connected(path) as asked:
        assert (await asked.ask("echo"))["ok"]


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
async def test_whatever_else_is_in_its_place_stays_there_and_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "control.sock"
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="no socket stands there: move it away"):
        await ControlSocket(path, HANDLERS).__aenter__()
    assert path.is_symlink() or path.exists()


async def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no control socket can be made"):
        await ControlSocket(tmp_path / "none" / "control.sock", HANDLERS).__aenter__()


async def test_a_path_longer_than_the_kernel_takes_is_served(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    async with served(deep) as path, connected(path) as asked:
        assert (await asked.ask("echo"))["ok"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    await until(lambda: not path.exists())


async def test_a_name_longer_than_the_kernel_takes_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="at most 107 bytes"):
        await ControlSocket(tmp_path / ("n" * 120), HANDLERS).__aenter__()
