"""Asking a running instance over its control socket: `ask`, and what went wrong in the words of operators."""

from __future__ import annotations

import errno
import grp
import pwd
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from gateway.server.control import SOCKET_NAME, control_address

ANSWER_SECONDS = 100.0  # longer than an instance gives a command and its answer
_CHUNK_BYTES = 65_536


class ControlFailed(Exception):
    """There is no answer, or it is a no; the text says what to do."""


def ask(
    state_directory: Path, command: str, within_seconds: float = ANSWER_SECONDS, /, **words: object
) -> Mapping[str, object]:
    """What the instance with this state directory answers to a command.

    Raises:
        ControlFailed: nobody listens, one may not ask, the answer is cut off, or the instance refuses.
    """
    path = state_directory / SOCKET_NAME
    request = orjson.dumps({"command": command, **words}) + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(within_seconds)
        _connect(connection, path)
        try:
            with suppress(BrokenPipeError):  # turned away unheard: the answer says why
                connection.sendall(request)
            line = _one_line(connection)
        except TimeoutError:
            raise ControlFailed(f"the instance did not answer within {within_seconds:g} s; see its log") from None
        except OSError as error:
            raise ControlFailed(_cut_off(error.strerror or "")) from None
    return _read(line)


def _connect(connection: socket.socket, path: Path) -> None:
    try:
        with control_address(path) as address:
            connection.connect(address)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        problem = f"no instance runs with the state directory {path.parent}"
        raise ControlFailed(f"{problem}: start it, or give the --config that it was started with") from None
    except PermissionError:
        raise ControlFailed(_forbidden(path)) from None
    except OSError as error:
        busy = error.errno == errno.EAGAIN
        why = "it has no place for one more: try again in a few seconds" if busy else error.strerror or str(error)
        raise ControlFailed(f"the instance cannot be asked at {path}: {why}") from None


def _forbidden(path: Path) -> str:
    """Whose the socket is; or the first directory above it that can be looked at, when it cannot."""
    for place in (path, *path.parents):
        with suppress(OSError):
            status = place.stat()
            user, group = _user_name(status.st_uid), _group_name(status.st_gid)
            return (
                f"you may not ask the instance: {place} belongs to the user {user} and the group {group}; "
                f"ask as that user (sudo -u {user} ...) or as a member of that group"
            )
    return f"you may not ask the instance at {path}"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"  # as sudo -u takes it


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"#{gid}"


def _one_line(connection: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk:
            raise ControlFailed(_cut_off(f"after {len(received)} bytes"))
        received += chunk
    return bytes(received)


def _cut_off(where: str) -> str:
    return (
        f"the instance's answer is cut off ({where}): it may have stopped, and the command may have taken effect; "
        "look again once it runs"
    )


def _read(line: bytes) -> Mapping[str, object]:
    try:
        answer = orjson.loads(line)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise ControlFailed("the instance's answer is not understood: it may be of another version")
    if not answer.pop("ok"):
        raise ControlFailed(str(answer.get("problem") or "the instance refuses, without a reason"))
    return answer
