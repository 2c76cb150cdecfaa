"""A real HAProxy: from the system, else Debian's, fetched into build/."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import debian
from tests.ports import unused_port

SHIPPED = Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"
START_SECONDS = 30
# At layer 7: TLS ends in HAProxy, and begins again towards the gateway.
ENDS_TLS = """
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend scim
    bind 127.0.0.1:{port} ssl crt {pem} alpn http/1.1
    option forwardfor
    http-request set-header Forwarded "%[req.hdr(Forwarded)], for=\\"%[src]\\""
    default_backend gateway
backend gateway
    server gateway 127.0.0.1:{gateway_port} ssl verify required ca-file {ca} sni str(localhost)
"""


def call(*words: str) -> subprocess.CompletedProcess[str]:
    command = (*debian.call("edge", "haproxy", "haproxy"), *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def without_the_host(text: str) -> str:
    """The shipped file for a machine without HAProxy's user and directory."""
    return re.sub(r"^    (?:user haproxy|group haproxy|chroot \S+)\n", "", text, flags=re.MULTILINE)


def passing_tls_through(port: int, gateway_port: int, version: int) -> str:
    """The shipped file for these ports, with a PROXY header of that version and checks that come at once."""
    text = without_the_host(SHIPPED.read_text())
    for shipped, ours in (
        ("bind [::]:443 v4v6", f"bind 127.0.0.1:{port}"),
        ("10.0.0.21:8443", f"127.0.0.1:{gateway_port}"),
        ("10.0.0.22:8443", f"127.0.0.1:{unused_port()}"),
        (" send-proxy-v2 ", " send-proxy-v2 " if version == 2 else " send-proxy "),
        ("inter 2s", "inter 50ms"),
    ):
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, ours)
    return text


@contextmanager
def haproxy(directory: Path, text: str, port: int) -> Iterator[None]:
    """Runs with this configuration until the block ends."""
    file = directory / "haproxy.cfg"
    file.write_text(text)
    with (directory / "haproxy.log").open("wb") as log:
        words = (*debian.call("edge", "haproxy", "haproxy"), "-db", "-f", str(file))
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"haproxy does not start: {(directory / 'haproxy.log').read_text()}")
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait(START_SECONDS)


def _listens(port: int) -> bool:
    """Found out without a call, which would show at the gateway."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
