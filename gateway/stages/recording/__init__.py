"""Recording: intent before a write leaves, outcome before its answer does; metrics and log from the same trail."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Literal

from gateway.audit import lines
from gateway.audit.records import Record
from gateway.exchange import RequestId, Trail, Unparsed
from gateway.journal import Incident, Journal, JournalUnavailable, Line
from gateway.metrics import Metrics
from gateway.refusal import Reason, Refusal
from gateway.stages.recording.late import MAX_ACT_BYTES, MAX_OTHER_BYTES, Late
from gateway.stages.recording.strangers import Strangers
from gateway.stages.recording.tasks import is_put_off, task_of
from gateway.state.repeats import Repeats

__all__ = ["Recording"]

access_log = logging.getLogger("gateway.access")
log = logging.getLogger(__name__)

_LATE_AT_ONCE = 100  # while the disk is bad, so many are tried in vain each second
_MOST_NAMED = 100  # acts that one notice names


class Recording:
    """Puts requests on record. One for the life of an instance."""

    def __init__(
        self,
        journal: Journal,
        metrics: Metrics,
        *,
        instance: str,
        on_failure: Literal["refuse", "serve-reads"] = "refuse",
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_failure = on_failure  # a reload may change it
        self.instance = instance
        self.recorded_at: float | None = None  # Unix seconds: when the last line came on record
        self._journal, self._metrics = journal, metrics
        self._repeats = Repeats()
        self._now, self._clock = now, clock  # Unix seconds; monotonic seconds
        self._strangers = Strangers(began_at=clock())
        self._unrecorded: Counter[str] = Counter()  # events that could not be written, until a notice tells of them
        self._owed: set[RequestId] = set()  # writes whose outcome could not be recorded, until their answer is settled
        self._late_acts, self._late = Late(MAX_ACT_BYTES), Late(MAX_OTHER_BYTES)
        self._lost: list[RequestId] = []  # acts whose outcome could not be kept either, until a notice tells of them
        self._incidents: deque[Incident] = deque()  # of the log itself

    async def record_intent(self, trail: Trail) -> None:
        """A write is about to leave: durable before this returns.

        Raises:
            Refusal: RECORD_UNAVAILABLE; the write must not leave.
        """
        write = partial(lines.intent_line, trail, now=self._now(), instance=self.instance)
        try:
            await self._must_append("intent", write)
        except Refusal:
            self._unrecorded["intent"] += 1
            raise

    async def record_outcome(self, trail: Trail) -> None:
        """What became of a request: durable before this returns.

        Raises:
            Refusal: RECORD_UNAVAILABLE; no answer may be given. Not for reads where `on_failure` is "serve-reads", and
                not for strangers, who are refused either way.
        """
        event = "outcome" if trail.operation else "refusal"
        if trail.client is None:
            if self.stranger_has_a_line(trail.request.address):
                _log_access(trail)
                await self._try_append(event, await self._outcome_line(trail))
        elif self.on_failure == "serve-reads" and not (trail.operation and trail.operation.writes):
            await self._try_append(event, await self._outcome_line(trail))
        else:
            await self._must_append_outcome(event, trail)

    async def _must_append_outcome(self, event: str, trail: Trail) -> None:
        try:
            await self._must_append(event, await self._outcome_line(trail), vital=_is_of_an_act(trail))
        except Refusal:
            if trail.operation is not None and trail.operation.writes:
                self._owed.add(trail.request.id)  # its intent may be on record, even if it is only so later
            else:
                self._unrecorded[event] += 1
            raise

    async def _outcome_line(self, trail: Trail) -> Line:
        now, repeat, put_off = self._now(), None, is_put_off(trail)
        if (put_off or self._repeats) and (task := task_of(trail)) is not None:
            repeat = await self._repeats.note(task, now, put_off=put_off)
        return partial(lines.outcome_line, trail, now=now, instance=self.instance, repeat=repeat)

    def observe(self, trail: Trail) -> None:
        """Metrics and log of a request, once its answer is settled. Strangers are in the log as in the audit log."""
        self._metrics.observe(trail)
        if self._owed and trail.request.id in self._owed:
            self._owed.discard(trail.request.id)
            self._keep_for_later(trail)
        if trail.client:
            _log_access(trail)

    def _keep_for_later(self, trail: Trail) -> None:
        line = lines.outcome_line(trail, now=self._now(), instance=self.instance)
        if not _is_of_an_act(trail):
            self._unrecorded["outcome"] += not self._late.add(line)
        elif not self._late_acts.add(line):
            log.critical("the outcome of a write is lost", extra={"request": trail.request.id})
            self._lost.append(trail.request.id)

    async def record_unparsed(self, unparsed: Unparsed) -> None:
        """Bytes that never became a request. Never raises: they are refused either way."""
        self._metrics.observe_unparsed(unparsed)
        if not self.stranger_has_a_line(unparsed.address):
            return
        access_log.info(
            "refused",
            extra={"request": unparsed.id, "address": unparsed.address, "reason": unparsed.reason.slug},
        )
        await self._try_append(
            "unparsed",
            lines.unparsed_line(unparsed, now=self._now(), instance=self.instance),
        )

    def stranger_has_a_line(self, address: str) -> bool:
        """Whether a stranger may have one more line; if not, it is counted."""
        if self._strangers.may_have_a_line(address):
            return True
        self._metrics.observe_suppressed()
        return False

    def suppress(self, address: str) -> None:
        """Count a stranger for whom there is no room."""
        self._strangers.add_suppressed(address)
        self._metrics.observe_suppressed()

    async def record_connection(self, address: str, failure: str, at: float) -> None:
        """A connection came to nothing at `at` (Unix seconds), and has a line. Never raises."""
        line = lines.connection_line(address, failure, now=at, instance=self.instance)
        await self._try_append("connection", line)

    async def notice(self, kind: str, **details: lines.Value) -> bool:
        """Something about the gateway that shall happen once it is on record. Whether it is; a failure is logged."""
        line = lines.notice_line(kind, details, now=self._now(), instance=self.instance)
        return await self._succeeds("notice", line)

    async def tell(self, kind: str, **details: lines.Value) -> None:
        """Something about the gateway that has happened: start, stop, reload. On record now, or once it can be."""
        line = lines.notice_line(kind, details, now=self._now(), instance=self.instance)
        await self._append_some_time("notice", line)

    async def tell_interrupted(self, intent: Record) -> None:
        """A write was under way when the last run ended. On record now, or once it can be."""
        line = lines.interrupted_line(intent, now=self._now(), instance=self.instance)
        await self._append_some_time("interrupted", line)

    async def flush(self, *, at_end: bool = False) -> None:
        """Put on record what waits for it; to be called every second or so, and at the end.

        That is the counts of strangers, once their minute is over, and after a failure what was lost by it: so the
        audit log is found to work again, and /readyz to say so, although nobody calls.
        """
        if self._journal.problem is not None or +self._unrecorded or self._lost or self._late_acts or self._late:
            await self._tell_of_the_unrecorded()
        await self._tell_of_incidents()
        now = self._clock()
        if not at_end and not self._strangers.window_is_over(now):
            return
        suppressed = self._strangers.take_suppressed(now)
        await asyncio.gather(*(self._tell_suppressed(origin, count) for origin, count in suppressed.items()))

    async def _tell_suppressed(self, origin: str, count: int) -> None:
        line = lines.suppressed_line(origin, count, now=self._now(), instance=self.instance)
        if not await self._succeeds("suppressed", line):
            self._strangers.add_suppressed(origin, count)

    async def _tell_of_the_unrecorded(self) -> None:
        await self._tell_what_is_late(self._late_acts, vital=True)
        await self._tell_what_is_late(self._late, vital=False)
        told, lost = +self._unrecorded, len(self._lost)
        acts: dict[str, lines.Value] = {"acts": lost, "requests": tuple(self._lost[:_MOST_NAMED])} if lost else {}
        if await self.notice("audit-recovered", unrecorded=told, **acts):
            self._unrecorded -= told
            del self._lost[:lost]

    async def _tell_what_is_late(self, late: Late, *, vital: bool) -> None:
        """In their order, until some cannot be told yet; what is told is late no more, whatever becomes of the rest."""
        all_told = True
        while all_told and (batch := late.first(_LATE_AT_ONCE)):
            told = await asyncio.gather(*(self._is_told(line, vital=vital) for _, line in batch))
            late.remove(number for (number, _), is_told in zip(batch, told, strict=True) if is_told)
            all_told = all(told)

    async def _is_told(self, line: bytes, *, vital: bool) -> bool:
        try:
            await self._journal.append(line, vital=vital)
        except JournalUnavailable:
            return False
        return True

    async def _tell_of_incidents(self) -> None:
        """What befell the log itself; what cannot be told now is told later."""
        self._incidents += self._journal.take_incidents()
        while self._incidents and await self.notice(self._incidents[0].kind, **self._incidents[0].details):
            self._incidents.popleft()

    async def _must_append(self, event: str, line: Line, *, vital: bool = False) -> None:
        try:
            await self._append(event, line, vital=vital)
        except JournalUnavailable as error:
            raise Refusal(Reason.RECORD_UNAVAILABLE, note=str(error)) from error

    async def _try_append(self, event: str, line: Line) -> None:
        if not await self._succeeds(event, line):
            self._unrecorded[event] += 1

    async def _append_some_time(self, event: str, line: bytes) -> None:
        if not await self._succeeds(event, line) and not self._late.add(line):
            self._unrecorded[event] += 1

    async def _succeeds(self, event: str, line: Line) -> bool:
        try:
            await self._append(event, line)
        except JournalUnavailable:
            return False
        return True

    async def _append(self, event: str, line: Line, *, vital: bool = False) -> None:
        started = self._clock()
        written = False
        try:
            await self._journal.append(line, vital=vital)
            written, self.recorded_at = True, self._now()
        except JournalUnavailable as error:
            log.error("not on record: one %s; the audit log cannot be written: %s", event, error)  # noqa: TRY400 - says all
            raise
        finally:
            self._metrics.observe_record(event, written=written, seconds=self._clock() - started)


def _is_of_an_act(trail: Trail) -> bool:
    """Whether a write left, so that the application may have executed it."""
    return trail.operation is not None and trail.operation.writes and trail.was_forwarded


def _log_access(trail: Trail) -> None:
    held = trail.reason in (
        Reason.GUARD_HELD,
        Reason.GUARD_BEHIND,
    )  # as it shall be; of the wave itself people were told
    away = trail.reason is not None and trail.reason.unavailable and not held  # the upstream's fault or ours
    level = logging.WARNING if away else logging.INFO
    if not access_log.isEnabledFor(level):
        return
    request, operation, answer, reason = trail.request, trail.operation, trail.answer, trail.reason
    fields: dict[str, object] = {"request": request.id, "address": request.address}
    if trail.tenant_name is not None:
        fields["tenant"] = trail.tenant_name
    fields["method"] = request.method
    if operation is not None:
        fields["operation"] = operation.name
    if answer is not None:
        fields["status"] = answer.status
    if reason is not None:
        fields["reason"] = reason.slug
    if away and trail.delivery is not None:
        fields["note"] = trail.delivery.note
        fields["nodes"] = [attempt.node for attempt in trail.delivery.attempts]
    fields["milliseconds"] = round(sum(trail.seconds.values()) * 1000, 2)
    if trail.judgement is not None and trail.judgement.hold is not None:
        fields["hold"] = trail.judgement.hold
    said = "held" if held else "unavailable" if away else "served" if operation and reason is None else "refused"
    access_log.handle(_AccessRecord(level, said, fields))


class _AccessRecord(logging.LogRecord):
    """A record without what nobody reads of an access log: its module, line, thread and process."""

    def __init__(self, level: int, said: str, fields: dict[str, object]) -> None:
        created = time.time()
        self.__dict__.update(_PLAIN_RECORD, **fields)
        self.levelno, self.levelname, self.msg = level, "INFO" if level == logging.INFO else "WARNING", said
        self.created, self.msecs, self.fields = created, created % 1 * 1000, fields


_PLAIN_RECORD = vars(logging.LogRecord(access_log.name, logging.INFO, "", 0, "", (), None))
