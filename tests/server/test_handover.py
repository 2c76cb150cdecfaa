"""Sockets that a service manager hands over: the good ones are taken, each wrong one is said."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.server.handover import HandoverInvalid, sockets_handed_over

FIRST = 200  # pytest has 3 itself
PID = 4711


@contextmanager
def handed(*opened: socket.socket | int) -> Iterator[None]:
    """These as descriptors 200, 201, ..."""
    descriptors = [one if isinstance(one, int) else one.fileno() for one in opened]
    for position, descriptor in enumerate(descriptors):
        os.dup2(descriptor, FIRST + position)
    for one in opened:
        one.close() if isinstance(one, socket.socket) else os.close(one)
    try:
        yield
    finally:
        for position in range(len(opened)):
            try:
                os.close(FIRST + position)
            except OSError:
                continue  # who took it has closed it


def environment(count: int | str, names: str | None = None, pid: int | str = PID) -> dict[str, str]:
    told = {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count)}
    return told if names is None else told | {"LISTEN_FDNAMES": names}


def taken(told: dict[str, str]) -> dict[str, int]:
    """The ports by name."""
    found = sockets_handed_over(told, PID, FIRST)
    ports = {name: int(one.getsockname()[1]) for name, one in found.items()}
    for one in found.values():
        assert one.gettimeout() == 0
        assert not one.get_inheritable()
        one.close()
    return ports


def refused(told: dict[str, str]) -> str:
    with pytest.raises(HandoverInvalid) as caught:
        sockets_handed_over(told, PID, FIRST)
    return str(caught.value)


def listening(family: socket.AddressFamily = socket.AF_INET) -> tuple[socket.socket, int]:
    one = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
    os.set_inheritable(one.fileno(), True)
    return one, int(one.getsockname()[1])


@pytest.mark.parametrize(
    ("names", "name"),
    [(None, "public"), ("", "public"), ("scim-gateway.socket", "public"), ("unknown", "public"), ("public", "public"),
     ("admin", "admin")],
)  # fmt: skip
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_socket_that_comes_alone_is_the_public_one_unless_it_says_otherwise(
    names: str | None, name: str, family: socket.AddressFamily
) -> None:
    one, port = listening(family)
    with handed(one):
        assert taken(environment(1, names)) == {name: port}


@pytest.mark.parametrize("names", ["public:admin", "admin:public"])
def test_two_sockets_are_told_apart_by_name(names: str) -> None:
    (one, first), (two, second) = listening(), listening()
    with handed(one, two):
        assert taken(environment(2, names)) == dict(zip(names.split(":"), (first, second), strict=True))


def test_without_a_manager_there_are_none() -> None:
    assert sockets_handed_over({}, PID) == {}
    assert sockets_handed_over({"LISTEN_PID": str(PID)}, PID) == {}


@pytest.mark.parametrize("pid", ["4712", "", "x"])
def test_sockets_meant_for_another_process_are_left_alone_loudly(pid: str, caplog: pytest.LogCaptureFixture) -> None:
    one, _ = listening()
    with handed(one):
        assert sockets_handed_over(environment(1, pid=pid), PID, FIRST) == {}
    assert "not to this one" in caplog.text


@pytest.mark.parametrize("count", ["0", "-1", "", "x", "65", "1.0", "\u0663"])
def test_a_number_of_sockets_that_is_none_is_refused(count: str) -> None:
    assert "LISTEN_FDS" in refused(environment(count))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("public", "2 sockets were handed over, with 1 names"),
        ("public:admin:x", "2 sockets were handed over, with 3 names"),
        (None, "neither public nor admin"),
        ("public:web", "'web', which is neither public nor admin"),
        ("public:public", "2 sockets are named public"),
    ],
)
def test_names_that_do_not_tell_two_sockets_apart_are_refused(names: str | None, says: str) -> None:
    (one, _), (two, _) = listening(), listening()
    with handed(one, two):
        assert says in refused(environment(2, names))


def bound_only() -> socket.socket:
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    return one


def accepted() -> socket.socket:
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname()):
        return door.accept()[0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (bound_only, "does not listen"),
        (accepted, "does not listen; the socket unit needs Accept=no"),
        (lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "is not of TCP"),
        (lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), "is not of TCP"),
        (lambda: os.open(tempfile.gettempdir(), os.O_RDONLY), "is no socket"),
    ],
    ids=["bound only", "a connection", "UDP", "UNIX", "a directory"],
)
def test_what_is_no_listening_tcp_socket_is_refused_and_left_as_it_is(make: object, says: str) -> None:
    assert callable(make)
    one, _ = listening()
    with handed(one, make()):
        told = refused(environment(2, "public:admin"))

        assert says in told
        assert f"the socket admin (descriptor {FIRST + 1})" in told
        os.fstat(FIRST + 1)


def test_fewer_sockets_than_announced_are_refused() -> None:
    one, _ = listening()
    with handed(one):
        assert "is not there: fewer were handed over" in refused(environment(2, "public:admin"))
