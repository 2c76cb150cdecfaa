"""Where operators decide: the commands that the control socket offers about holds, and who hears of them.

A decision is on record, with the name of whoever made it, before it takes effect.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from gateway.server.control import ControlRefused, Handler, User
from gateway.stages.guarding import GuardEvent, Names
from gateway.state.ledger import (
    Decided,
    HeldWrite,
    HoldIsOver,
    HoldState,
    HoldView,
    Ledger,
    Ruling,
    Signature,
    Standing,
    UnknownHold,
)
from gateway.state.ledger.values import LAST_ATTEMPTS_FROM, WAITING
from gateway.state.ledger_store import LedgerUnavailable

if TYPE_CHECKING:
    from gateway.app import Instance

log = logging.getLogger(__name__)

LONGEST_REASON = 500
MOST_NAMES = 1000  # asked for at one look
LONGEST_ALLOWANCE_SECONDS = 7 * 86400.0
Words = Mapping[str, object]

_OVER = "%s is decided already; --until goes only with a hold that waits"
_DONE = {"approve": "approved", "deny": "denied"}
_SETTINGS = User(os.geteuid(), "the settings")
_SEE = "see `scim-gateway guard list`"
_SAID = {
    "wave-held": "a wave is held: with %s, %d people would lose access within the window; the limit is %d; " + _SEE,
    "wave-waits": "a wave still waits for a decision: it began with %s, with %d people and a limit of %d; " + _SEE,
    "wave-observed": "a wave passes, for the guard only observes: with %s, %d people lose access within the window; "
    "the limit is %d",
    "last-attempts": "the client of a held write gives up soon: %s (counted: %d, limit: %d); " + _SEE,
}


class Desk:
    """The commands of one instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._names = Names()
        self._one_by_one = asyncio.Lock()  # or what is on record first would not be what takes effect first

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By the command's name."""
        return {"guard.list": self.list_holds, "guard.approve": self.approve, "guard.deny": self.deny}

    # Commands ---------------------------------------------------------------------------------------

    async def list_holds(self, words: Words, _user: User) -> Words:
        """Every hold that is remembered: `tenant` (or all), `tasks` (whether to show each held write)."""
        tenant = _text(words, "tenant")
        if tenant is not None and tenant not in self._instance.settings.tenants:
            known = ", ".join(self._instance.settings.tenants)
            raise ControlRefused(f"there is no tenant {tenant}; there are {known}")
        views, lag = self._ledger.holds(tenant), self._instance.keeper.lag
        if words.get("tasks") is not True:
            return {"holds": [self._show(view, lag) for view in views]}
        names = await self._names_in(views)
        return {"holds": [self._show(view, lag) | {"tasks": _tasks_shown(view, names, lag)} for view in views]}

    def _show(self, view: HoldView, lag: float) -> dict[str, object]:
        tenant = self._instance.settings.tenants.get(view.tenant)
        return _hold(view, lag) | {"mode": "off" if tenant is None else tenant.guard.mode}

    async def _names_in(self, views: tuple[HoldView, ...]) -> Mapping[tuple[str, str], str]:
        """By tenant and path, names of those of whom the client sent only an id."""
        nameless: dict[str, list[str]] = {}
        for view in views:
            if view.tenant in self._instance.settings.tenants:  # a reload may have taken it away
                own = nameless.setdefault(view.tenant, [])
                own += [write.summary for write in view.writes if write.summary.startswith("/")]
        known: dict[tuple[str, str], str] = {}
        for tenant, paths in nameless.items():
            names = await self._names.of(tenant, paths[:MOST_NAMES], partial(self._instance.ask, tenant))
            known.update({(tenant, path): name for path, name in names.items()})
        return known

    async def approve(self, words: Words, user: User) -> Words:
        """Let held writes pass: `hold`, `reason`; `tasks`, or `until`, or `raise_to` with `until` (Unix seconds)."""
        until, people, tasks = _moment(words, "until"), _number(words, "raise_to"), _tasks(words)
        if people is not None and until is None:
            raise ControlRefused("a raised threshold needs --until: for how long")
        if until is not None:
            if tasks is not None:
                raise ControlRefused("--until lets everything pass, so it excludes --task")
            until -= self._instance.keeper.lag
            self._check_until(until)

        def decide(ledger: Ledger, hold: str, signature: Signature) -> Decided:
            if until is None:
                return ledger.approve(hold, signature, tasks)
            if people is None:
                return ledger.approve_until(hold, signature, until)
            return ledger.raise_threshold(hold, signature, people, until)

        return await self._decide("approve", words, user, decide)

    async def deny(self, words: Words, user: User) -> Words:
        """Turn held writes away for good: `hold`, `reason`; `tasks`, or all that wait."""
        tasks = _tasks(words)
        return await self._decide("deny", words, user, lambda ledger, hold, by: ledger.deny(hold, by, tasks))

    async def _decide(
        self, ruling: str, words: Words, user: User, decide: Callable[[Ledger, str, Signature], Decided]
    ) -> Words:
        hold, reason = _text(words, "hold"), (_text(words, "reason") or "").strip()
        if hold is None or not reason:
            raise ControlRefused("a decision names the hold and gives a reason (--reason)")
        ledger, details = self._ledger, _details(words, user, ruling)
        async with self._one_by_one:
            view = next((view for view in ledger.holds() if view.hold.id == hold), None)
            if view is None:
                raise ControlRefused(f"there is no hold {hold}; `scim-gateway guard list` shows those there are")
            _check_decidable(view, words)
            signature = Signature(user.name, reason[:LONGEST_REASON], self._instance.keeper.now)
            if not await self._instance.recording.notice("guard-decision", tenant=view.tenant, hold=hold, **details):
                raise ControlRefused("nothing was decided: a decision must be on record first, and the audit log fails")
            try:
                decided = decide(ledger, hold, signature)
            except UnknownHold as error:
                raise ControlRefused(f"there is no hold {hold} any more") from error
            except HoldIsOver as error:
                raise ControlRefused(_OVER % hold) from error
        said = f"{hold}: {len(decided.changed)} held writes {_DONE[ruling]} by {user.name}: {details['reason']}"
        log.warning("%s", said, extra={"tenant": view.tenant, "hold": hold})
        changed = {"changed": len(decided.changed), "text": said}
        self._announce("wave-decided", view.tenant, {"hold": hold, **details, **changed})
        await self._keep()
        return {"hold": hold, "changed": len(decided.changed), "said": _said(decided)}

    def _check_until(self, until: float) -> None:
        now = self._instance.keeper.now
        if not now < until <= now + LONGEST_ALLOWANCE_SECONDS:
            raise ControlRefused("--until lies within the next seven days")

    async def _keep(self) -> None:
        try:
            await self._instance.keeper.keep()
        except LedgerUnavailable as error:
            raise ControlRefused(f"it is decided, but a restart would forget it for now: {error}") from error

    @property
    def _ledger(self) -> Ledger:
        keeper = self._instance.keeper
        if keeper.ledger is None:
            raise ControlRefused(f"the guard has no ledger: {keeper.problem}")
        return keeper.ledger

    # What happens by itself ---------------------------------------------------------------------------

    async def tell(self, event: GuardEvent) -> None:
        """Let people hear of what the guard met: log, record, webhook."""
        what = f"{event.operation} of {event.summary}" if event.operation else event.summary
        said = _SAID[event.kind] % (what, event.counted, event.limit)
        level = logging.WARNING if event.kind == "wave-observed" else logging.ERROR
        log.log(level, said, extra={"tenant": event.tenant_name, "hold": event.hold, "request": event.request_id})
        details = {
            "hold": event.hold,
            "operation": event.operation,
            "whom": event.summary,
            "counted": event.counted,
            "limit": event.limit,
            "attempts": event.attempts,
            "request": event.request_id,
        }
        await self._instance.recording.tell(event.kind, tenant=event.tenant_name, **details)
        self._announce(event.kind, event.tenant_name, {**details, "text": said})

    async def let_go(self) -> None:
        """Approve what waits where the settings hold nothing (any more), on record; at the start and after a reload.

        Else the mode would let a held write and its successors pass in whatever order they come again.
        """
        ledger = self._instance.keeper.ledger
        for view in ledger.holds() if ledger is not None else ():
            tenant = self._instance.settings.tenants.get(view.tenant)
            if tenant is None or tenant.guard.mode == "hold" or view.hold.state is not HoldState.OPEN:
                continue
            words = {"hold": view.hold.id, "reason": f'the guard\'s mode is "{tenant.guard.mode}"'}
            try:
                await self.approve(words, _SETTINGS)
            except ControlRefused as error:
                log.error("%s still waits: %s", view.hold.id, error)  # noqa: TRY400 - says all

    async def expire(self) -> None:
        """Deny what nobody decided in time; to be called every minute or so.

        On record first, but a hold does not wait for an audit log that fails: its tasks would be lost in silence.
        """
        ledger = self._instance.keeper.ledger
        if ledger is None:
            return
        await self.let_go()  # what could not be put on record before
        async with self._one_by_one:
            now = await self._put_overdue_on_record(ledger)
            expired = ledger.expire(now)
        for decided in expired:
            hold, denied = decided.view.hold.id, len(decided.changed)
            said, tenant = f"nobody decided on {hold} in time: {denied} held writes are denied", decided.view.tenant
            log.error("%s", said, extra={"tenant": tenant, "hold": hold})
            self._announce("wave-expired", tenant, {"hold": hold, "denied": denied, "text": said})

    async def _put_overdue_on_record(self, ledger: Ledger) -> float:
        """Tell of all that end now; the moment by which they do, for others may be due by the time this is written."""
        told: set[str] = set()
        while True:
            now = self._instance.keeper.now
            due = [view for view in ledger.overdue(now) if view.hold.id not in told]
            if not due:
                return now
            for view in due:
                hold, denied = view.hold.id, sum(write.standing is Standing.HELD for write in view.writes)
                told.add(hold)
                if not await self._instance.recording.notice(
                    "wave-expired", tenant=view.tenant, hold=hold, denied=denied
                ):
                    log.error("%s ends all the same, though the audit log fails and this is not on record", hold)

    def _announce(self, kind: str, tenant: str, details: Mapping[str, object]) -> None:
        webhook = self._instance.webhook
        if webhook is not None:
            public_url = self._instance.settings.gateway.public_url
            webhook.tell({"event": kind, "gateway": public_url, "tenant": tenant, **details})


def _details(words: Words, user: User, ruling: str) -> dict[str, str | int | float | tuple[str, ...] | None]:
    return {
        "ruling": ruling,
        "by": user.name,
        "uid": user.uid,
        "reason": (_text(words, "reason") or "").strip()[:LONGEST_REASON],
        "tasks": _tasks(words),
        "until": _moment(words, "until"),
        "raise_to": _number(words, "raise_to"),
    }


def _said(decided: Decided) -> str:
    waiting = sum(write.standing is Standing.HELD for write in decided.view.writes)
    if decided.ended or not waiting:
        return "Nothing of it waits for a decision any more."
    return f"{waiting} more {'waits' if waiting == 1 else 'wait'} for a decision."


def _check_decidable(view: HoldView, words: Words) -> None:
    """Refuse what would change nothing, before it goes on record as a decision."""
    hold, people = view.hold, _number(words, "raise_to")
    if _moment(words, "until") is not None and hold.ended_at is not None:
        raise ControlRefused(_OVER % hold.id)
    if people is not None and people <= hold.limit:
        raise ControlRefused(f"--raise-to {people} would raise nothing: the limit is {hold.limit} already")
    known = {write.task for write in view.writes}
    if missing := [task for task in _tasks(words) or () if task not in known]:
        raise ControlRefused(f"{hold.id} has no task {', '.join(missing)}; see `scim-gateway guard list --tasks`")


def _hold(view: HoldView, lag: float) -> dict[str, object]:
    """`lag`: Unix seconds less guard seconds, for people look at clocks on walls."""
    hold, writes = view.hold, view.writes
    standing = [write.standing for write in writes]
    waiting = [write for write in writes if write.standing in WAITING]
    last = hold.decisions[-1] if hold.decisions else None
    return {
        "id": hold.id,
        "tenant": view.tenant,
        "state": _state(view),
        "tripped_at": hold.tripped_at + lag,
        "tripped_by": hold.tripped_by,
        "expires_at": hold.expires_at + lag,
        "counted": hold.counted,
        "limit": hold.limit,
        "held": standing.count(Standing.HELD) + (0 if hold.ended_at else hold.beyond),
        "follow": standing.count(Standing.FOLLOWS),
        "approved": standing.count(Standing.APPROVED),
        "denied": standing.count(Standing.DENIED) + standing.count(Standing.SUPERSEDED),
        "done": hold.done,
        "most_attempts": max((write.attempts for write in waiting), default=0),
        "last_chance": sum(write.attempts > LAST_ATTEMPTS_FROM for write in waiting),
        "decided_by": last.by if last and last.by else None,
        "decided_at": last.at + lag if last else None,
        "reason": last.reason if last else None,
    }


def _tasks_shown(view: HoldView, names: Mapping[tuple[str, str], str], lag: float) -> list[Words]:
    return [_task(write, names.get((view.tenant, write.summary)), lag) for write in view.writes]


def _task(write: HeldWrite, name: str | None, lag: float) -> Words:
    return {
        "task": write.task,
        "operation": write.operation,
        "summary": f"{name} ({write.summary})" if name else write.summary,
        "people": len(write.people),
        "attempts": write.attempts,
        "first_at": write.first_at + lag,
        "last_at": write.last_at + lag,
        "state": write.standing.value,
    }


def _state(view: HoldView) -> str:
    if view.hold.state is HoldState.OPEN:
        return "held"
    if view.hold.state is HoldState.EXPIRED:
        return "expired"
    ruled = view.hold.decisions[-1].ruling if view.hold.decisions else Ruling.APPROVE
    return "denied" if ruled in (Ruling.DENY, Ruling.EXPIRE) else "approved"


def _text(words: Words, name: str) -> str | None:
    value = words.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ControlRefused(f"{name} is a text")


def _number(words: Words, name: str) -> int | None:
    value = words.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ControlRefused(f"{name} is a whole number above 0")


def _moment(words: Words, name: str) -> float | None:
    value = words.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ControlRefused(f"{name} is a moment, in Unix seconds")


def _tasks(words: Words) -> tuple[str, ...] | None:
    value = words.get("tasks")
    if value is None:
        return None
    if isinstance(value, list) and value and all(isinstance(task, str) for task in value):
        return tuple(task for task in value if isinstance(task, str))
    raise ControlRefused("tasks is a list of their ids, as `scim-gateway guard list --tasks` shows them")
