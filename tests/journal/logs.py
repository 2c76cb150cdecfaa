"""Honest logs with restarts, power cuts and rotations; and what somebody may do to one."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.chain import Link, linked
from gateway.audit.checkpoints import Checkpoint, origin_of, sign
from gateway.journal.disk import Disk
from gateway.journal.notes import append_note
from gateway.journal.recovery import NOTES_NAME
from gateway.journal.segments import Segments
from tests.journal.disks import ForgetfulDisk, open_segments

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key()


def sign_off(directory: Path, segments: Segments, key: Ed25519PrivateKey = KEY) -> None:
    """A checkpoint of all that is on record."""
    tree = segments.link.tree
    append_note(directory, Checkpoint(origin_of("gw-1"), tree.size, tree.root), key, Disk())


def write_log(directory: Path, dice: random.Random, *, runs: int = 4, max_segment_bytes: int = 3000) -> None:
    """Some runs of a gateway, each ended by a stop or a power cut; the last one by a stop, with a checkpoint."""
    directory.mkdir(exist_ok=True)
    mark = 0
    for run in range(runs):
        disk = ForgetfulDisk()
        segments = open_segments(directory, disk, max_segment_bytes=max_segment_bytes)
        for _ in range(dice.randint(1, 8)):
            batch = [b'{"v":2,"mark":%d}\n' % (mark + place) for place in range(dice.randint(1, 5))]
            segments.append(batch)
            mark += len(batch)
            if dice.random() < 0.2:
                sign_off(directory, segments)
        if run < runs - 1 and dice.random() < 0.6:
            lose_power(segments, disk, dice)
        else:
            sign_off(directory, segments)
        segments.close()


def lose_power(segments: Segments, disk: ForgetfulDisk, dice: random.Random) -> None:
    """In the middle of a write, which nobody was told of."""
    disk.dying = True
    segments.append([b'{"v":2,"lost":true}\n'] * dice.randint(1, 3))
    disk.lose_power(lambda size_bytes: dice.randint(0, size_bytes))


# A line `segment` of number 1, with what no gateway writes there: (what stands there, what somebody put in its place).
NO_HEADERS = (
    (b'"prev":"' + b"0" * 64 + b'"', b'"prev":5'),
    (b'"prev":"' + b"0" * 64 + b'"', b'"prev":"\\ud800"'),
    (b'"prev":"' + b"0" * 64 + b'"', b'"prev":"' + b"0" * 63 + b'"'),
    (b'"seq":1,', b'"seq":1.0,'),
    (b'"seq":1,', b'"seq":true,'),
    (b'"seq":1,', b'"seq":"1",'),
    (b'"instance":"gw-1"', b'"instance":7'),
    (b'"segment":1', b'"segment":"x"'),
    (b'"size":0', b'"size":0.0'),
    (b'"size":0', b'"size":false'),
)


def spoil_header(path: Path, there: bytes, instead: bytes) -> None:
    """Put something else into a file's first line."""
    content = path.read_bytes()
    assert there in content.split(b"\n")[0]
    path.write_bytes(content.replace(there, instead, 1))


def segment_paths(directory: Path) -> list[Path]:
    return sorted(directory.glob("audit-*.jsonl"))


def _all_lines(directory: Path) -> list[tuple[Path, int]]:
    return [
        (path, place)
        for path in segment_paths(directory)
        for place in range(len(path.read_bytes().splitlines()))
    ]  # fmt: skip


def _change(path: Path, change: Callable[[list[bytes]], None]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def flip(directory: Path, dice: random.Random) -> None:
    """One bit of one byte."""
    path = dice.choice([path for path in segment_paths(directory) if path.stat().st_size])
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def drop(directory: Path, dice: random.Random) -> None:
    path, place = dice.choice(_all_lines(directory))
    _change(path, lambda lines: lines.__delitem__(place))


def insert(directory: Path, dice: random.Random) -> None:
    """A line of the log, once more, or a new one that fits at its place."""
    path, place = dice.choice(_all_lines(directory))

    def change(lines: list[bytes]) -> None:
        guest = dice.choice(lines)
        if dice.random() < 0.5:
            record = json.loads(lines[place])
            guest = linked(Link(record["seq"] - 1, record["prev"]), [b'{"v":2,"mark":"forged"}\n'])[0]
        lines.insert(place, guest)

    _change(path, change)


def swap(directory: Path, dice: random.Random) -> None:
    path, place = dice.choice([(path, place) for path, place in _all_lines(directory) if place])

    def change(lines: list[bytes]) -> None:
        other = dice.choice([number for number in range(len(lines)) if number != place])
        lines[place], lines[other] = lines[other], lines[place]

    _change(path, change)


def truncate(directory: Path, dice: random.Random) -> None:
    """A segment's end is cut off."""
    path = dice.choice([path for path in segment_paths(directory) if path.stat().st_size])
    content = path.read_bytes()
    path.write_bytes(content[: dice.randrange(len(content))])


def remove(directory: Path, dice: random.Random) -> None:
    dice.choice([path for path in segment_paths(directory) if path.stat().st_size]).unlink()


def sign_again(directory: Path, dice: random.Random) -> None:
    """Change one line, make the chain anew from there, and sign everything with another key."""
    paths = segment_paths(directory)
    lines = b"".join(path.read_bytes() for path in paths).splitlines(keepends=True)
    sizes = [int(note.split(b"\n")[1]) for note in notes(directory)]
    for path in paths[1:]:
        path.unlink()
    chosen = dice.randrange(1, len(lines))
    bare = [re.sub(rb'^\{"seq":\d+,(.*),"prev":"[0-9a-f]{64}"\}', rb"{\1}", line) for line in lines]
    bare = [line for line in bare if b'"segment":' not in line or b'"segment":1,' in line]
    bare[chosen % len(bare) or 1] = b'{"v":2,"mark":"forged"}\n'
    paths[0].write_bytes(linked(Link(), bare)[0])
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forged = b""
    for size in sizes:
        tree = linked(Link(), bare[:size])[1].tree
        forged += sign(Checkpoint(origin_of("gw-1"), tree.size, tree.root), other) + b"\n"
    (directory / NOTES_NAME).write_bytes(forged)


def notes(directory: Path) -> list[bytes]:
    """The signed notes of a log."""
    parts = (directory / NOTES_NAME).read_bytes().split(b"\n\n")[:-1]
    return [text + b"\n\n" + signature + b"\n" for text, signature in list(pairwise(parts))[::2]]


Tampering: TypeAlias = Callable[[Path, random.Random], None]
TAMPERINGS: tuple[Tampering, ...] = (flip, drop, insert, swap, truncate, remove, sign_again)
