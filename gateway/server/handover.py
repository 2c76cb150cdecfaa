"""Sockets that a service manager has opened for us: systemd's socket activation (sd_listen_fds(3)).

Whoever holds the socket while we restart keeps the clients waiting in it, so none is turned away; and a port below
1024 needs no privilege of ours.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections import Counter
from collections.abc import Mapping

log = logging.getLogger(__name__)

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
NAMES = ("public", "admin")  # FileDescriptorName= of a socket unit
_MAX_SOCKETS = 64
_ADVICE = "see FileDescriptorName= in deploy/systemd"


class HandoverInvalid(Exception):
    """What was handed over cannot be used; the text says why, and what would be right."""


def sockets_handed_over(
    environment: Mapping[str, str], pid: int, first: int = FIRST_DESCRIPTOR
) -> dict[str, socket.socket]:
    """The listening sockets by their names, "public" and "admin"; they are the caller's. None without a manager.

    Raises:
        HandoverInvalid: one of them is not what a listener needs.
    """
    count = environment.get("LISTEN_FDS")
    if count is None:
        return {}
    meant_for = environment.get("LISTEN_PID", "")
    if meant_for != str(pid):
        log.warning("sockets were handed to process %.20s, not to this one, which opens its own", meant_for)
        return {}
    if not count.isascii() or not count.isdigit() or not 1 <= int(count) <= _MAX_SOCKETS:
        raise HandoverInvalid(f"LISTEN_FDS is no number of sockets from 1 to {_MAX_SOCKETS}")
    names = _names(environment.get("LISTEN_FDNAMES"), int(count))
    taken: dict[str, socket.socket] = {}
    try:
        for position, name in enumerate(names):
            taken[name] = _listening(first + position, name)
    except HandoverInvalid:
        for one in taken.values():
            one.close()
        raise
    return taken


def _names(given: str | None, count: int) -> list[str]:
    """One of `NAMES` for each; a socket that comes alone is the public one unless it says that it is the other."""
    names = given.split(":") if given else [""] * count
    if len(names) != count:
        raise HandoverInvalid(f"{count} sockets were handed over, with {len(names)} names")
    if count == 1:
        return names if names[0] in NAMES else ["public"]
    for name, times in Counter(names).items():
        if name not in NAMES:
            raise HandoverInvalid(f"a socket is named {name[:64]!r}, which is neither public nor admin; {_ADVICE}")
        if times > 1:
            text = f"{times} sockets are named {name}, and a listener has one: ListenStream=[::]:443 takes IPv4 too"
            raise HandoverInvalid(f"{text}; {_ADVICE}")
    return names


def _listening(descriptor: int, name: str) -> socket.socket:
    """The descriptor as a non-blocking socket, if it is a listening TCP one; else it is left as it is."""
    what = f"the socket {name} (descriptor {descriptor})"
    try:
        is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError as error:
        raise HandoverInvalid(f"{what} is not there: fewer were handed over than LISTEN_FDS says") from error
    if not is_socket:
        raise HandoverInvalid(f"{what} is no socket")
    found = socket.socket(fileno=descriptor)
    if problem := _problem(found):
        found.detach()
        raise HandoverInvalid(f"{what} {problem}")
    found.setblocking(False)
    found.set_inheritable(False)
    return found


def _problem(found: socket.socket) -> str:
    if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
        return "is not of TCP; ListenStream= needs a port"
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen; the socket unit needs Accept=no"
    return ""
