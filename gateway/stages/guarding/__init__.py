"""Guarding: would this write take access from too many people? Then it waits for somebody to say yes.

Who loses access is judged by meaning (`scim.access`); where only the difference tells, the upstream is asked who is in
the group, while the write holds its turn. What is counted and decided is the ledger's (`state.ledger`); what it says
is on disk before the write leaves, or before the client is told to come back.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.audit.tasks import digest_of, parts_of
from gateway.exchange import Client, Delivery, Judgement, Operation, Outcome, RequestId, Trail, Verdict
from gateway.refusal import Reason, Refusal
from gateway.scim.access import Loss, Taking
from gateway.scim.addresses import Kind
from gateway.settings.models import GuardSection
from gateway.stages.guarding.directories import Ask, Directories
from gateway.stages.guarding.groups import GONE, Group, read_group
from gateway.stages.guarding.names import Names
from gateway.state import ledger as ledgers
from gateway.state.keeper import Keeper
from gateway.state.ledger import HoldState, Ledger, Rules, Weighed, Write
from gateway.state.ledger_store import LedgerUnavailable

__all__ = ["Ask", "Directories", "GuardEvent", "Guarding", "Names"]

log = logging.getLogger(__name__)

# Whoever gets another answer does not try again by itself; 499 is for whoever has hung up, and got none.
NOBODY: tuple[str, ...] = ()
_NO_LIMIT = 1_000_000_000
COMES_BACK = (429, 499, 503)
_VERDICTS = {
    ledgers.Verdict.PASS: (Verdict.PASS, None),
    ledgers.Verdict.HOLD: (Verdict.HOLD, Reason.GUARD_HELD),
    ledgers.Verdict.DENY: (Verdict.DENY, Reason.GUARD_DENIED),
}


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """Something that people must hear of at once: `kind` is wave-held, wave-waits, wave-observed or last-attempts."""

    kind: str
    tenant_name: str
    hold: str | None
    operation: str
    summary: str
    counted: int
    limit: int
    attempts: int
    request_id: RequestId


class Guarding:
    """The guard. One for the life of an instance."""

    def __init__(self, keeper: Keeper, directories: Directories) -> None:
        self.directories = directories
        self.on_event: Callable[[GuardEvent], None] = lambda _: None
        self._keeper = keeper
        self._next_hold = _new_hold()  # made beforehand, for few writes trip one
        self._known_rules: dict[str, tuple[GuardSection, Rules]] = {}  # by tenant; a reload brings another section

    async def weigh(
        self, operation: Operation, client: Client, resource: str | None, request_id: RequestId, ask: Ask
    ) -> Judgement | None:
        """What the guard says of a write; None when it has nothing to say. One with a reservation is to be settled.

        `resource` names what the write has its turn on.

        Raises:
            Refusal: the upstream was asked who is in a group, and this is why it did not answer.
        """
        guard, ledger = client.tenant.guard, self._keeper.ledger
        bound = guard.mode != "hold" and _is_bound(operation, client, resource, ledger)
        if guard.mode == "off" and not bound:
            return None
        unseen = not bound and (guard.mode != "hold" or ledger is None or ledger.is_quiet(client.tenant_name))
        loss, lost = "", NOBODY
        if operation.takes is None:
            if unseen:
                return None
        else:
            loss = operation.takes.loss.value
            takes = operation.takes
            known = takes.people if takes.group is None else ()  # a user's id needs no question
            found = known or await _find(operation, takes, client, request_id, ask)
            if isinstance(found, Judgement):
                return found
            lost = found
            if not lost and unseen:
                return Judgement(Verdict.PASS, loss)
            if self.directories.size_of(client.tenant_name, client.tenant) is None:
                await self.directories.learn(client.tenant_name, ask)
        if ledger is None:
            return self._blind(loss, lost, guard)
        if lost and guard.mode == "hold":
            judgement = self._let_pass(ledger, _key(operation, client, resource), client, loss, lost)
            if judgement is not None:
                return await self._kept(ledger, judgement, client)
        write = _write(operation, client, resource, lost, request_id)
        return await self._judge(ledger, write, loss, client, bound=bound)

    def _blind(self, loss: str, lost: tuple[str, ...], guard: GuardSection) -> Judgement | None:
        """Without a ledger nobody can count."""
        if guard.mode != "hold":
            return None
        why = self._keeper.problem or ""
        return Judgement(Verdict.HOLD, loss, lost, note=why, reason=Reason.GUARD_UNAVAILABLE)

    def _let_pass(
        self, ledger: Ledger, resource: str, client: Client, loss: str, lost: tuple[str, ...]
    ) -> Judgement | None:
        """The short way of most writes: nothing is held, and this is no wave."""
        rules = self._rules(client)
        passed = ledger.let_pass(client.tenant_name, frozenset(lost), resource, rules, self._keeper.now)
        if passed is None:
            return None
        counted, limit, reservation = passed
        return Judgement(Verdict.PASS, loss, lost, counted, limit, None, 1, reservation)

    def tell_what_waits(self) -> None:
        """After a start: a crash may have come between a hold and those who are to hear of it."""
        for view in self._keeper.ledger.holds() if self._keeper.ledger is not None else ():
            hold = view.hold
            if hold.state is HoldState.OPEN:
                event = GuardEvent(
                    "wave-waits", view.tenant, hold.id, "", hold.tripped_by, hold.counted, hold.limit, 0, RequestId("")
                )
                self.on_event(event)

    def wave_waits(self, tenant_name: str | None) -> bool:
        """Whether a wave of this tenant waits for a person."""
        ledger = self._keeper.ledger
        return ledger is not None and tenant_name is not None and ledger.wave_waits(tenant_name)

    def settle(self, trail: Trail) -> None:
        """Say what became of a write that passed; it is kept on disk by whoever keeps the ledger next."""
        judgement, ledger = trail.judgement, self._keeper.ledger
        if judgement is None or judgement.reservation is None or ledger is None or trail.client is None:
            return
        outcome = trail.outcome
        executed = None if outcome is Outcome.UNKNOWN else outcome is Outcome.EXECUTED
        over = trail.answer is not None and trail.answer.status not in COMES_BACK
        ledger.settle(trail.client.tenant_name, judgement.reservation, executed, self._keeper.now, over=over)

    async def _judge(self, ledger: Ledger, write: Write, loss: str, client: Client, *, bound: bool) -> Judgement:
        guard, tenant_name = client.tenant.guard, client.tenant_name
        rules = replace(self._rules(client), people=_NO_LIMIT, directory=None) if bound else self._rules(client)
        now = self._keeper.now
        if guard.mode != "hold" and not bound:
            weighed = ledger.observe(tenant_name, write, rules, now)
        else:
            weighed = ledger.weigh(tenant_name, write, rules, now, self._next_hold)
        if weighed.hold == self._next_hold:
            self._next_hold = _new_hold()
        if weighed.tripped or weighed.warning_due:
            self._tell(weighed, write, tenant_name)
        return await self._kept(ledger, _judgement(weighed, write, loss, guard), client)

    async def _kept(self, ledger: Ledger, judgement: Judgement, client: Client) -> Judgement:
        """What the ledger said, once it is on disk."""
        try:
            await self._keeper.keep()
        except LedgerUnavailable as error:
            return self._without_a_record(ledger, judgement, client.tenant_name, client.tenant.guard, str(error))
        except BaseException:  # cut short: nobody gets to know the reservation, so nobody would settle it
            self._release(ledger, judgement, client.tenant_name)
            raise
        return judgement

    def _rules(self, client: Client) -> Rules:
        guard, size = client.tenant.guard, self.directories.size_of(client.tenant_name, client.tenant)
        known = self._known_rules.get(client.tenant_name)
        if known is None or known[0] is not guard or known[1].directory != size:
            rules = Rules(guard.people, guard.share, guard.window_seconds, guard.hold_hours * 3600, size)
            known = self._known_rules[client.tenant_name] = (guard, rules)
        return known[1]

    def _without_a_record(
        self, ledger: Ledger, judgement: Judgement, tenant_name: str, guard: GuardSection, why: str
    ) -> Judgement:
        """SECURITY: what could not be kept would be forgotten by a crash, and a wave would pass in two halves."""
        if judgement.reason is not None or not judgement.lost or guard.mode != "hold":
            return judgement
        self._release(ledger, judgement, tenant_name)
        return Judgement(
            Verdict.HOLD, judgement.loss, judgement.lost, judgement.counted, judgement.limit,
            note=why, reason=Reason.GUARD_UNAVAILABLE,
        )  # fmt: skip

    def _release(self, ledger: Ledger, judgement: Judgement, tenant_name: str) -> None:
        """The write does not leave; what was approved stays so, for its client comes again."""
        if judgement.reservation is not None:
            ledger.settle(tenant_name, judgement.reservation, False, self._keeper.now, over=False)

    def _tell(self, weighed: Weighed, write: Write, tenant_name: str) -> None:
        kinds = []
        if weighed.tripped:
            kinds.append("wave-observed" if weighed.would_hold else "wave-held")
        if weighed.warning_due:
            kinds.append("last-attempts")
        for kind in kinds:
            event = GuardEvent(
                kind, tenant_name, weighed.hold, write.operation, write.summary, weighed.counted, weighed.limit,
                weighed.attempts, RequestId(write.request_id),
            )  # fmt: skip
            self.on_event(event)


def _is_bound(operation: Operation, client: Client, resource: str | None, ledger: Ledger | None) -> bool:
    """Whether a write has to wait for others, or was denied, though its guard holds nothing now: see `Desk.let_go`."""
    if ledger is None or ledger.is_quiet(client.tenant_name):
        return False
    task = _task(operation, operation.address.path, client)
    return ledger.binds(client.tenant_name, task, _key(operation, client, resource))


def _key(operation: Operation, client: Client, resource: str | None) -> str:
    return resource or f"{client.tenant_name} {operation.address.path}"


def _new_hold() -> str:
    return f"hold-{secrets.token_hex(4)}"


def _write(
    operation: Operation, client: Client, resource: str | None, lost: tuple[str, ...], request_id: RequestId
) -> Write:
    where = operation.address.path
    name = operation.resource_name or (operation.people[0].user_name if len(operation.people) == 1 else None)
    return Write(
        task=_task(operation, where, client),
        resource=_key(operation, client, resource),
        operation=operation.name,
        people=frozenset(lost),
        request_id=request_id,
        summary=f"{name} ({where})" if name else where,
    )


def _task(operation: Operation, where: str, client: Client) -> str:
    """A digest which a client's repeats share; the audit log's reader finds it again from what a line says."""
    takes = operation.takes
    of_group = operation.address.kind is Kind.GROUPS
    return digest_of(
        parts_of(
            tenant=client.tenant_name,
            method=operation.method,
            resource=where,
            loss=takes.loss.value if takes else "",
            operation=operation.name,
            attributes=operation.attributes,
            members=[person.id or "" for person in operation.people] if of_group else None,
            taken=takes.people if takes else (),
        )
    )


async def _find(
    operation: Operation, takes: Taking, client: Client, request_id: RequestId, ask: Ask
) -> tuple[str, ...] | Judgement:
    """Whose access a write takes; or the whole judgement, where nobody has to count.

    Raises:
        Refusal: the upstream did not say who is in the group.
    """
    loss = takes.loss.value
    try:
        lost, exempt = await _lost(takes, operation, client, ask)
    except Refusal as refusal:
        if client.tenant.guard.mode == "hold":
            raise
        # Whoever only observes stands in nobody's way.
        about = {"tenant": client.tenant_name, "request": request_id}
        log.warning("who loses access by %s is not known: %s", operation.name, refusal.note, extra=about)
        return Judgement(Verdict.PASS, loss, note=refusal.note)
    return Judgement(Verdict.EXEMPT, loss, lost) if exempt else lost


async def _lost(takes: Taking, operation: Operation, client: Client, ask: Ask) -> tuple[tuple[str, ...], bool]:
    """Whose access a write takes, and whether that is the group's own business."""
    guard = client.tenant.guard
    if takes.loss is not Loss.REMOVED:
        return takes.people or (f"me:{client.credential}",), False
    if takes.group in guard.exempt_groups:
        return takes.people, True
    if not takes.needs_members and not guard.exempt_groups:
        return takes.people, False
    path = operation.address.path
    group = await _group(path, ask) if takes.needs_members else _read(await ask(f"{path}?attributes=displayName"))
    exempt = group.name is not None and group.name in guard.exempt_groups
    lost = takes.lost(group.members or ()) if takes.needs_members else takes.people
    return tuple(sorted(lost)), exempt


async def _group(path: str, ask: Ask) -> Group:
    """A group as it is now; without members where it has none or is not there."""
    group = _read(await ask(path))
    if group is GONE or group.members:
        return group
    asked_for = _read(await ask(f"{path}?attributes=displayName,members"))  # some show members only when asked to
    if asked_for is GONE:
        # SECURITY: it was there a moment ago; what is not answered is not "nobody".
        raise Refusal(
            Reason.UPSTREAM_NOT_SCIM, note="the guard asked who is in the group, and was answered in two ways"
        )
    return asked_for


def _read(delivery: Delivery) -> Group:
    answer = delivery.answer
    if delivery.reason is not None or answer is None:
        reason = delivery.reason or Reason.GATEWAY_FAULT
        raise Refusal(reason, note=f"the guard asked who is in the group: {delivery.note}")
    if answer.status == 404:  # the write will come to the same
        return GONE
    group = read_group(answer.document) if answer.status == 200 and answer.document is not None else None
    if group is None:
        note = f"the guard asked who is in the group, and cannot tell from the answer: status {answer.status}"
        raise Refusal(Reason.UPSTREAM_NOT_SCIM, note=note)
    return group


def _judgement(weighed: Weighed, write: Write, loss: str, guard: GuardSection) -> Judgement:
    verdict, reason = _VERDICTS[weighed.verdict]
    if reason is Reason.GUARD_HELD and not write.people:
        reason = Reason.GUARD_BEHIND
    note = ""
    if reason is not None:
        note = f"{weighed.note}; {weighed.counted} people within {guard.window_seconds} s, the limit is {weighed.limit}"
    return Judgement(
        Verdict.WOULD_HOLD if weighed.would_hold else verdict,
        loss,
        tuple(sorted(write.people)),
        weighed.counted,
        weighed.limit,
        weighed.hold,
        weighed.attempts,
        weighed.reservation,
        note,
        reason,
    )
