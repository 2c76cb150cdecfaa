"""Checkpoints: how long the log was and the root of its tree, signed (C2SP tlog-checkpoint in a signed note). Pure.

    scim-gateway/gw-1
    20852
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    \u2014 scim-gateway/gw-1 Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeO...

Whoever holds one, outside of this machine, can tell later whether the log still begins with those lines.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ED25519 = b"\x01"  # the signature type of C2SP signed-note
_ID_BYTES = 4
_MOST_LINES = (1 << 63) - 1
_UNFIT = re.compile(r"[^\x21-\x2a\x2c-\x7e]+")  # a key's name holds neither spaces nor plus signs


class NoteInvalid(Exception):
    """A note is no checkpoint, or nobody's that we trust; `is_foreign` when only its signer or origin is not ours."""

    def __init__(self, why: str, *, is_foreign: bool = False) -> None:
        super().__init__(why)
        self.is_foreign = is_foreign


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """So many chained lines had this root; `origin` names the log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n".encode("ascii")


def origin_of(instance: str) -> str:
    """The name of an instance's log, and of its key."""
    return "scim-gateway/" + (_UNFIT.sub("-", instance) or "unnamed")


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    """The signed note; ends in a newline."""
    signature = b64encode(key_id(checkpoint.origin, key.public_key()) + key.sign(checkpoint.text)).decode()
    return checkpoint.text + f"\n\u2014 {checkpoint.origin} {signature}\n".encode()


def open_note(note: bytes, keys: Collection[Ed25519PublicKey]) -> Checkpoint:
    """What a note says, once it is known to be signed by one of `keys`; none given: whoever signed it.

    Raises:
        NoteInvalid: it is no checkpoint, or the signature is missing or does not hold.
    """
    text, separator, signatures = note.rpartition(b"\n\n")
    if not separator:
        raise NoteInvalid("it is no signed note")
    checkpoint = _read(text + b"\n")
    if keys:
        _check(checkpoint, signatures, {key_id(checkpoint.origin, key): key for key in keys})
    return checkpoint


def split_notes(content: bytes) -> tuple[tuple[bytes, ...], bool]:
    """The notes of a file, which a blank line follows each, and whether the last one is torn and so left out.

    For whoever goes on with the file, byte by byte; `notes.read_notes` is for proof.
    """
    parts = content.split(b"\n\n")
    whole = [text + b"\n\n" + signature + b"\n" for text, signature in _pairs(parts[:-1])]
    if parts[-1].endswith(b"\n") and len(parts) % 2 == 0:  # one that was copied alone: no blank line follows it
        whole.append(parts[-2] + b"\n\n" + parts[-1])
        return tuple(whole), False
    return tuple(whole), content != b"".join(note + b"\n" for note in whole)


def signers_of(note: bytes, origin: str) -> frozenset[bytes]:
    """The ids of the keys that a log's note says it is signed by; nobody has checked that."""
    expected = f"\u2014 {origin} ".encode()
    ids = set()
    for line in note.rpartition(b"\n\n")[2].splitlines():
        if line.startswith(expected):
            with suppress(ValueError, NoBase64):
                ids.add(b64decode(line.removeprefix(expected), validate=True)[:_ID_BYTES])
    return frozenset(ids)


def _pairs(parts: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(parts[::2], parts[1::2], strict=False)


def _read(text: bytes) -> Checkpoint:
    try:
        origin, size, root = text.decode("ascii").removesuffix("\n").split("\n")
        checkpoint = Checkpoint(origin, int(size), b64decode(root, validate=True))
    except (ValueError, NoBase64) as error:
        raise NoteInvalid("it is no checkpoint") from error
    if (
        checkpoint.text != text
        or len(checkpoint.root) != sha256().digest_size
        or not 0 <= checkpoint.size <= _MOST_LINES
    ):
        raise NoteInvalid("it is no checkpoint")
    return checkpoint


def _check(checkpoint: Checkpoint, signatures: bytes, keys: Mapping[bytes, Ed25519PublicKey]) -> None:
    """Whether one of the signatures is of one of these keys (by their ids), and holds; others' do not matter."""
    expected = f"\u2014 {checkpoint.origin} ".encode()
    for line in signatures.splitlines():
        if not line.startswith(expected):
            continue
        try:
            signature = b64decode(line.removeprefix(expected), validate=True)
        except (ValueError, NoBase64) as error:
            raise NoteInvalid("its signature cannot be read") from error
        key = keys.get(signature[:_ID_BYTES])
        if key is None:
            continue
        try:
            key.verify(signature[_ID_BYTES:], checkpoint.text)
        except InvalidSignature as error:
            raise NoteInvalid("its signature does not hold") from error
        return
    raise NoteInvalid(
        "it is not signed by this key" if len(keys) == 1 else "it is not signed by any of these keys", is_foreign=True
    )


def key_id(name: str, key: Ed25519PublicKey) -> bytes:
    """What C2SP signed-note calls a key by, beside its name."""
    public = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_ID_BYTES]
