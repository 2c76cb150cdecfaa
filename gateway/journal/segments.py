"""The journal's files: numbered segments, of which only the last one is written to. Blocking; for one thread.

A line counts when it is whole and synced. What a failed write left behind is cut off again, so a reader
meets half a line only while a failure lasts or after a crash (see `journal.recovery`).
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.chain import Link, linked
from gateway.audit.lines import segment_line
from gateway.audit.tampering import Finding
from gateway.journal.cursors import Position
from gateway.journal.disk import Disk, Identity
from gateway.journal.recovery import TornTail, recover, segment_path, segment_paths

log = logging.getLogger(__name__)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a segment is full: by size, or by age."""

    max_bytes: int = 64 << 20
    max_seconds: float = 86_400.0


class Segments:
    """Appends lines to the last segment of a directory, which must be locked for us."""

    def __init__(
        self,
        directory: Path,
        *,
        rotation: Rotation,
        disk: Disk,
        instance: str,
        now: Callable[[], float] = time.time,
        on_new_segment: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_new_segment` is called before one is made, with the name of the last one if somebody changed that; it may
        say by an OSError that none can be.

        Raises:
            OSError: the directory cannot be read or written to.
        """
        _settle(directory, disk)
        recovered = recover(directory, disk)
        self.link: Link = recovered.link  # of the last line; replaced only once a line is synced
        self.torn: tuple[TornTail, ...] = recovered.torn
        self.broken: Finding | None = recovered.broken
        self.number = recovered.segment
        self._directory, self._instance, self._now = directory, instance, now
        self._rotation, self._on_new_segment = rotation, on_new_segment
        self._disk = disk
        self._path = segment_path(directory, recovered.segment)  # of the last segment
        self._descriptor: int | None = None
        self._identity: Identity = (0, 0)
        self._good_bytes = 0  # where the last segment's last whole and synced line ends
        self._began_at = now()  # Unix seconds, of the last segment
        self._leftover = False  # something may stand behind that
        self._distrusted = False  # a sync may have failed: the kernel may have dropped what it still shows us
        if recovered.segment:
            self._descriptor = disk.open(self._path)
            self._identity = disk.identity(self._descriptor)
            self._good_bytes = disk.size(self._path, self._identity) or 0
        if recovered.header:
            self._began_at = recovered.header.began_at
        elif self._good_bytes or not recovered.segment:
            self._begin_segment()
        # One value, for other threads read it.
        self.durable = Position(self.number, self._good_bytes, self.link.sequence)

    def append(self, lines: Sequence[bytes]) -> None:
        """Number, chain and write lines, all or none; once this returns they would survive a power cut.

        Lines that fail leave no trace and no gap: the next ones bear their numbers. A new segment's header goes with
        its first lines, so no segment is without one.

        Raises:
            OSError: they are not on record.
        """
        self._mend()
        written, link = linked(self.link, lines)
        descriptor = self._segment_for(len(written))
        if not self._good_bytes:
            written, link = linked(self.link, (self._header(), *lines))
        try:
            self._put(descriptor, written)
        except OSError:
            with suppress(OSError):  # else the next append tries again
                self._mend()
            raise
        self._good_bytes += len(written)
        self.link = link
        self.durable = Position(self.number, self._good_bytes, link.sequence)

    def _header(self) -> bytes:
        first, tree = self.link.sequence + 1, self.link.tree
        return segment_line(self.number, first, tree, now=self._began_at, instance=self._instance)

    def close(self) -> None:
        """Give the last segment back. What it held was synced, so nothing that is said now tells of a loss."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # its number is free all the same, and may be a connection's next
                self._disk.close(descriptor)

    def _put(self, descriptor: int, written: bytes) -> None:
        self._leftover = True
        try:
            while written:
                written = written[self._disk.append(descriptor, written) :]
        except OSError as error:
            self._distrusted = error.errno not in _NO_ROOM
            raise
        self._leftover = False

    def _mend(self) -> None:
        """Cut off what a failed append left; after a failed sync, go on in a new segment."""
        if self._leftover and self._descriptor is not None:
            try:
                self._disk.truncate(self._descriptor, self._good_bytes)
                self._disk.sync(self._descriptor)
            except OSError:
                if self._disk.size(self._path, self._identity) is not None:
                    raise
                # Its file system died, or was taken away: nothing can be mended there, and nobody reads on there.
                self._begin_where_it_was()
            self._leftover = False
        if self._distrusted and self._good_bytes:
            self._begin_segment()
        self._distrusted = False

    def _segment_for(self, size_bytes: int) -> int:
        if self._descriptor is None:
            return self._begin_segment()
        if self._disk.size(self._path, self._identity) != self._good_bytes:
            return self._begin_where_it_was()
        # One of the future too: the clock was ahead, and by the right one it would not be old for years.
        is_old = abs(self._now() - self._began_at) > self._rotation.max_seconds
        if self._good_bytes and (is_old or self._good_bytes + size_bytes > self._rotation.max_bytes):
            return self._begin_segment()
        return self._descriptor

    def _begin_where_it_was(self) -> int:
        """Truncated, removed or written to by somebody else: leave it as it is, for whoever looks into that."""
        log.critical("%s was removed, moved or changed by somebody: going on in a new file", self._path)
        return self._begin_segment(self._path.name)

    def _begin_segment(self, changed: str = "") -> int:
        self._on_new_segment(changed)
        self.number += 1  # before it is made, so that a name left by a failure is not tried again
        path = segment_path(self._directory, self.number)
        descriptor = self._disk.create(path)
        self.close()
        self._path, self._descriptor, self._good_bytes, self._began_at = path, descriptor, 0, self._now()
        self._identity = self._disk.identity(descriptor)  # an error leaves the old one, which leads nowhere: once more
        return descriptor


def _settle(directory: Path, disk: Disk) -> None:
    """Make durable what the last run may have left in memory alone, before anybody believes in it: the reserve forgets
    what is found here, and later appends sync no more than their own lines.

    Only what was written to last can be unsynced, for a file that cannot be mended is followed by no other.

    Raises:
        OSError: what is there may not survive a power cut.
    """
    disk.sync_directory(directory)
    for path in reversed(segment_paths(directory)):
        disk.settle(path)
        if path.stat().st_size:
            return
