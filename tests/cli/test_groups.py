"""The key exchanges that a client may choose from, by real handshakes in processes of their own."""

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


# By TLS 1.3, where nothing but the group decides: 1.2 also asks it of the certificate's own curve.
CLIENT = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = ssl.TLSVersion.TLSv1_3
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as plain:
    try:
        print(context.wrap_socket(plain).version())
    except OSError as error:
        print("refused", error)
"""


def handshake(port: int, group: str, directory: Path) -> bool:
    """Whether a client passes that offers one group; only OpenSSL's configuration can tell a Python client so."""
    offer = directory / "client.cnf"
    offer.write_text(f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = {group}\n")
    environ = os.environ | {"OPENSSL_CONF": str(offer)}
    ran = subprocess.run(
        [sys.executable, "-c", CLIENT, str(port)], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.startswith(("TLSv1.3", "refused")), ran.stdout
    return ran.stdout.startswith("TLSv1.3")


@pytest.mark.parametrize(
    ("group", "passes"),
    [("X25519", True), ("prime256v1", True), ("secp384r1", True), ("secp521r1", False), ("X448", False)],
)
def test_a_client_passes_with_a_group_of_the_profile_only(tmp_path: Path, group: str, passes: bool) -> None:
    with served(tmp_path) as port:
        assert handshake(port, group, tmp_path) is passes


def test_a_file_of_the_operators_own_wins(tmp_path: Path) -> None:
    (tmp_path / "openssl.cnf").write_text("")
    with served(tmp_path / "tls", OPENSSL_CONF=str(tmp_path / "openssl.cnf")) as port:
        assert handshake(port, "secp521r1", tmp_path)
