"""TLS where we are the client: towards an upstream, and towards a syslog server."""

from __future__ import annotations

import ssl
from pathlib import Path

__all__ = ["client_context", "no_passphrase"]


def client_context(ca_file: Path | None, certificate_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Whom we trust (the system's authorities when no file is named), and what we show.

    Chain and name of the other side are always checked.

    Raises:
        OSError: a file cannot be read, or is no certificate or key (ssl.SSLError is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
    if certificate_file is not None:
        context.load_cert_chain(certificate_file, key_file, password=no_passphrase)
    return context


def no_passphrase() -> str:
    """Stands where OpenSSL would ask whoever sits at the terminal, and wait.

    Raises:
        ssl.SSLError: always.
    """
    msg = "the key has a passphrase, and nobody is here to type it"
    raise ssl.SSLError(msg)
