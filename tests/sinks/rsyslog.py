"""A real rsyslogd that asks for a client certificate: from the system, else fetched into build/ from Debian."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import debian

FETCHED = debian.BUILD / "rsyslog"
PACKAGES = ("rsyslog", "rsyslog-openssl")
START_SECONDS = 30

CONFIGURATION = """
global(
    workDirectory="{directory}" maxMessageSize="128k"
    defaultNetstreamDriverCAFile="{directory}/ca.pem"
    defaultNetstreamDriverCertFile="{directory}/server.pem"
    defaultNetstreamDriverKeyFile="{directory}/server.key"
)
module(
    load="imtcp" streamDriver.name="ossl" streamDriver.mode="1"
    streamDriver.authMode="x509/name" permittedPeer=["gateway.test"]
)
template(name="asSent" type="string" string="%msg%\\n")
input(type="imtcp" address="127.0.0.1" port="{port}")
action(type="omfile" file="{directory}/received" template="asSent")
"""


@dataclass(frozen=True, slots=True)
class Program:
    """How rsyslogd is called, and where its modules are."""

    rsyslogd: Path
    libraries: tuple[Path, ...]
    modules: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, self.libraries))}


def find_rsyslogd() -> Program:
    """The system's, or the one fetched; without any the test is skipped, and in CI it fails."""
    found = _in(Path("/")) or _in(FETCHED / "root")
    problem = "" if found else debian.fetch("rsyslog", *PACKAGES)
    return found or _in(FETCHED / "root") or debian.missing("rsyslogd with its OpenSSL driver", problem, *PACKAGES)


def _in(root: Path) -> Program | None:
    driver = next(root.glob("usr/lib/*/rsyslog/lmnsd_ossl.so"), None)
    rsyslogd = root / "usr/sbin/rsyslogd"
    if driver is None or not rsyslogd.is_file():
        return None
    return Program(
        rsyslogd, tuple(sorted(root.glob("usr/lib/*-linux-gnu"))) if root != Path("/") else (), driver.parent
    )


class Rsyslog:
    """One server with one port and one file of what it received, over its restarts."""

    def __init__(self, program: Program, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "rsyslog.conf").write_text(CONFIGURATION.format(directory=directory, port=port))

    def start(self) -> None:
        """Until it listens."""
        directory = self.directory
        words = ("-n", "-f", str(directory / "rsyslog.conf"), "-i", str(directory / "pid"))
        with (directory / "errors").open("ab") as errors:
            self._process = subprocess.Popen(
                (str(self._program.rsyslogd), "-M", str(self._program.modules), *words),
                env=self._program.environment,
                stderr=errors,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"rsyslogd does not start: {(directory / 'errors').read_text()}")
            time.sleep(0.02)

    def stop(self, *, at_once: bool = False) -> None:
        """As `systemctl restart` does, or as a power cut."""
        if self._process is None:
            return
        if at_once:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(START_SECONDS)
        self._process = None

    def freeze(self) -> None:
        """It reads nothing any more, until it is stopped at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def received(self) -> list[bytes]:
        """The messages, as their texts arrived."""
        file = self.directory / "received"
        return file.read_bytes().splitlines() if file.exists() else []

    def _listens(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def rsyslog(directory: Path, port: int) -> Iterator[Rsyslog]:
    """A server that runs; its certificates are in the directory already."""
    server = Rsyslog(find_rsyslogd(), directory, port)
    server.start()
    try:
        yield server
    finally:
        server.stop(at_once=True)
