"""The key exchanges that a client may choose from, by real handshakes of OpenSSL's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.rehearsal.certificates import make_development_certificates

# As the command line does: gateway.cli first, whatever loads OpenSSL later.
SERVER = """
import gateway.cli
import socket, ssl, sys
from pathlib import Path
from gateway.server.tls import server_context
context = server_context(Path(sys.argv[1]), Path(sys.argv[2]))
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    with connection:
        try:
            context.wrap_socket(connection, server_side=True).recv(1)
        except OSError:
            pass
"""


@contextmanager
def served(directory: Path, **environ: str) -> Iterator[int]:
    """One handshake by our context in a process of its own; the port."""
    made = make_development_certificates(directory, ("127.0.0.1",))
    clean = {name: value for name, value in os.environ.items() if name != "OPENSSL_CONF"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, made.certificate_file, made.key_file],
        stdout=subprocess.PIPE,
        text=True,
        env={**clean, **environ},
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def handshake(port: int, group: str) -> bool:
    """By TLS 1.3, where nothing but the group decides: 1.2 also asks it of the certificate's own curve."""
    ran = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-groups", group],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return "New, TLSv1.3" in ran.stdout


@pytest.mark.parametrize(
    ("group", "passes"),
    [("X25519", True), ("prime256v1", True), ("secp384r1", True), ("secp521r1", False), ("X448", False)],
)
def test_a_client_passes_with_a_group_of_the_profile_only(tmp_path: Path, group: str, passes: bool) -> None:
    with served(tmp_path) as port:
        assert handshake(port, group) is passes


def test_a_file_of_the_operators_own_wins(tmp_path: Path) -> None:
    (tmp_path / "openssl.cnf").write_text("")
    with served(tmp_path / "tls", OPENSSL_CONF=str(tmp_path / "openssl.cnf")) as port:
        assert handshake(port, "secp521r1")
