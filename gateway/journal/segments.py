"""The journal's files: numbered segments, of which only the last one is written to. Blocking; for one thread.

A line counts when it is whole and synced. What a failed write left behind is cut off again, so a reader
meets half a line only while a failure lasts or after a crash (see `journal.recovery`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.audit.lines import numbered
from gateway.journal.disk import Disk
from gateway.journal.recovery import TornTail, recover, segment_path, write_all

log = logging.getLogger(__name__)


class Segments:
    """Appends lines to the last segment of a directory, which must be locked for us."""

    def __init__(self, directory: Path, *, max_segment_bytes: int, disk: Disk) -> None:
        """Raises: OSError when the directory cannot be read or written to."""
        recovered = recover(directory, disk)
        self.sequence = recovered.sequence  # the last line's number
        self.torn: tuple[TornTail, ...] = recovered.torn
        self._directory = directory
        self._max_segment_bytes = max_segment_bytes
        self._disk = disk
        self._number = recovered.segment
        self._descriptor: int | None = None  # of the last segment
        self._good_bytes = 0  # where the last segment's last whole and synced line ends
        self._leftover = False  # something may stand behind that
        self._distrusted = False  # a sync failed: the kernel may have dropped what it still shows us
        if recovered.segment:
            self._descriptor = disk.open(segment_path(directory, recovered.segment))
            self._good_bytes = disk.size(self._descriptor) or 0
        else:
            self._begin_segment()

    def append(self, lines: Sequence[bytes]) -> None:
        """Number and write lines, all or none; once this returns they would survive a power cut.

        Lines that fail leave no trace and no gap: the next ones bear their numbers.

        Raises:
            OSError: they are not on record.
        """
        self._mend()
        written = b"".join(numbered(line, self.sequence + place) for place, line in enumerate(lines, 1))
        descriptor = self._segment_for(len(written))
        try:
            self._put(descriptor, written)
        except OSError:
            with suppress(OSError):  # else the next append tries again
                self._mend()
            raise
        self._good_bytes += len(written)
        self.sequence += len(lines)

    def close(self) -> None:
        """Give the last segment back."""
        if self._descriptor is not None:
            self._disk.close(self._descriptor)
            self._descriptor = None

    def _put(self, descriptor: int, written: bytes) -> None:
        self._leftover = True
        write_all(descriptor, written, self._disk)
        self._distrusted = True
        self._disk.sync(descriptor)
        self._leftover = self._distrusted = False

    def _mend(self) -> None:
        """Cut off what a failed append left; after a failed sync, go on in a new segment."""
        if self._leftover and self._descriptor is not None:
            self._disk.truncate(self._descriptor, self._good_bytes)
            self._disk.sync(self._descriptor)
            self._leftover = False
        if self._distrusted:
            self._begin_segment()
            self._distrusted = False

    def _segment_for(self, size_bytes: int) -> int:
        if self._descriptor is None:
            return self._begin_segment()
        if self._disk.size(self._descriptor) != self._good_bytes:
            # Truncated, removed or written to by somebody else: leave it as it is, for whoever looks into that.
            log.error("the audit segment %06d was changed by another process: going on in a new one", self._number)
            return self._begin_segment()
        if self._good_bytes and self._good_bytes + size_bytes > self._max_segment_bytes:
            return self._begin_segment()
        return self._descriptor

    def _begin_segment(self) -> int:
        self._number += 1  # first, so that a name left by a failure is not tried again
        descriptor = self._disk.create(segment_path(self._directory, self._number))
        self.close()
        self._descriptor, self._good_bytes = descriptor, 0
        return descriptor
