"""The log's directory as a whole: its lock, its segments, and the reserve for when they fail. Blocking; for one thread.

While the segments cannot be written, lines that are vital (they tell what has happened already) go to the reserve.
Once they can be again, those stand before whatever is written next.
"""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.chain import body_of
from gateway.audit.records import Record, read_record
from gateway.journal.disk import Disk
from gateway.journal.interrupted import interrupted
from gateway.journal.locks import DirectoryInUse, exclusive, is_held
from gateway.journal.recovery import segment_paths
from gateway.journal.reserve import Reserve
from gateway.journal.segments import Rotation, Segments

log = logging.getLogger(__name__)

_MAX_INCIDENTS = 100
_RECENT_SEGMENTS = 2
_PAUSE_SECONDS = 0.9  # shorter than the second after which it is tried again although nobody calls
_CHEAP_BYTES = 64 << 10  # so much of the reserve is chained anew, for nothing, in less time than the disk takes to fail


@dataclass(frozen=True, slots=True)
class Incident:
    """Something befell the log, which must go on record: a notice's name and details."""

    kind: str
    details: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why lines are not on record, and how many of the vital ones among them, from the first on, are in the reserve."""

    why: str
    reserved: int


class LogFiles:
    """Holds a directory against every other instance from `__init__` to `close`."""

    def __init__(
        self,
        directory: Path,
        *,
        rotation: Rotation,
        disk: Disk,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises: DirectoryInUse; OSError when the directory cannot be read or written to."""
        self.directory = directory
        self.incidents: deque[Incident] = deque(maxlen=_MAX_INCIDENTS)  # for whoever puts them on record
        self._clock = clock  # monotonic seconds
        self._why = ""  # the last attempt failed
        self._pause_until = 0.0  # until then no other is made
        with ExitStack() as stack:
            self._holding = stack.enter_context(ExitStack())
            self._lock = self._holding.enter_context(exclusive(directory))
            self._reserve = Reserve(directory, disk)
            stack.callback(self._reserve.close)
            self._reserve.open()
            self.segments = Segments(
                directory, rotation=rotation, disk=disk, instance=instance, on_new_segment=self._be_there
            )
            stack.callback(self.segments.close)
            self._forget_what_was_taken_over()
            self.interrupted: tuple[Record, ...] = interrupted(directory, self._reserve.lines)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Let the directory go."""
        self._stack.close()
        self._holding.close()

    def append(self, lines: Sequence[bytes], vital: Sequence[bytes] = ()) -> Failure | None:
        """Put lines on record, all or none; `vital` are those among them that are kept even if that fails.

        None: they would survive a power cut, and so does what the reserve held. While that is much, a failure is the
        answer for a second to whoever asks: a flood of requests must not have it chained anew for each of them.
        """
        if self._why and self._reserve.used_bytes > _CHEAP_BYTES and self._clock() < self._pause_until:
            return Failure(self._why, self._keep(vital))
        try:
            self.segments.append((*self._reserve.lines, *lines))
        except OSError as error:
            self._why, self._pause_until = _said(error), self._clock() + _PAUSE_SECONDS
            return Failure(self._why, self._keep(vital))
        self._why = ""
        if self._reserve.lines:
            self._note_taken_over()
        return None

    def _keep(self, vital: Sequence[bytes]) -> int:
        if not vital:
            return 0
        try:
            kept = self._reserve.put(vital)
        except OSError as error:
            log.critical("outcomes are lost for now: the reserve cannot be written either: %s", _said(error))
            return 0
        if kept < len(vital):
            log.critical("outcomes are lost for now: the reserve is full", extra={"outcomes": len(vital) - kept})
        return kept

    def _note_taken_over(self) -> None:
        self._note("audit-reserve-taken-over", lines=len(self._reserve.lines))
        self._reserve.lines = ()
        self._clear_reserve_if_taken_over()

    def _clear_reserve_if_taken_over(self) -> None:
        """Before other files of the log follow: what it still held then would not be found there after a crash."""
        if self._reserve.lines:
            return
        try:
            self._reserve.clear()
        except OSError as error:
            log.error("the reserve cannot be cleared: %s", _said(error))  # noqa: TRY400 - says all

    def _forget_what_was_taken_over(self) -> None:
        """A crash may have come between a line's way into the log and its way out of the reserve."""
        if not self._reserve.lines:
            return
        away = {line[1:-2] for line in self._reserve.lines}
        for path in segment_paths(self.directory)[-_RECENT_SEGMENTS:]:
            with path.open("rb") as segment:
                away.difference_update(map(body_of, segment))
        missing = tuple([line for line in self._reserve.lines if line[1:-2] in away])
        self._reserve.lines = tuple([line for line in missing if _is_ours(line)])
        if strange := len(missing) - len(self._reserve.lines):
            self._note("audit-reserve-changed", lines=strange)

    def _be_there(self, changed: str) -> None:
        """Before a segment begins: come back into a directory, or to a reserve, that was removed or moved away.

        Raises:
            OSError: there is no room for it, or another instance took the directory.
        """
        if not is_held(self._lock, self.directory):
            log.critical("%s is gone: the audit log goes on in a new directory of that name", self.directory)
            self._hold_again()
            self._note("audit-directory-vanished", directory=str(self.directory))
        elif changed:
            self._note("audit-file-changed", file=changed)
        self._reserve.be_there()
        self._clear_reserve_if_taken_over()

    def _hold_again(self) -> None:
        """Hold what has the name now, and let go what has another: it may come back."""
        with ExitStack() as holding:
            try:
                self._lock = holding.enter_context(exclusive(self.directory))
            except DirectoryInUse as error:
                raise OSError(errno.EBUSY, str(error)) from error
            self._holding.close()
            self._holding = holding.pop_all()

    def _note(self, kind: str, **details: str | int) -> None:
        incident = Incident(kind, details)
        if incident not in self.incidents:  # it may take many attempts to make a new file
            self.incidents.append(incident)


def _is_ours(line: bytes) -> bool:
    """Whether a line of the reserve may go into the chain: what somebody else put there would make it unreadable."""
    record = read_record(line)
    return record is not None and "event" in record and "seq" not in record


def _said(error: OSError) -> str:
    why = error.strerror or type(error).__name__
    return f"{error.filename}: {why}" if error.filename else why
