"""TLS towards clients: one way of building a context, and certificates that change without a restart.

The listener always hands the same front context to the kernel's connections; its `sni_callback` puts the present
one in its place, with or without SNI. A context that serves is never loaded anew: a second key of another kind
would leave the first one served, and a pair that does not fit would take away the good one before it fails.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509

from gateway.settings.models import MetricsSection
from gateway.tls import no_passphrase

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # content is compared, for symlinks are swapped and network file systems tell nothing
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # TLS 1.2: forward secrecy and AEAD only; TLS 1.3 has nothing else


def server_context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """A context that passes Mozilla's "intermediate" profile. The groups come from OPENSSL_CONF.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: no certificate, no key, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # all are strong, so the client knows best what it does fast
    context.load_cert_chain(certificate_file, key_file, password=no_passphrase)
    return context


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and its key."""

    certificate_file: Path
    key_file: Path

    def digest(self) -> bytes:
        """Of both files' content; b"" when one cannot be read."""
        try:
            both = self.certificate_file.read_bytes() + b"\0" + self.key_file.read_bytes()
        except OSError:
            return b""
        return hashlib.sha256(both).digest()


class HasPair(Protocol):
    """Whoever names the files of a pair: a section of the settings."""

    @property
    def certificate_file(self) -> Path: ...

    @property
    def key_file(self) -> Path: ...


class Certificates:
    """The pair that new handshakes get.

    Raises:
        OSError, ssl.SSLError, ValueError: the first pair is not usable; a gateway does not start so.
    """

    def __init__(self, listen: HasPair) -> None:
        self._pair = Pair(listen.certificate_file, listen.key_file)
        self.reloads = Counter(taken=0, refused=0)
        self._seen = self._pair.digest()
        self._present, self.expires_at = _load(self._pair)
        self.refused = ""  # why the files' present content is not served; "" when it is
        self.front = server_context(listen.certificate_file, listen.key_file)
        self.front.sni_callback = self._put_present

    def _put_present(self, handshake: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _front: ssl.SSLContext) -> None:
        handshake.context = self._present

    def follow(self, listen: HasPair) -> None:
        """Look at other files from now on, as a reload of the settings may say; the next look finds them."""
        self._pair = Pair(listen.certificate_file, listen.key_file)

    async def watch(self, interval_seconds: float = POLL_SECONDS) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(interval_seconds)
            await self.look()

    async def look(self) -> None:
        """Take a changed pair if it is good; else keep the old one, say so once, and look again."""
        digest = await asyncio.to_thread(self._pair.digest)
        if digest == self._seen:
            return
        self._seen = digest
        try:
            self._present, self.expires_at = await asyncio.to_thread(_load, self._pair)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.refused = _said(error)
            log.error("the new certificate is not usable, the old one is kept: %s", self.refused)  # noqa: TRY400
            self.reloads["refused"] += 1
            return
        self.refused = ""
        log.warning(
            "a new certificate is served, valid until %s", time.strftime("%Y-%m-%d", time.gmtime(self.expires_at))
        )
        self.reloads["taken"] += 1


def certificates_of_metrics(section: MetricsSection) -> Certificates | None:
    """Those of the metrics' own listener; None when it has no TLS.

    Raises:
        OSError, ssl.SSLError, ValueError: the pair is not usable.
    """
    if section.certificate_file is None or section.key_file is None:
        return None
    return Certificates(Pair(section.certificate_file, section.key_file))


def _said(error: Exception) -> str:
    """Why a pair is not usable, as `check` would say it."""
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not the key of the certificate"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _load(pair: Pair) -> tuple[ssl.SSLContext, float]:
    """The context, and when its certificate ends (Unix seconds)."""
    try:
        certificate = x509.load_pem_x509_certificates(pair.certificate_file.read_bytes())[0]
    except x509.InvalidVersion as error:  # no ValueError, and would end the task that watches, and so the gateway
        raise ValueError(f"{pair.certificate_file}: {error}") from error
    expires_at = certificate.not_valid_after_utc.timestamp()
    if expires_at <= time.time():
        raise ValueError(f"{pair.certificate_file} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc.timestamp() > time.time() + 300:
        raise ValueError(
            f"{pair.certificate_file} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        )
    return server_context(pair.certificate_file, pair.key_file), expires_at
