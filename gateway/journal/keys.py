"""The key that signs checkpoints: an Ed25519 key in a PEM file, made at the first start. Blocking."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gateway.journal.disk import sync_directory

KEY_NAME = "audit-key.pem"  # in the state directory


class KeyUnusable(Exception):
    """A file holds no Ed25519 key of the kind that is needed; the text names the file and what would be right."""


def made_or_read(path: Path, sync: Callable[[int], None] = os.fsync) -> Ed25519PrivateKey:
    """The key in a file, which is made (0600) if there is none; one that was made would survive a power cut.

    Raises:
        KeyUnusable: it holds something else.
        OSError: it cannot be read or made.
    """
    if not path.exists():
        _make(path, sync)
    return read_private(path)


def read_private(path: Path) -> Ed25519PrivateKey:
    """The key in a file.

    Raises:
        KeyUnusable: it holds something else.
        OSError: it cannot be read.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"{path} holds no private key in PEM without a password: {_HOW}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} holds a key of another kind than Ed25519: {_HOW}")
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """A public key, to check checkpoints with.

    Raises:
        KeyUnusable: the file holds something else.
        OSError: it cannot be read.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"{path} holds no public key in PEM: scim-gateway audit key prints it") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(f"{path} holds a key of another kind than Ed25519: scim-gateway audit key prints it")
    return key


def public_pem(key: Ed25519PrivateKey) -> str:
    """What an auditor needs to check the signatures."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


_HOW = "openssl genpkey -algorithm ed25519 makes one"


def _make(path: Path, sync: Callable[[int], None]) -> None:
    """Written whole under another name first: a crash leaves no half of a key, and none is ever replaced."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, pem)
        sync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
    # Else a power cut takes the name, and the next start makes another key, to which the old checkpoints are foreign.
    sync_directory(path.parent, sync)
