"""The control socket: commands to a running instance, as lines of JSON over a UNIX socket in its state directory.

One object a line: `{"command": "guard.list", ...}` in, `{"ok": true, ...}` or `{"ok": false, "problem": "..."}` out,
as many as one likes on a connection. Who may ask is the file's mode (0660); who did ask, the kernel tells.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, Self

import orjson

__all__ = [
    "SOCKET_NAME",
    "ControlRefused",
    "ControlSocket",
    "Handler",
    "Limits",
    "User",
    "control_address",
    "user_name",
]

log = logging.getLogger(__name__)

SOCKET_NAME = "control.sock"
MAX_ADDRESS_BYTES = 107  # sun_path of Linux, without its NUL
PAUSE_SECONDS = 0.5  # when the kernel has no descriptor or memory left
_CHUNK_BYTES = 65_536

Line = NewType("Line", bytes)  # one request, without its newline


class ControlRefused(Exception):
    """A command is not carried out; the text is for whoever asked, and says what to do."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as the kernel knows: the user of the process that connected."""

    uid: int
    name: str  # "uid-1000" when nobody knows the name


def user_name(uid: int) -> str:
    """The name of a user, or `uid-1000` when nobody knows one. May block."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


Handler = Callable[[Mapping[str, object], User], Awaitable[Mapping[str, object]]]  # may raise ControlRefused


@dataclass(frozen=True, slots=True)
class Limits:
    """What one side may ask of the other."""

    request_bytes: int = 1 << 20
    request_seconds: float = 5.0  # a request arrives within this time, the first as well as the next
    command_seconds: float = 60.0
    answer_seconds: float = 30.0  # an answer is taken within this time
    user_name_seconds: float = 2.0  # user names may come from a directory in the network
    farewell_seconds: float = 5.0  # commands under way end within this time of a stop
    connections: int = 16


class ControlSocket:
    """`async with`: listens until left, then lets the commands under way end.

    The directory must be locked for us: a socket that a dead process left there is replaced.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler], limits: Limits | None = None) -> None:
        self._path, self._handlers = path, handlers
        self._limits = limits or Limits()
        self._tasks = asyncio.TaskGroup()
        self._conversations: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()  # those with a command under way, until its answer is given
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Raises: OSError when there can be no socket at the path; its text says why."""
        self._listening = _listen(self._path, self._limits.connections)
        await self._tasks.__aenter__()
        self._accepting = self._tasks.create_task(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        self._accepting.cancel()
        for task in self._conversations - self._busy:
            task.cancel()
        try:
            if self._busy:
                await asyncio.wait(set(self._busy), timeout=self._limits.farewell_seconds)
        finally:
            for task in self._conversations:
                task.cancel()
            try:
                await self._tasks.__aexit__(None, None, None)  # what went wrong inside of the `with` stays as it is
            finally:
                self._listening.close()
                with suppress(OSError):
                    self._path.unlink()

    # Connections -----------------------------------------------------------------------------------

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await asyncio.get_running_loop().sock_accept(self._listening)
            except OSError as error:  # no descriptor or memory left, for now
                log.error("no control connection can be accepted: %s", error.strerror)  # noqa: TRY400
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if len(self._conversations) >= self._limits.connections:
                _turn_away(connection)
            else:
                self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> None:
        def end(task: asyncio.Task[None]) -> None:  # also of a task that is cancelled before its first step
            self._conversations.discard(task)
            self._busy.discard(task)
            connection.close()

        connection.setblocking(False)
        task = self._tasks.create_task(self._converse(connection))
        self._conversations.add(task)
        task.add_done_callback(end)

    async def _converse(self, connection: socket.socket) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - whatever runs a coroutine is a task
        buffered = bytearray()
        try:
            user = await self._user_of(connection)
            while not self._stopping and (line := await self._next_line(connection, buffered)) is not None:
                self._busy.add(task)
                await self._give(connection, await self._answer(line, user))
                self._busy.discard(task)
        except ControlRefused as refused:  # no request: what follows it cannot be told apart
            with suppress(OSError):
                await self._give(connection, _problem(str(refused)))
        except OSError as error:  # they hung up, or do not take the answer
            log.info("a control connection ended early: %s", error.strerror or type(error).__name__)

    async def _next_line(self, connection: socket.socket, buffered: bytearray) -> Line | None:
        """The next request; None at the end of them all. What follows it stays in `buffered`.

        Raises:
            ControlRefused: it is too long, too slow, or cut off.
        """
        loop, limits = asyncio.get_running_loop(), self._limits
        try:
            async with asyncio.timeout(limits.request_seconds):
                while (end := buffered.find(b"\n")) < 0:
                    if len(buffered) > limits.request_bytes:
                        raise ControlRefused(f"a request has at most {limits.request_bytes} bytes")
                    chunk = await loop.sock_recv(connection, _CHUNK_BYTES)
                    if not chunk:
                        if buffered:
                            raise ControlRefused("the request is cut off: it ends with a newline")
                        return None
                    buffered += chunk
        except TimeoutError:
            raise ControlRefused(f"no request came within {limits.request_seconds:g} s") from None
        if end > limits.request_bytes:
            raise ControlRefused(f"a request has at most {limits.request_bytes} bytes")
        line = Line(bytes(buffered[:end]))
        del buffered[: end + 1]
        return line

    async def _give(self, connection: socket.socket, answer: bytes) -> None:
        async with asyncio.timeout(self._limits.answer_seconds):
            await asyncio.get_running_loop().sock_sendall(connection, answer)

    async def _user_of(self, connection: socket.socket) -> User:
        # The process may pass the socket on; what counts is who opened it, and that cannot be made up.
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", credentials)
        try:
            async with asyncio.timeout(self._limits.user_name_seconds):
                return User(uid, await asyncio.to_thread(user_name, uid))
        except TimeoutError:
            return User(uid, f"uid-{uid}")

    # Commands --------------------------------------------------------------------------------------

    async def _answer(self, line: Line, user: User) -> bytes:
        """What a request comes to, as one line.

        Raises:
            ControlRefused: it is no request.
        """
        command, words = _read(line)
        handler = self._handlers.get(command)
        if handler is None:
            known = ", ".join(sorted(self._handlers)) or "none"
            return _problem(f"this instance has no such command; it has: {known}")
        try:
            async with asyncio.timeout(self._limits.command_seconds):
                return orjson.dumps({"ok": True, **await handler(words, user)}) + b"\n"
        except ControlRefused as refused:
            return _problem(str(refused))
        except TimeoutError:
            log.error("the command %s of %s took too long and was given up", command, user.name)  # noqa: TRY400
            return _problem(f"{command} took too long and was given up; look whether it took effect")
        except Exception:  # a fault of one command shall not end the gateway
            log.exception("the command %s of %s failed", command, user.name)
            return _problem(f"{command} failed; see the log")


def _read(line: Line) -> tuple[str, Mapping[str, object]]:
    """The command of a request, and its words.

    Raises:
        ControlRefused: it is none.
    """
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ControlRefused(f"a request is one JSON object on one line; this is no JSON: {error}") from None
    command = request.pop("command", None) if isinstance(request, dict) else None
    if not isinstance(command, str):
        raise ControlRefused('a request is a JSON object with a "command", such as {"command": "guard.list"}')
    return command, request


def _problem(text: str) -> bytes:
    # A path or a name may hold bytes that are no UTF-8, which JSON has no way to say.
    harmless = text.encode("utf-8", "backslashreplace").decode()
    return orjson.dumps({"ok": False, "problem": harmless}) + b"\n"


def _turn_away(connection: socket.socket) -> None:
    with connection, suppress(OSError):  # so short that a new socket takes it at once
        connection.setblocking(False)
        connection.send(_problem("too many control connections are open: try again in a few seconds"))


# The file ------------------------------------------------------------------------------------------


@contextmanager
def control_address(path: Path) -> Iterator[str]:
    """An address for bind and connect, however long the path is: valid inside of the `with`.

    Raises:
        OSError: the directory is not there, or no address is short enough.
    """
    if len(os.fsencode(path)) <= MAX_ADDRESS_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        address = f"/proc/self/fd/{directory}/{path.name}"
        if not Path(address).parent.exists() or len(os.fsencode(address)) > MAX_ADDRESS_BYTES:
            why = (
                f"the path of a UNIX socket has at most {MAX_ADDRESS_BYTES} bytes, and /proc is not there to shorten it"
            )
            raise OSError(None, f"{why}: use a shorter state_directory", str(path))
        yield address
    finally:
        os.close(directory)


def _listen(path: Path, backlog: int) -> socket.socket:
    """A socket that listens at `path`, for its owner and group.

    Raises:
        OSError: something else is there, or it cannot be made.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.setblocking(False)
    try:
        _remove_stale(path)
        with control_address(path) as address:
            listening.bind(address)
            # SECURITY: before listen(): nobody can connect until the mode is what it shall be.
            Path(address).chmod(0o660)
        listening.listen(backlog)
        return listening
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"no control socket can be made: {error.strerror or error}", str(path)) from error


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(None, "something that is no socket stands there: move it away", str(path))
    path.unlink()
