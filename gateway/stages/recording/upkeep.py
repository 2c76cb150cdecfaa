"""What the audit log needs beside the requests: the first lines after a start, checkpoints, an end for old segments.

None of it may end the gateway or hold up a line, whatever goes wrong in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.checkpoints import Checkpoint, origin_of
from gateway.journal import Journal
from gateway.journal.clocks import SteadyClock, leads_up_to
from gateway.journal.keys import KEY_NAME, made_or_read, read_private
from gateway.journal.notes import append_note
from gateway.journal.retention import Expired, Keeping, expired
from gateway.journal.side_thread import SideThread
from gateway.metrics import Metrics
from gateway.stages.recording import Recording

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
CHECKPOINT_SECONDS = 300.0
RETENTION_SECONDS = 3600.0


class Upkeep:
    """Keeps one audit log; for the life of an instance."""

    def __init__(
        self,
        journal: Journal,
        recording: Recording,
        metrics: Metrics,
        *,
        keeping: Keeping,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.signed_line = 0  # the last that a checkpoint of this run stands for
        self.signed_at: float | None = None  # Unix seconds: when it was the last of all
        self._journal, self._recording, self._metrics = journal, recording, metrics
        self._origin, self._keeping = origin_of(recording.instance), keeping
        self._now, self._clock = now, clock
        self._key: Ed25519PrivateKey | None = None
        self._noting = SideThread("checkpoint", journal.time_limit_seconds)
        self._signed_size, self._signed_segment, self._signed_at = 0, 0, clock()  # of the last checkpoint
        self._looked_at: float | None = None  # when for old segments
        self._steady, self._warned = SteadyClock(now(), clock()), False

    async def begin(self, key_file: Path | None, state_directory: Path) -> None:
        """Take the key: `key_file`, or one of our own in the state directory, made at the first start.

        Raises:
            KeyUnusable: it holds something else than an Ed25519 key.
            OSError: it cannot be read or made.
        """
        if key_file is not None:
            self._key = await asyncio.to_thread(read_private, key_file)
        else:
            self._key = await asyncio.to_thread(made_or_read, state_directory / KEY_NAME)

    async def note_what_was_found(self) -> None:
        """What the last run left goes on record: half a line, a chain that was tampered with, writes without an end."""
        for torn in self._journal.torn:
            await self._recording.tell(
                "torn-line-set-aside",
                segment=torn.segment.name,
                set_aside=torn.set_aside.name,
                size_bytes=torn.size_bytes,
            )
        if (broken := self._journal.broken) is not None:
            log.critical("the audit log was tampered with: %s", broken.why, extra={"line": broken.sequence})
            await self._recording.tell(
                "audit-log-tampered", looks_like=broken.kind.value, line=broken.sequence, why=broken.why
            )
        for intent in self._journal.interrupted:
            log.warning("a write was interrupted when the gateway ended", extra={"request": intent.get("request")})
            await self._recording.tell_interrupted(intent)

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await self.tend()

    async def tend(self) -> None:
        """Do what is due now."""
        segment, now = self._journal.segment, self._clock()
        if segment != self._signed_segment or now - self._signed_at >= CHECKPOINT_SECONDS:
            await self.checkpoint()
        if self._keeping.days is not None and (self._looked_at is None or now - self._looked_at >= RETENTION_SECONDS):
            self._looked_at = now
            await self._delete_old_segments(self._now())

    async def checkpoint(self) -> None:
        """Sign what is on record, put that beside it, and tell the log and the metrics, which leave this machine."""
        link, segment = self._journal.link, self._journal.segment
        tree = link.tree
        self._signed_at, self._signed_segment = self._clock(), segment
        if self._key is None:
            return
        if tree.size == self._signed_size:
            self.signed_at = self._now()
            return
        checkpoint = Checkpoint(self._origin, tree.size, tree.root)
        try:
            write = partial(append_note, self._journal.directory, checkpoint, self._key, self._journal.disk)
            await self._noting.run(write)
        except OSError as error:
            log.error("no checkpoint could be written: %s", error)  # noqa: TRY400 - says all
            return
        except Exception:  # a fault of ours: requests are on record all the same
            log.exception("no checkpoint could be made")
            return
        self._signed_size = tree.size
        root = b64encode(tree.root).decode("ascii")
        log.info("audit checkpoint", extra={"origin": self._origin, "size": tree.size, "root": root})
        self.signed_line, self.signed_at = link.sequence, self._now()
        self._metrics.gauges.audit_checkpoint_at.set(self.signed_at)
        self._metrics.gauges.audit_lines.set(tree.size)

    async def _delete_old_segments(self, now: float) -> None:
        """Each on record first: what is left proves what was there, and that it went as it should."""
        try:
            found = await asyncio.to_thread(expired, self._journal.directory, now - self._keeping.seconds, now)
            if not await self._may_delete(found, now):
                return
            for old in found:
                if self._keeping.spares(old, now):
                    log.warning("%s is old enough to be deleted and was not sent yet: it stays", old.path.name)
                    return
                if not await self._recording.notice(
                    "segment-deleted", segment=old.path.name, first=old.first, last=old.last, digest=old.digest
                ):
                    return
                await asyncio.to_thread(old.path.unlink)
        except OSError as error:
            log.error("an old segment of the audit log could not be deleted: %s", error)  # noqa: TRY400 - says all
        except Exception:
            log.exception("old segments of the audit log could not be looked for")

    async def _may_delete(self, found: tuple[Expired, ...], now: float) -> bool:
        """Whether there is something old, by a time that may be believed."""
        believed = self._steady.is_believed(now, self._clock())
        if not found or believed or await asyncio.to_thread(leads_up_to, self._journal.directory, now):
            self._warned = False
            return bool(found)
        if not self._warned:
            log.error(
                "no old segment of the audit log is deleted for now: by the clock, days have passed without a line."
                " If the clock is wrong, set it within two days; then deletion goes on",
                extra={"segments": len(found)},
            )
        self._warned = True
        return False
