from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.chain import Link, linked, walk
from gateway.audit.checkpoints import Checkpoint, sign
from gateway.audit.lines import segment_line
from gateway.audit.merkle import Tree
from gateway.audit.notes import read_notes
from gateway.audit.tampering import Kind
from gateway.journal.recovery import NOTES_NAME
from gateway.journal.verifying import Request, Verdict, verify
from tests.journal import logs
from tests.journal.disks import LINE, line, open_segments


def verdict_of(directory: Path, **more: object) -> Verdict:
    return verify(Request(directory, keys=(logs.PUBLIC_KEY,), **more))  # type: ignore[arg-type] # as the test says


@pytest.mark.parametrize("seed", range(40))
def test_no_honest_log_is_found_tampered_with(tmp_path: Path, seed: int) -> None:
    logs.write_log(tmp_path, random.Random(seed), runs=1 + seed % 6)
    verdict = verdict_of(tmp_path)

    assert verdict.finding is None
    assert verdict.remarks == ()
    assert (verdict.first, verdict.proven_to) == (1, verdict.last)
    assert verdict.last > 1


@pytest.mark.parametrize("tamper", logs.TAMPERINGS)
def test_every_tampering_is_found(tmp_path: Path, tamper: logs.Tampering) -> None:
    dice = random.Random(7)
    tampered = 0
    for number in range(5):
        honest = tmp_path / f"honest-{number}"
        logs.write_log(honest, dice)
        for attempt in range(30):
            copy = tmp_path / f"copy-{number}-{attempt}"
            shutil.copytree(honest, copy)
            tamper(copy, dice)
            if contents(copy) != contents(honest):
                assert verdict_of(copy).finding is not None, copy
                tampered += 1

    assert tampered > 100


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.soak
def test_of_a_thousand_honest_logs_none_is_found_tampered_with(tmp_path: Path) -> None:
    for seed in range(1000):
        logs.write_log(tmp_path / str(seed), random.Random(seed), runs=1 + seed % 6)
        assert verdict_of(tmp_path / str(seed)).finding is None, seed


def three_lines(directory: Path) -> list[bytes]:
    """A log of a header and five lines, with a checkpoint; its lines."""
    segments = open_segments(directory)
    segments.append([LINE] * 5)
    logs.sign_off(directory, segments)
    segments.close()
    return (directory / "audit-000001.jsonl").read_bytes().splitlines(keepends=True)


def rewrite(directory: Path, lines: list[bytes]) -> None:
    (directory / "audit-000001.jsonl").write_bytes(b"".join(lines))


def edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'"v":2', b'"v":3'), *lines[3:]]


def edited_last(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[5].replace(b'"v":2', b'"v":3')]


def without_the_third(lines: list[bytes]) -> list[bytes]:
    return lines[:2] + lines[3:]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[3], lines[2], *lines[4:]]


def doubled(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[1], *lines[3:]]


def with_a_guest(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'"v":2', b'"v":3'), *lines[2:]]


def renumbered(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'"seq":3', b'"seq":9'), *lines[3:]]


def made_anew(lines: list[bytes]) -> list[bytes]:
    head = linked(Link(), [b"{" + lines[0].split(b",", 1)[1].rsplit(b',"prev"', 1)[0] + b"}\n"])
    return [head[0], *linked(head[1], [b'{"v":3}\n'] * 5)[0].splitlines(keepends=True)]


def rechained(lines: list[bytes]) -> list[bytes]:
    """The third line was changed, and all behind it name the right digests again."""
    link = walk(Link(), [entry.rstrip(b"\n") for entry in lines[:2]])
    bare = [b"{" + entry.split(b",", 1)[1].rsplit(b',"prev"', 1)[0] + b"}\n" for entry in lines[2:]]
    return [*lines[:2], *linked(link, [b'{"v":3}\n', *bare[1:]])[0].splitlines(keepends=True)]


def cut_short(lines: list[bytes]) -> list[bytes]:
    return lines[:4]


@pytest.mark.parametrize(
    ("tamper", "kind", "sequence"),
    [
        (edited, Kind.EDIT, 3),
        (edited_last, Kind.REWRITING, 1),
        (without_the_third, Kind.REMOVAL, 3),
        (swapped, Kind.REORDERING, 3),
        (lambda lines: [*lines[:1], *lines[2:], lines[1]], Kind.REORDERING, 2),
        (lambda lines: [entry.replace(b"\n", b"\r\n") for entry in lines], Kind.EDIT, 1),
        (doubled, Kind.INSERTION, 4),
        (with_a_guest, Kind.INSERTION, 4),
        (renumbered, Kind.EDIT, 3),
        (made_anew, Kind.REWRITING, 1),
        (cut_short, Kind.TRUNCATION, 5),
    ],
)
def test_the_first_bad_line_is_named_and_what_it_looks_like(
    tmp_path: Path, tamper: Callable[[list[bytes]], list[bytes]], kind: Kind, sequence: int
) -> None:
    rewrite(tmp_path, tamper(three_lines(tmp_path)))
    finding = verdict_of(tmp_path).finding

    assert finding is not None
    assert (finding.kind, finding.sequence) == (kind, sequence), finding.why


def test_a_log_replaced_whole_is_found_by_a_checkpoint_from_elsewhere(tmp_path: Path) -> None:
    lines = three_lines(tmp_path)
    [kept] = read_notes((tmp_path / NOTES_NAME).read_bytes()).notes
    rewrite(tmp_path, made_anew(lines))
    (tmp_path / NOTES_NAME).unlink()

    assert verdict_of(tmp_path).finding is None
    finding = verdict_of(tmp_path, notes=(kept,)).finding
    assert finding is not None
    assert finding.kind is Kind.REWRITING


@pytest.mark.parametrize(
    ("note", "kind"),
    [
        (b"junk\n\njunk\n\n", Kind.FORGED_CHECKPOINT),
        (
            sign(Checkpoint("scim-gateway/gw-1", 6, bytes(32)), Ed25519PrivateKey.from_private_bytes(bytes(32))),
            Kind.FOREIGN_CHECKPOINT,
        ),
        (sign(Checkpoint("scim-gateway/gw-2", 6, bytes(32)), logs.KEY), Kind.FOREIGN_CHECKPOINT),
        (sign(Checkpoint("scim-gateway/gw-2", 60, bytes(32)), logs.KEY), Kind.FOREIGN_CHECKPOINT),
        (sign(Checkpoint("scim-gateway/gw-1", 6, bytes(32)), logs.KEY), Kind.REWRITING),
        (sign(Checkpoint("scim-gateway/gw-1", 60, bytes(32)), logs.KEY), Kind.TRUNCATION),
        (
            sign(Checkpoint("scim-gateway/gw-1", 7, bytes(32)), logs.KEY).replace(b"\n7\n", b"\n6\n"),
            Kind.FORGED_CHECKPOINT,
        ),
    ],
)
def test_a_checkpoint_that_is_not_ours_is_named(tmp_path: Path, note: bytes, kind: Kind) -> None:
    three_lines(tmp_path)
    finding = verdict_of(tmp_path, notes=(note,)).finding

    assert finding is not None
    assert finding.kind is kind, finding.why


def blank_line_taken_out(content: bytes) -> bytes:
    return content.replace(b"\n\nscim-", b"\nscim-", 1)


def line_taken_out(content: bytes) -> bytes:
    return b"\n".join(content.split(b"\n")[1:])


def signature_taken_out(content: bytes) -> bytes:
    return b"\n\n".join(part for place, part in enumerate(content.split(b"\n\n")) if place != 1)


def junk_put_in(content: bytes) -> bytes:
    return content.replace(b"\n\nscim-", b"\n\njunk\n\nscim-", 1)


@pytest.mark.parametrize(
    "damage",
    [blank_line_taken_out, line_taken_out, signature_taken_out, junk_put_in, lambda content: b"j\n\n" + content],
)
def test_damaged_checkpoints_are_found_and_the_others_stand(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    lines = three_lines(tmp_path)
    notes = tmp_path / NOTES_NAME
    notes.write_bytes(damage(notes.read_bytes() * 3))
    verdict = verdict_of(tmp_path)
    rewrite(tmp_path, made_anew(lines))
    finding = verdict_of(tmp_path).finding

    assert verdict.finding is not None
    assert (verdict.finding.kind, verdict.finding.sequence) == (Kind.FORGED_CHECKPOINT, 0)
    assert (verdict.checkpoints >= 2, verdict.proven_to, verdict.last) == (True, 6, 6)
    assert finding is not None
    assert finding.kind is Kind.REWRITING


@pytest.mark.parametrize("size", [1, 30, 80, 100, 150])
def test_a_torn_last_checkpoint_is_no_tampering(tmp_path: Path, size: int) -> None:
    three_lines(tmp_path)
    notes = tmp_path / NOTES_NAME
    notes.write_bytes(notes.read_bytes() + notes.read_bytes()[:size])
    verdict = verdict_of(tmp_path)

    assert (verdict.finding, verdict.remarks) == (None, ("the last checkpoint is unfinished",))


@pytest.mark.parametrize("size", [b"9" * 5000, b"9" * 4000])
def test_what_a_checkpoint_says_is_not_shown_at_any_length(tmp_path: Path, size: bytes) -> None:
    three_lines(tmp_path)
    notes = tmp_path / NOTES_NAME
    notes.write_bytes(notes.read_bytes().replace(b"\n6\n", b"\n" + size + b"\n"))
    finding = verify(Request(tmp_path)).finding

    assert finding is not None
    assert (finding.kind, len(finding.why) < 200) == (Kind.FORGED_CHECKPOINT, True)


def test_lines_of_before_the_chain_are_told_and_tied_on_to(tmp_path: Path) -> None:
    (tmp_path / "audit-000001.jsonl").write_bytes(line(1) + line(2))
    segments = open_segments(tmp_path)
    segments.append([LINE])
    logs.sign_off(tmp_path, segments)
    segments.close()
    verdict = verdict_of(tmp_path)

    assert verdict.finding is None
    assert (verdict.unchained_before, verdict.first, verdict.last) == (3, 3, 4)
    (tmp_path / "audit-000001.jsonl").write_bytes(line(1) + line(2).replace(b'"v":1', b'"v":1,"x":0'))
    assert verdict_of(tmp_path).finding is not None


@pytest.mark.parametrize("lines", [1, 3, 5])
def test_lines_whose_chain_was_taken_away_do_not_hide_those_behind_them(tmp_path: Path, lines: int) -> None:
    written = three_lines(tmp_path)
    (tmp_path / NOTES_NAME).unlink()
    rewrite(tmp_path, [*(line(number + 1) for number in range(lines)), *written[lines:]])
    finding = verify(Request(tmp_path)).finding

    assert finding is not None
    assert (finding.kind, finding.sequence) == (Kind.EDIT, 1), finding.why


def test_a_blank_line_in_front_does_not_hide_a_file(tmp_path: Path) -> None:
    rewrite(tmp_path, [b"\n", *three_lines(tmp_path)])
    (tmp_path / NOTES_NAME).unlink()

    assert verify(Request(tmp_path)).finding is not None


def test_what_no_checkpoint_stands_for_is_told_apart(tmp_path: Path) -> None:
    three_lines(tmp_path)
    segments = open_segments(tmp_path)
    signed = verdict_of(tmp_path)
    segments.append([LINE] * 2)
    segments.close()
    more = verdict_of(tmp_path)
    (tmp_path / NOTES_NAME).unlink()
    bare = verdict_of(tmp_path)

    assert (signed.last, signed.unsigned_from, signed.is_unsigned) == (6, 0, False)
    assert (more.last, more.unsigned_from, more.is_unsigned) == (8, 7, False)
    assert (bare.last, bare.unsigned_from, bare.is_unsigned) == (8, 1, True)
    assert not verify(Request(tmp_path)).is_unsigned


def test_a_header_that_tells_of_another_tree_is_found_though_the_chain_holds(tmp_path: Path) -> None:
    lines = three_lines(tmp_path)
    link = walk(Link(), [entry.rstrip(b"\n") for entry in lines])
    lie = segment_line(2, 7, Tree(1, (bytes(32),)), now=0.0, instance="gw-1")
    (tmp_path / "audit-000002.jsonl").write_bytes(linked(link, [lie, LINE])[0])
    finding = verdict_of(tmp_path).finding

    assert finding is not None
    assert (finding.kind, finding.sequence) == (Kind.EDIT, 7)


@pytest.mark.parametrize(("there", "instead"), logs.NO_HEADERS)
def test_a_header_with_what_no_gateway_writes_there_is_named(tmp_path: Path, there: bytes, instead: bytes) -> None:
    three_lines(tmp_path)
    (tmp_path / NOTES_NAME).unlink()
    logs.spoil_header(tmp_path / "audit-000001.jsonl", there, instead)
    finding = verdict_of(tmp_path).finding

    assert finding is not None
    assert (finding.kind, finding.sequence) == (Kind.EDIT, 1), finding.why


def test_a_range_begins_at_the_segment_that_holds_its_first_line(tmp_path: Path) -> None:
    logs.write_log(tmp_path, random.Random(7), runs=8)
    last = verdict_of(tmp_path).last
    logs.segment_paths(tmp_path)[0].write_bytes(b"junk\n")
    verdict = verdict_of(tmp_path, first=last - 10, last=last - 2)

    assert verdict.finding is None
    assert 1 < verdict.first <= last - 10
    assert verdict.last == last - 2


@pytest.mark.parametrize(
    ("tamper", "last", "kind", "sequence"),
    [
        (rechained, 4, Kind.REWRITING, 1),
        (rechained, 1, Kind.REWRITING, 1),
        (lambda lines: lines[:4] + lines[5:], 3, Kind.REMOVAL, 5),
        (cut_short, 3, Kind.TRUNCATION, 5),
    ],
)
def test_a_range_is_held_against_the_next_checkpoint_behind_it(
    tmp_path: Path, tamper: Callable[[list[bytes]], list[bytes]], last: int, kind: Kind, sequence: int
) -> None:
    lines = three_lines(tmp_path)
    honest = verdict_of(tmp_path, last=last)
    rewrite(tmp_path, tamper(lines))
    finding = verdict_of(tmp_path, last=last).finding

    assert (honest.finding, honest.last, honest.checkpoints, honest.proven_to) == (None, last, 1, 6)
    assert finding is not None
    assert (finding.kind, finding.sequence) == (kind, sequence), finding.why


def test_behind_the_checkpoint_that_stands_for_a_range_nothing_is_read(tmp_path: Path) -> None:
    three_lines(tmp_path)
    segments = open_segments(tmp_path)
    segments.append([LINE] * 5)
    logs.sign_off(tmp_path, segments)
    segments.close()
    lines = (tmp_path / "audit-000001.jsonl").read_bytes().splitlines(keepends=True)
    rewrite(tmp_path, [*lines[:8], b"junk\n", *lines[9:]])
    verdict = verdict_of(tmp_path, last=5)

    assert (verdict.finding, verdict.last, verdict.proven_to) == (None, 5, 6)
    assert verdict_of(tmp_path, last=7).finding is not None, "no checkpoint stands for its last line any more"


def test_a_range_is_held_against_the_next_checkpoint_that_was_kept_elsewhere(tmp_path: Path) -> None:
    lines = three_lines(tmp_path)
    segments = open_segments(tmp_path)
    segments.append([LINE] * 5)
    logs.sign_off(tmp_path, segments)
    segments.close()
    notes = read_notes((tmp_path / NOTES_NAME).read_bytes()).notes
    honest = verdict_of(tmp_path, last=4, notes=notes[1:])
    forged = made_anew(lines)
    link = walk(Link(), [entry.rstrip(b"\n") for entry in forged])
    signed = sign(Checkpoint("scim-gateway/gw-1", 6, link.tree.root), logs.KEY)
    (tmp_path / NOTES_NAME).write_bytes(signed + b"\n")
    rewrite(tmp_path, [*forged, linked(link, [LINE] * 5)[0]])
    finding = verdict_of(tmp_path, last=4, notes=notes[1:]).finding

    assert (honest.finding, honest.last, honest.proven_to) == (None, 4, 11)
    assert verdict_of(tmp_path, last=4).finding is None, "whoever owns the machine has the key"
    assert finding is not None
    assert finding.kind is Kind.REWRITING


def test_a_kept_checkpoint_of_what_is_gone_is_said_to_prove_nothing(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=800)
    segments.append([LINE])
    logs.sign_off(tmp_path, segments)
    for _ in range(12):
        segments.append([LINE])
    logs.sign_off(tmp_path, segments)
    segments.close()
    last = verdict_of(tmp_path).last
    kept = read_notes((tmp_path / NOTES_NAME).read_bytes()).notes[:1]
    verdict = verdict_of(tmp_path, first=last, notes=kept)

    assert verdict.finding is None
    assert verdict.remarks == (f"kept checkpoints of lines before line {verdict.first}, not held against anything: 1",)


def without_its_first_file(directory: Path) -> int:
    """Remove it; the number of its last line."""
    second = logs.segment_paths(directory)[1].read_bytes()
    (directory / "audit-000001.jsonl").unlink()
    return int(second.split(b",")[0].removeprefix(b'{"seq":')) - 1


def test_the_first_segments_may_be_missing_only_when_the_log_says_that_they_were_deleted(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=800)
    for _ in range(12):
        segments.append([LINE])
    gone = without_its_first_file(tmp_path)
    before = verdict_of(tmp_path)
    segments.append([b'{"v":2,"event":"notice","notice":"segment-deleted","details":{"last":%d}}\n' % gone])
    segments.close()

    assert before.finding is not None
    assert before.finding.kind is Kind.REMOVAL
    after, of_range = verdict_of(tmp_path), verdict_of(tmp_path, first=2, last=gone + 1)
    assert (after.finding, after.remarks) == (None, (f"lines 1 to {gone} are gone{DELETED}",))
    assert of_range.finding is None, "the notice stands behind the range"
    assert of_range.remarks == (f"lines 2 to {gone} are gone{DELETED}",)
    assert verdict_of(tmp_path, first=gone, last=gone + 1).remarks == (f"line {gone} is gone{DELETED}",)
    assert verdict_of(tmp_path, first=gone + 1, last=gone + 2).remarks == ()
    assert verdict_of(tmp_path, first=2, last=3).is_empty


DELETED = ", deleted for their age, as the log itself records"


@pytest.mark.parametrize(
    ("first", "last", "remarks"),
    [(1, 9, ("the log ends with line 6, before line 9 that was asked for",)), (7, 9, None), (1, 6, ()), (4, None, ())],
)
def test_a_range_that_goes_beyond_the_log_is_told(
    tmp_path: Path, first: int, last: int | None, remarks: tuple[str, ...] | None
) -> None:
    three_lines(tmp_path)
    verdict = verdict_of(tmp_path, first=first, last=last)

    assert (verdict.finding, verdict.is_empty) == (None, remarks is None)
    assert remarks in (None, verdict.remarks)


def test_a_copy_that_was_taken_while_the_gateway_wrote_is_hinted_at(tmp_path: Path) -> None:
    rewrite(tmp_path, cut_short(three_lines(tmp_path)))
    finding = verdict_of(tmp_path).finding
    notes = read_notes((tmp_path / NOTES_NAME).read_bytes()).notes
    held_against = verdict_of(tmp_path, notes=notes).finding

    assert finding is not None
    assert held_against is not None
    assert "or the copy was taken while the gateway wrote: copy `checkpoints` first" in finding.why
    assert "copy" not in held_against.why, "what was kept elsewhere was not copied with it"


@pytest.mark.parametrize(
    ("first", "beyond", "is_whole"), [(1, 3, False), (1, -1, False), (2, None, False), (1, 0, False), (0, 2, True)]
)
def test_a_range_whose_first_lines_are_missing_is_not_whole(
    tmp_path: Path, first: int, beyond: int | None, is_whole: bool
) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=800)
    for _ in range(12):
        segments.append([LINE])
    segments.close()
    gone = without_its_first_file(tmp_path)
    finding = verdict_of(tmp_path, first=first or gone + 1, last=None if beyond is None else gone + beyond).finding

    assert (finding is None) is is_whole
    assert finding is None or (finding.kind, finding.sequence) == (Kind.REMOVAL, 1)


def test_a_notice_of_a_deletion_behind_the_range_counts_only_where_the_chain_holds(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=800)
    for _ in range(12):
        segments.append([LINE])
    segments.close()
    gone = without_its_first_file(tmp_path)
    with logs.segment_paths(tmp_path)[-1].open("ab") as last:
        last.write(b'{"seq":99,"v":2,"event":"notice","notice":"segment-deleted","details":{"last":%d}}\n' % gone)

    assert verdict_of(tmp_path, last=gone + 1).finding is not None


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_deletion_that_no_checkpoint_stands_for_is_told(tmp_path: Path, *, is_signed: bool) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=800)
    for _ in range(12):
        segments.append([LINE])
    logs.sign_off(tmp_path, segments)
    gone = without_its_first_file(tmp_path)
    segments.append([b'{"v":2,"event":"notice","notice":"segment-deleted","details":{"last":%d}}\n' % gone])
    if is_signed:
        logs.sign_off(tmp_path, segments)
    segments.close()
    verdict = verdict_of(tmp_path)

    assert verdict.finding is None
    told = f"that lines were deleted says line {verdict.last}, for which no checkpoint stands yet"
    assert (told in verdict.remarks) is not is_signed


def test_a_log_whose_files_are_deleted_for_their_age_while_it_is_read_is_read_anew(tmp_path: Path) -> None:
    segments = open_segments(tmp_path, max_segment_bytes=800)
    for _ in range(12):
        segments.append([LINE])
    gone: list[int] = []

    def delete(_: int) -> None:
        if not gone:
            gone.append(without_its_first_file(tmp_path))
            second = logs.segment_paths(tmp_path)[1]
            last = int(second.read_bytes().split(b",")[0].removeprefix(b'{"seq":')) - 1
            segments.append([b'{"v":2,"event":"notice","notice":"segment-deleted","details":{"last":%d}}\n' % last])
            logs.segment_paths(tmp_path)[0].unlink()

    verdict = verify(Request(tmp_path), delete)
    segments.close()

    assert verdict.finding is None
    assert verdict.first > gone[0] + 1


@pytest.mark.parametrize("details", [b"[" * 100_000, b'{"last":1e999}', b'{"last":"1"}', b'{"last":null}', b"7"])
def test_a_notice_of_a_deletion_that_no_gateway_wrote_stops_no_auditor(tmp_path: Path, details: bytes) -> None:
    three_lines(tmp_path)
    (tmp_path / NOTES_NAME).unlink()
    with logs.segment_paths(tmp_path)[-1].open("ab") as last:
        last.write(b'{"seq":7,"v":2,"event":"notice","notice":"segment-deleted","details":%b}\n' % details)
    finding = verdict_of(tmp_path).finding

    assert finding is not None
    assert finding.sequence == 7


@pytest.mark.parametrize(
    ("first", "last", "is_empty"), [(1, None, False), (999, None, True), (5, 4, True), (4, 5, False)]
)
def test_a_range_without_a_line_proves_nothing(tmp_path: Path, first: int, last: int | None, is_empty: bool) -> None:
    three_lines(tmp_path)
    verdict = verdict_of(tmp_path, first=first, last=last)

    assert (verdict.finding, verdict.is_empty) == (None, is_empty)
