"""Reads a log from its first line to its last and says whether it is as it was written. Blocking.

Checkpoints are read before the log, so one that is being written to is not found short of its own checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.audit.chain import Header, Link, digest_of, is_unchained, read_header, read_prev, walk
from gateway.audit.checkpoints import Checkpoint, origin_of
from gateway.audit.lines import read_sequence
from gateway.audit.people import details_of
from gateway.audit.records import number_of, read_record
from gateway.audit.tampering import CONTEXT_BYTES, CONTEXT_LINES, Finding, Kind, diagnose
from gateway.journal.listing import packed_in, segments_of
from gateway.journal.witnesses import hear

_BLOCK_BYTES = 1 << 20
_TRIES = 3  # of a log whose files are deleted under our hands
_MOST_TOLD = 4  # findings about checkpoints
_OF_WHAT_IS_NOT_THERE = (Kind.REMOVAL, Kind.TRUNCATION)
_DELETED = b'"notice":"segment-deleted"'


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at, and the first thing that is wrong with it."""

    first: int  # the first and the last line that were proven; 0: none was
    last: int
    unchained_before: int  # lines before this one are of a version without a chain; 0: there are none
    checkpoints: int  # how many hold
    proven_to: int  # the last line that a checkpoint stands for
    finding: Finding | None
    remarks: tuple[str, ...]  # what is odd, and no tampering
    is_empty: bool  # a range was asked for, and no line of it was proven
    is_unsigned: bool  # a key or kept checkpoints were given, and no checkpoint holds

    @property
    def unsigned_from(self) -> int:
        """The first of these lines that hang together and that no checkpoint stands for yet; 0: there are none."""
        return max(self.first, self.proven_to + 1) if self.proven_to < self.last else 0

    @property
    def signed_to(self) -> int:
        """The last of these lines that a checkpoint stands for; one before the first when none does."""
        return self.unsigned_from - 1 if self.unsigned_from else self.last


@dataclass(frozen=True, slots=True)
class Request:
    """What to verify: lines `first` to `last` (None: to the end) of a directory, and checkpoints kept elsewhere.

    Of a range, the lines behind it are read too, up to the next checkpoint.
    """

    directory: Path
    keys: tuple[Ed25519PublicKey, ...] = ()  # one of which must have signed a checkpoint; none: whoever did
    notes: tuple[bytes, ...] = ()  # signed notes that were kept elsewhere
    first: int = 1
    last: int | None = None


class _Tampered(Exception):
    def __init__(self, finding: Finding) -> None:
        self.finding = finding


def verify(request: Request, progress: Callable[[int], None] = lambda _: None) -> Verdict:
    """Whether a log is as it was written; `progress` hears how many bytes were read.

    Raises:
        OSError: a file cannot be read, or there is no log.
    """
    for _ in range(_TRIES):
        try:
            return _Verification(request, progress).run()
        except FileNotFoundError as error:
            if error.filename is None or Path(error.filename).parent != request.directory:
                raise  # no file of the log, which the gateway deletes for its age when it is time
    return _Verification(request, progress).run()


class _Verification:
    def __init__(self, request: Request, progress: Callable[[int], None]) -> None:
        self._request, self._progress = request, progress
        self._remarks: list[str] = []
        self._checkpoints: list[Checkpoint] = []  # by size, those still to be met
        self._kept: frozenset[Checkpoint] = frozenset()  # those that were kept elsewhere
        self._kept_to = 0  # the last line that one of them stands for
        self._passed_over: set[Checkpoint] = set()  # those of them that are of lines before the first
        self._held, self._proven_to, self._first, self._unchained_before = 0, 0, 0, 0
        self._link, self._before = Link(), b""  # the last good line
        self._origins: set[str] = set()
        self._deleted: dict[int, int] = {}  # the last lines of segments that the log calls deleted, and where it does

    def run(self) -> Verdict:
        request = self._request
        witnesses = hear(request.directory, request.notes, request.keys)
        self._checkpoints = list(witnesses.checkpoints)
        self._kept = witnesses.kept
        if witnesses.is_torn:
            self._remarks.append("the last checkpoint is unfinished")
        findings = list(witnesses.findings)
        try:
            self._walk(segments_of(request.directory))
        except _Tampered as tampered:
            findings = list(dict.fromkeys((tampered.finding, *findings)))
        finding = findings[0] if findings else None
        if finding and finding.kind in _OF_WHAT_IS_NOT_THERE and (packed := packed_in(request.directory)):
            self._remarks.append(packed)
        self._remarks += [f"{other.kind.value}: {other.why}" for other in findings[1:_MOST_TOLD]]
        if len(findings) > _MOST_TOLD:
            self._remarks.append(f"and {len(findings) - _MOST_TOLD} more of that kind")
        if self._passed_over:
            remark = f"kept checkpoints of lines before line {self._first}, not held against anything"
            self._remarks.append(f"{remark}: {len(self._passed_over)}")
        end = self._link.sequence
        last = min(end, request.last or end) if self._first else 0
        return Verdict(
            self._first,
            last,
            self._unchained_before,
            self._held,
            self._proven_to,
            finding,
            remarks=tuple(self._remarks),
            is_empty=self._has_nothing_of_the_range,
            is_unsigned=bool(request.keys or request.notes) and not self._held,
        )

    @property
    def _has_nothing_of_the_range(self) -> bool:
        first, last, end = self._request.first, self._request.last, self._link.sequence
        if first == 1 and last is None:
            return False
        return not self._first or min(end, last or end) < max(first, self._first)

    def _walk(self, paths: list[Path]) -> None:
        headers = [_first_line(path) for path in paths]
        begin = self._begin(paths, headers)
        for place in range(begin, len(paths)):
            if self._is_over:
                break
            self._follow_segment(paths[place:])
        self._must_be_whole(is_from_its_first_file=begin == 0)
        if not self._is_over:
            self._must_not_be_short()
            self._tell_of_what_is_behind()

    @property
    def _is_reached(self) -> bool:
        return self._request.last is not None and self._link.sequence >= self._request.last

    @property
    def _is_over(self) -> bool:
        """Whether the range was read, and as far behind it as the next checkpoint, which alone stands for its lines.

        SECURITY: lines that were changed and chained anew differ from honest ones by nothing else; and who owns the
        machine can sign them, so that only a checkpoint from elsewhere shows it, if there is one behind the range.
        """
        last = self._request.last
        if last is None or not self._is_reached:
            return False
        has_kept = max((checkpoint.size for checkpoint in self._kept), default=0) > self._link.tree.size
        return (self._proven_to >= last or not self._checkpoints) and (self._kept_to >= last or not has_kept)

    def _begin(self, paths: list[Path], first_lines: list[bytes]) -> int:
        """Where to begin, with the link before it: the first chained segment, or the one that holds the first line."""
        chained = 0
        while chained < len(paths) and (not first_lines[chained] or is_unchained(first_lines[chained])):
            chained += 1
        if chained and any(first_lines[:chained]):
            last = _last_unchained(paths[:chained])
            self._link, self._before = Link(read_sequence(last) or 0, digest_of(last)), last
            self._unchained_before = self._link.sequence + 1
        if chained == len(paths):
            return chained
        headers = [read_header(line) for line in first_lines]
        begin = chained
        for place in range(chained, len(paths)):
            header = headers[place]
            if header and header.link.sequence < self._request.first:
                begin = place
        self._start_from(headers[begin], is_first=begin == chained)
        return begin

    def _start_from(self, header: Header | None, *, is_first: bool) -> None:
        """Take the word of the first header for what came before it; the checkpoints prove it."""
        if header:
            self._origins.add(origin_of(header.instance))
            if not (is_first and self._unchained_before):
                self._link = header.link
        self._first = self._link.sequence + 1
        if unmet := self._meet_checkpoints(is_start=True):
            raise _Tampered(unmet)

    def _follow_segment(self, paths: list[Path]) -> None:
        """Go on along the first of these files; the others are there to tell what a bad line means."""
        path, before, offset = paths[0], self._link, 0
        rest = b""
        with path.open("rb") as segment:
            while (block := segment.read(_BLOCK_BYTES)) and not self._is_over:
                *lines, rest = (rest + block).split(b"\n")
                self._note_deletions(block, lines)
                if lines and offset == 0:
                    self._check_header(lines[0], before)
                self._follow(lines, lambda bad: _context(paths, bad), offset)
                offset += sum(map(len, lines)) + len(lines)
                self._progress(len(block))
        if rest and not self._is_over:
            if len(paths) > 1:
                due = self._link.sequence + 1
                raise _Tampered(Finding(Kind.TRUNCATION, due, f"{path.name} ends in the middle of line {due}"))
            self._remarks.append("the last line is unfinished: the log is being written to, or the gateway crashed")

    def _follow(self, lines: Sequence[bytes], context: Callable[[int], Sequence[bytes]], offset: int) -> None:
        place = 0
        while place < len(lines) and not self._is_over:
            taken = lines[place : place + self._stride]
            after = walk(self._link, taken)
            length = after.sequence - self._link.sequence
            if length:
                self._link, self._before = after, taken[length - 1]
            place += length
            unmet = self._meet_checkpoints() if length == len(taken) else None
            if unmet or length < len(taken):
                following = context(offset + sum(len(line) + 1 for line in lines[:place]))
                raise _Tampered(self._judge(following, unmet))

    def _judge(self, following: Sequence[bytes], unmet: Finding | None) -> Finding:
        """What the lines that follow say tells more than a checkpoint that is not met, if they do not follow."""
        if unmet and (read_sequence(following[0]) is None or walk(self._link, following[:1]) != self._link):
            return unmet
        return diagnose(self._link, self._before, following)

    @property
    def _stride(self) -> int:
        """How many lines may be walked before something must be looked at."""
        size, last = self._link.tree.size, self._request.last
        ends = [self._checkpoints[0].size - size] if self._checkpoints else []
        if last is not None and not self._is_reached:
            ends.append(last - self._link.sequence)
        return min(ends, default=1 << 30)

    def _check_header(self, line: bytes, before: Link) -> None:
        header = read_header(line)
        due = before.sequence + 1
        if header is None and read_sequence(line) == due:
            raise _Tampered(Finding(Kind.EDIT, due, f"line {due} begins a segment and is no header"))
        if header is not None:
            self._origins.add(origin_of(header.instance))
            if header.link != before and (header.link.sequence, header.link.digest) == (before.sequence, before.digest):
                raise _Tampered(Finding(Kind.EDIT, due, f"line {due} tells of another tree than the lines before it"))

    def _meet_checkpoints(self, *, is_start: bool = False) -> Finding | None:
        """Hold those of this size against the tree; at the start, those of what is gone are passed over."""
        size = self._link.tree.size
        while self._checkpoints and self._checkpoints[0].size <= size:
            checkpoint = self._checkpoints.pop(0)
            if checkpoint.size < size:
                if is_start:
                    self._passed_over |= {checkpoint} & self._kept
                    continue
                raise AssertionError("a checkpoint was walked past")
            if checkpoint.root != self._link.tree.root:
                return self._rewritten(checkpoint)
            self._held, self._proven_to = self._held + 1, self._link.sequence
            if checkpoint in self._kept:
                self._kept_to = self._link.sequence
        return None

    def _rewritten(self, checkpoint: Checkpoint) -> Finding:
        last = self._link.sequence
        if checkpoint.origin not in self._origins:
            why = f"a checkpoint of {checkpoint.origin} is not of this log"
            return Finding(Kind.FOREIGN_CHECKPOINT, last, why)
        first = max(self._proven_to + 1, self._first)
        why = f"lines {first} to {last} are not those that were signed; their chain was made anew"
        return Finding(Kind.REWRITING, first, why)

    def _note_deletions(self, block: bytes, lines: Iterable[bytes]) -> None:
        if _DELETED not in block:
            return
        for line in lines:
            if _DELETED in line:
                record = read_record(line) or {}  # the chain judges what it is
                self._deleted.setdefault(number_of(details_of(record), "last"), number_of(record, "seq"))

    def _must_be_whole(self, *, is_from_its_first_file: bool) -> None:
        """A log that does not begin with line 1 must say of what came before that it was deleted as it should be."""
        missing = self._first - 1
        if self._unchained_before or missing <= 0:
            return
        if self._request.first > missing and (self._is_reached or not is_from_its_first_file):
            return  # no line of the range is among the missing
        if self._is_reached:
            self._read_on()
        elif missing not in self._deleted:
            self._are_missing(missing)
        first, last = self._request.first, min(missing, self._request.last or missing)
        if first <= last:
            lines = f"lines {first} to {last} are" if first < last else f"line {first} is"
            self._remarks.append(f"{lines} gone, deleted for their age, as the log itself records")
        # SECURITY: behind the last checkpoint whoever can write to the directory writes a line that looks like ours.
        if self._held and self._deleted.get(missing, 0) > self._proven_to:
            at = self._deleted[missing]
            self._remarks.append(f"that lines were deleted says line {at}, for which no checkpoint stands yet")

    def _are_missing(self, missing: int) -> NoReturn:
        why = f"lines 1 to {missing} are missing, and nothing on record says that they were deleted for their age"
        raise _Tampered(Finding(Kind.REMOVAL, 1, why))

    def _read_on(self) -> None:
        """What says that the first lines were deleted may stand behind the range, and counts as far as the chain holds.

        A notice that no chain ties to the log could be anybody's, so the whole log is judged.
        """
        whole = verify(replace(self._request, last=None))
        if whole.finding:
            raise _Tampered(whole.finding)

    def _tell_of_what_is_behind(self) -> None:
        last, end = self._request.last, self._link.sequence
        if last is not None and end < last:
            self._remarks.append(f"the log ends with line {end}, before line {last} that was asked for")

    def _must_not_be_short(self) -> None:
        if not self._checkpoints:
            return
        checkpoint, last = self._checkpoints[-1], self._link.sequence
        if self._origins and checkpoint.origin not in self._origins:
            why = f"a checkpoint of {checkpoint.origin} is not of this log"
            raise _Tampered(Finding(Kind.FOREIGN_CHECKPOINT, last, why))
        missing = checkpoint.size - self._link.tree.size
        why = f"the log ends with line {last}, and a checkpoint has seen {missing} more"
        # Copied by name, the files of the log come before `checkpoints`, which may tell of what was written meanwhile.
        if not self._kept.intersection(self._checkpoints):
            why += "; or the copy was taken while the gateway wrote: copy `checkpoints` first"
        raise _Tampered(Finding(Kind.TRUNCATION, last + 1, why))


def _first_line(path: Path) -> bytes:
    """With its newline: b"" is an empty file's alone."""
    with path.open("rb") as segment:
        return segment.readline()


def _last_unchained(paths: Sequence[Path]) -> bytes:
    """The last line of files whose first line has no chain.

    # SECURITY: a chain begins with a file. Whoever took `prev` from a file's first lines would else hide all of it.
    """
    first = last = b""
    for path in paths:
        for place, line in enumerate(_lines([path], 0)):
            first = line if place == 0 else first
            if b'"prev"' in line and read_prev(line) is not None:
                begin, chained = read_sequence(first) or 0, read_sequence(line) or "?"
                why = f"line {begin} is not chained, and line {chained} in the same file, {path.name}, is"
                raise _Tampered(Finding(Kind.EDIT, begin, why))
            last = line or last
    return last


def _context(paths: Sequence[Path], offset: int) -> list[bytes]:
    """The line at an offset of the first file, and those behind it, wherever they are, as far as there is room."""
    context, size = [], 0
    for line in islice(_lines(paths, offset), CONTEXT_LINES):
        context.append(line)
        size += len(line)
        if size > CONTEXT_BYTES:
            break
    return context or [b""]


def _lines(paths: Sequence[Path], offset: int) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as segment:
            segment.seek(offset)
            for line in segment:
                yield line.rstrip(b"\n")
        offset = 0
