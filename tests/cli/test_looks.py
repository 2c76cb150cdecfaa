"""Looks at single answers of `init`: what their form, ports and the network say of them."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.looks import (
    Nodes,
    can_read,
    read_nodes,
    secret_in,
    why_not_entered,
    why_not_listened,
    why_not_reached,
    why_not_resolved,
)
from gateway.cli.placing import Owner
from gateway.settings.values import HostPort
from tests.ports import unused_port

PRIVILEGED = 443
_SYSCTL = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
NONE_IS_PRIVILEGED = _SYSCTL.exists() and int(_SYSCTL.read_text()) <= PRIVILEGED


@pytest.mark.parametrize(
    ("answer", "nodes"),
    [
        ("http://a.internal:5501", Nodes(("http://a.internal:5501",), None)),
        ("http://a.internal:5501/", Nodes(("http://a.internal:5501",), None)),
        ("https://a.internal/scim/x/v2/", Nodes(("https://a.internal",), "/scim/x/v2")),
        ("http://a.internal/x/v2, http://b.internal/x/v2", Nodes(("http://a.internal", "http://b.internal"), "/x/v2")),
        ("http://a.internal/x/v2,http://b.internal", Nodes(("http://a.internal", "http://b.internal"), "/x/v2")),
    ],
)
def test_an_upstream_is_read_as_it_is_copied_from_the_application(answer: str, nodes: Nodes) -> None:
    assert read_nodes(answer) == nodes


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "one node at least"),
        (" , ", "one node at least"),
        ("a.internal:5501", "must be URLs such as"),
        ("ftp://a.internal/", "must be URLs such as"),
        ("http://user:secret@a.internal/", "must be http://host:port"),
        ("http://a.internal:0/", "a port from 1"),
        ("http://a.internal/x?y=z", "a plain path"),
        ("http://a.internal/x,http://b.internal/y", "one path for all nodes"),
    ],
)
def test_what_is_no_upstream_is_refused_with_what_would_be_right(answer: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        read_nodes(answer)
    assert "secret" not in str(refused.value)


def test_a_free_port_can_be_listened_on_and_a_taken_one_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "another program listens there" in why_not_listened(HostPort("127.0.0.1", taken.getsockname()[1]))
    assert why_not_listened(HostPort("127.0.0.1", unused_port())) == ""
    assert "cannot be listened on" in why_not_listened(HostPort("192.0.2.1", 8443))


@contextmanager
def not_as_root() -> Iterator[None]:
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.skipif(NONE_IS_PRIVILEGED, reason="this kernel has no privileged ports")
def test_a_privileged_port_is_not_for_everybody() -> None:
    with not_as_root():
        assert "is privileged" in why_not_listened(HostPort("127.0.0.1", PRIVILEGED))


def test_a_node_that_is_not_reached_is_said_with_what_was_tried() -> None:
    port = unused_port()
    with socket.create_server(("127.0.0.1", 0)) as there:
        assert why_not_reached(f"http://127.0.0.1:{there.getsockname()[1]}") == ""
    assert why_not_reached(f"http://127.0.0.1:{port}") == f"TCP to 127.0.0.1 port {port}, 3 s: Connection refused"


def test_a_name_that_nobody_knows_is_said() -> None:
    assert why_not_resolved("127.0.0.1", 443) == ""
    assert why_not_resolved("scim.invalid", 443) != ""


@pytest.mark.parametrize(
    ("mode", "user", "group", "reads"),
    [
        (0o600, os.geteuid(), 65534, True),
        (0o600, 65534, os.getegid(), False),
        (0o640, 65534, os.getegid(), True),
        (0o640, 65534, 65534, False),
        (0o644, 65534, 65534, True),
        (0o044, os.geteuid(), 65534, False),  # the first class that fits decides
    ],
)
def test_who_can_read_a_file_is_told_by_its_mode(tmp_path: Path, mode: int, user: int, group: int, reads: bool) -> None:
    file = tmp_path / "key.pem"
    file.touch()
    file.chmod(mode)

    assert can_read(Owner("somebody", user, group), file) is reads


@pytest.mark.parametrize(
    ("mode", "user", "group", "mend"),
    [
        (0o750, 65534, 65534, "chmod o+x"),
        (0o740, 65534, os.getegid(), "chmod g+x"),
        (0o751, 65534, 65534, ""),
        (0o750, 65534, os.getegid(), ""),
        (0o705, 65534, os.getegid(), "chmod g+x"),  # the first class that fits decides
        (0o700, 0, 0, ""),
    ],
)
def test_a_directory_that_somebody_cannot_enter_is_named_with_the_mend(
    mode: int, user: int, group: int, mend: str
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:  # pytest's own can be entered by nobody else
        etc = Path(temporary)
        etc.chmod(mode)
        said = why_not_entered(Owner("somebody", user, group), etc / "scim-gateway/secrets")

        assert said == (f"{etc} cannot be entered by somebody; {mend} {etc}" if mend else "")


def test_a_secret_may_come_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text(" geheim\n")
    with file.open() as opened:
        monkeypatch.setattr("sys.stdin", opened)
        assert secret_in("-") == "geheim"
    assert secret_in(str(file)) == "geheim"
