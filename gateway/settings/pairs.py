"""Certificates and keys as files: whether they fit, are whole, in date and strong enough."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.settings.problems import Problem

SOON_SECONDS = 30 * 86_400
MIN_RSA_BITS = 2048
MIN_EC_BITS = 256

KeyedFile = tuple[str, Path]  # the setting's key, and the file it names


def examine_pair(certificate: KeyedFile, key: KeyedFile, now: float) -> Iterator[Problem]:
    """Everything about a certificate and its key. `now` in Unix seconds."""
    chain = yield from _chain(*certificate)
    private = yield from _private_key(*key)
    if chain:
        yield from _is_in_order(*certificate, chain)
        yield from _are_in_date(*certificate, chain, now)
    if chain and private is not None and chain[0].public_key() != private.public_key():
        yield Problem(
            key[0], f"{key[1]} is not the key of the certificate in {certificate[1]}; give the two that belong together"
        )
    if private is not None and _is_weak(private):
        yield Problem(key[0], f"{key[1]} is too short: RSA needs {MIN_RSA_BITS} bits, elliptic curves {MIN_EC_BITS}")


def examine_public_chain(key: str, file: Path) -> Iterator[Problem]:
    """Whether clients that know the root alone can follow the chain; a file that cannot be read is passed over.

    Who is shown a certificate inside (the upstream, a syslog server, Prometheus) has the authority that issued it.
    """
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError, x509.InvalidVersion):
        return  # said elsewhere
    leaf, last = chain[0], chain[-1]
    if last.issuer == last.subject:
        what = (
            "is signed by itself: Okta and Entra refuse it"
            if last is leaf
            else "also holds its root, which is not needed"
        )
        yield Problem(key, f"{file} {what}", "warning")
    elif last is leaf and not any(_is_issued_by(leaf, root) for root in _trusted_here(leaf.issuer)):
        yield Problem(
            key,
            f"{file} holds one certificate and not its issuer's ({last.issuer.rfc4514_string()}): "
            "clients that do not know it refuse the connection; append the intermediate certificates",
        )


def examine_name(key: str, file: Path, host: str) -> Iterator[Problem]:
    """Whether the certificate is for the host that clients call; a file that cannot be read is passed over."""
    if host.endswith(".invalid"):
        return  # RFC 2606: stands in for a host that was refused already
    try:
        names = (
            x509.load_pem_x509_certificates(file.read_bytes())[0]
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
    except (OSError, ValueError, x509.InvalidVersion):
        return  # said elsewhere
    except x509.ExtensionNotFound:
        yield Problem(key, f"{file} names no host (no subjectAltName); clients refuse it")
        return
    dns = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    wildcard = f"*.{host.partition('.')[2]}"
    if host not in dns and wildcard not in dns and host not in addresses:
        some = ", ".join((*dns, *addresses)[:6]) or "nothing"
        yield Problem(key, f"{file} is not for {host}, the host of gateway.public_url; it is for {some}")


def examine_authorities(key: str, file: Path) -> Iterator[Problem]:
    """Whether a file holds certificates to trust."""
    yield from _chain(key, file)


def _chain(key: str, file: Path) -> Generator[Problem, None, list[x509.Certificate]]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        yield Problem(key, f"{file} cannot be read: {error.strerror}")
    except (ValueError, x509.InvalidVersion):
        yield Problem(key, f"{file} holds no certificate in PEM form")
    return []


def _private_key(key: str, file: Path) -> Generator[Problem, None, PrivateKeyTypes | None]:
    try:
        return load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        yield Problem(key, f"{file} cannot be read: {error.strerror}")
    except TypeError:
        yield Problem(key, f"{file} has a passphrase, and nobody is there to type it at a start; write it without one")
    except (ValueError, UnsupportedAlgorithm):
        yield Problem(key, f"{file} holds no private key in PEM form")
    return None


def _is_in_order(key: str, file: Path, chain: list[x509.Certificate]) -> Iterator[Problem]:
    """Each certificate is followed by its issuer."""
    for position, (certificate, issuer) in enumerate(pairwise(chain), start=1):
        if not _is_issued_by(certificate, issuer):
            text = f"{file} is out of order: certificate {position + 1} did not issue certificate {position}"
            yield Problem(key, text)
            return


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _trusted_here(name: x509.Name) -> Iterator[x509.Certificate]:
    """The authorities of a name that this machine trusts. Others are not looked into: some old ones break a rule."""
    encoded_name = name.public_bytes()
    for encoded in ssl.create_default_context().get_ca_certs(binary_form=True):
        if encoded_name in encoded:
            with suppress(ValueError, x509.InvalidVersion):
                yield x509.load_der_x509_certificate(encoded)


def _are_in_date(key: str, file: Path, chain: list[x509.Certificate], now: float) -> Iterator[Problem]:
    """An intermediate that has ended breaks the chain as the certificate itself does."""
    moment = datetime.fromtimestamp(now, UTC)
    for position, certificate in enumerate(chain, start=1):
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        which = f"{file}" if position == 1 else f"{file}, certificate {position},"
        if ends <= moment:
            yield Problem(key, f"{which} has expired on {ends:%Y-%m-%d}; renew it")
        elif begins > moment:
            yield Problem(key, f"{which} is not valid before {begins:%Y-%m-%d %H:%M} UTC; is the clock right?")
        elif (ends - moment).total_seconds() < SOON_SECONDS:
            yield Problem(key, f"{which} ends on {ends:%Y-%m-%d}; renew it", "warning")


def _is_weak(private: PrivateKeyTypes) -> bool:
    if isinstance(private, rsa.RSAPrivateKey):
        return private.key_size < MIN_RSA_BITS
    return isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.key_size < MIN_EC_BITS
