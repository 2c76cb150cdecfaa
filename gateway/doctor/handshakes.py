"""TLS as a stranger meets it: the versions that are spoken, and the certificates that are shown."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from dataclasses import dataclass

from cryptography import x509

from gateway.doctor.chains import judge_accepted, why_refused
from gateway.doctor.findings import Finding, fault, ok, warning
from gateway.doctor.visit import Visit, unverified_context

_PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "BAD_PACKET_LENGTH")
_OLD_ONLY = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION")


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a server showed; `chain` as it was sent, its own certificate first."""

    version: str
    chain: tuple[x509.Certificate, ...]


async def tls_is_recent(visit: Visit) -> Finding:
    """TLS 1.2 and nothing older; 1.2 must be there, for no page says that Okta speaks 1.3."""
    try:
        found = await _shake_hands(visit, unverified_context())
    except (OSError, ssl.SSLError) as error:
        return await _explained(visit, error)
    if await _is_spoken(visit, _old_context()):
        return warning(
            "TLS 1.1 or older is accepted too", "switch off everything below TLS 1.2 in whatever ends TLS there"
        )
    only_1_2 = unverified_context()
    only_1_2.maximum_version = ssl.TLSVersion.TLSv1_2
    if not await _is_spoken(visit, only_1_2):
        return warning(
            "only TLS 1.3 is accepted", "accept TLS 1.2 as well: Okta's documentation promises no more than that"
        )
    return ok(f"{found.version.replace('v', ' ')}, and nothing older than 1.2")


async def certificate_is_trusted(visit: Visit) -> Finding:
    """The chain, the name and the dates, by the system's trust or by --ca-file's."""
    context = ssl.create_default_context(cafile=visit.ca_file)
    try:
        found = await _shake_hands(visit, context)
    except ssl.SSLCertVerificationError as error:
        shown = await _shake_hands(visit, unverified_context())
        return why_refused(error.verify_code, error.verify_message, shown.chain, visit.host)
    return judge_accepted(found.chain, visit.now())


async def _explained(visit: Visit, error: OSError) -> Finding:
    reason = getattr(error, "reason", "") or ""
    if reason in _PLAIN:
        return fault(
            f"port {visit.port} does not speak TLS",
            "is it the port of http, or of another program? Give the port where the gateway (or what ends TLS) listens",
        )
    if reason in _OLD_ONLY or await _is_spoken(visit, _old_context()):
        return fault(
            "only TLS 1.1 or older is spoken",
            "switch on TLS 1.2 in whatever ends TLS there: Okta says 'Received fatal alert: protocol_version'",
        )
    if isinstance(error, TimeoutError):
        return fault(
            f"no TLS handshake within {visit.limits.connect_seconds:g} s",
            "something accepts connections and does not speak: look at what stands between, and at the gateway's log",
        )
    said = reason.lower().replace("_", " ") or error.strerror or type(error).__name__
    return fault(
        f"the TLS handshake failed: {said}", "look at the gateway's log, and at what stands between and cuts it short"
    )


async def _is_spoken(visit: Visit, context: ssl.SSLContext) -> bool:
    try:
        await _shake_hands(visit, context)
    except OSError:
        return False
    return True


def _old_context() -> ssl.SSLContext:
    """A client of ten years ago, to learn whether it would be served."""
    context = unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that these are old is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def _shake_hands(visit: Visit, context: ssl.SSLContext) -> Handshake:
    return await asyncio.to_thread(_handshake, visit.host, visit.port, context, visit.limits.connect_seconds)


def _handshake(host: str, port: int, context: ssl.SSLContext, seconds: float) -> Handshake:
    with (
        socket.create_connection((host, port), seconds) as connection,
        context.wrap_socket(connection, server_hostname=host) as tls,
    ):
        return Handshake(tls.version() or "", tuple(map(x509.load_der_x509_certificate, _shown(tls))))


def _shown(tls: ssl.SSLSocket) -> tuple[bytes, ...]:
    """The certificates in the order in which they were sent. Python shows more than the first from 3.13 on only."""
    if hasattr(tls, "get_unverified_chain"):
        return tuple(tls.get_unverified_chain())
    ask = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    if ask is not None:
        return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in ask())
    first = tls.getpeercert(binary_form=True)
    return (first,) if first else ()
