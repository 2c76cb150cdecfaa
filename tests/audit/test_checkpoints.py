from __future__ import annotations

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.audit.checkpoints import Checkpoint, NoteInvalid, key_id, open_note, origin_of, sign, split_notes

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
CHECKPOINT = Checkpoint("scim-gateway/gw-1", 20852, bytes(range(32)))
NOTE = sign(CHECKPOINT, KEY)


def test_a_key_is_named_as_other_implementations_name_it() -> None:
    # The example of golang.org/x/mod/sumdb/note: PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
    encoded = b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")

    assert key_id("PeterNeumann", Ed25519PublicKey.from_public_bytes(encoded[1:])).hex() == "c74f20a3"


def test_a_note_is_what_c2sp_says() -> None:
    text, signature = NOTE.split(b"\n\n")

    assert text == b"scim-gateway/gw-1\n20852\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert signature.startswith("\u2014 scim-gateway/gw-1 ".encode())
    assert signature.endswith(b"\n")
    raw = b64decode(signature.rsplit(b" ", 1)[1])
    assert raw[:4] == key_id(CHECKPOINT.origin, KEY.public_key())
    KEY.public_key().verify(raw[4:], text + b"\n")


def test_a_signed_note_opens_to_what_was_signed() -> None:
    assert open_note(NOTE, [KEY.public_key()]) == CHECKPOINT
    assert open_note(NOTE, ()) == CHECKPOINT


def test_one_of_several_keys_is_enough_and_none_of_them_is_foreign() -> None:
    both = [OTHER_KEY.public_key(), KEY.public_key()]

    assert open_note(NOTE, both) == open_note(NOTE, both[::-1]) == CHECKPOINT
    with pytest.raises(NoteInvalid, match="any of these keys") as foreign:
        open_note(sign(CHECKPOINT, Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))), both)
    with pytest.raises(NoteInvalid, match="does not hold"):
        open_note(NOTE.replace(b"20852", b"20853"), both)
    assert foreign.value.is_foreign


def test_a_witness_may_sign_too() -> None:
    assert open_note(NOTE + "\u2014 witness.example abcd\n".encode(), [KEY.public_key()]) == CHECKPOINT


@pytest.mark.parametrize("place", range(len(NOTE.split(b"\n\n")[0])))
def test_no_byte_of_what_was_signed_can_be_changed(place: int) -> None:
    changed = bytearray(NOTE)
    changed[place] ^= 1

    with pytest.raises(NoteInvalid):
        open_note(bytes(changed), [KEY.public_key()])


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"junk",
        b"\n\n",
        b"a\n1\n\n",
        b"a\n01\n" + b"A" * 43 + b"=\n\n",
        b"a\n-1\n" + b"A" * 43 + b"=\n\n",
        b"a\n1\nAAAA\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused_whoever_signed_it(note: bytes) -> None:
    with pytest.raises(NoteInvalid):
        open_note(note, ())


def test_another_keys_signature_is_foreign_and_a_broken_one_is_not() -> None:
    with pytest.raises(NoteInvalid) as foreign:
        open_note(sign(CHECKPOINT, OTHER_KEY), [KEY.public_key()])
    with pytest.raises(NoteInvalid) as forged:
        open_note(NOTE.replace(b"20852", b"20853"), [KEY.public_key()])

    assert (foreign.value.is_foreign, forged.value.is_foreign) == (True, False)


@pytest.mark.parametrize(
    ("content", "notes", "is_torn"),
    [
        (b"", 0, False),
        (NOTE, 1, False),
        (NOTE + b"\n", 1, False),
        (NOTE + b"\n" + NOTE + b"\n", 2, False),
        (NOTE + b"\n" + NOTE, 2, False),
        (NOTE + b"\n" + NOTE[:30], 1, True),
        (NOTE + b"\n" + NOTE[:-1], 1, True),
    ],
)
def test_a_file_holds_notes_and_at_its_end_perhaps_a_torn_one(content: bytes, notes: int, is_torn: bool) -> None:
    assert split_notes(content) == ((NOTE,) * notes, is_torn)


@pytest.mark.parametrize(
    ("instance", "origin"),
    [("gw-1", "scim-gateway/gw-1"), ("a b+c", "scim-gateway/a-b-c"), ("", "scim-gateway/unnamed")],
)
def test_an_origin_fits_into_a_note(instance: str, origin: str) -> None:
    assert origin_of(instance) == origin
