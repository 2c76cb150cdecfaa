"""An authority with an intermediate one, as public authorities have, and certificates good and bad."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@cache
def root() -> Issued:
    return issue("Root of the tests", None, is_authority=True)


@cache
def intermediate() -> Issued:
    return issue("Intermediate of the tests", root(), is_authority=True)


def issue(
    name: str,
    issuer: Issued | None,
    *,
    hosts: tuple[str, ...] = (),
    begins_days: float = -10,
    ends_days: float = 90,
    is_authority: bool = False,
) -> Issued:
    """A certificate, signed by itself without an issuer; its days count from now."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins_days))
        .not_valid_after(now + timedelta(days=ends_days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write(directory: Path, leaf: Issued, *others: Issued) -> tuple[Path, Path]:
    """`fullchain.pem` with the certificates in this order, and `key.pem` (0600)."""
    directory.mkdir(exist_ok=True, parents=True)
    chain, key = directory / "fullchain.pem", directory / "key.pem"
    chain.write_bytes(b"".join(one.pem for one in (leaf, *others)))
    key.touch(mode=0o600)
    key.write_bytes(
        leaf.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, key


def write_good(directory: Path, host: str) -> tuple[Path, Path]:
    """A pair with its intermediate, good for 90 days; and `root.pem`, which a stranger would trust."""
    pair = write(directory, issue(host, intermediate(), hosts=(host,)), intermediate())
    (directory / "root.pem").write_bytes(root().pem)
    return pair
