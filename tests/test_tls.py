from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.server.tls import server_context
from gateway.tls import client_context


def as_client(certificate: Path, key: Path) -> ssl.SSLContext:
    return client_context(None, certificate, key)


@pytest.mark.parametrize("build", [as_client, server_context])
def test_nobody_is_asked_for_the_passphrase_of_a_key(
    tmp_path: Path, build: Callable[[Path, Path], ssl.SSLContext]
) -> None:
    issued = trustme.CA().issue_cert("gateway.test")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    private = load_pem_private_key(issued.private_key_pem.bytes(), None)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))

    with pytest.raises(ssl.SSLError, match="has a passphrase"):
        build(certificate, key)
