"""Writes, rules and signatures for the tests of the ledger."""

from __future__ import annotations

from gateway.state.ledger import Ledger, Rules, Signature, Verdict, Weighed, Write

RULES = Rules(people=3, window_seconds=100.0, hold_seconds=4000.0)
TENANT = "jira"


def off(person: str, request: str = "r") -> Write:
    """Somebody is deactivated."""
    return Write(f"off-{person}", f"user-{person}", "user.deactivate", frozenset([person]), request, f"{person}@x.org")


def on(person: str, request: str = "r") -> Write:
    """Somebody is reactivated."""
    return Write(f"on-{person}", f"user-{person}", "user.activate", frozenset(), request, f"{person}@x.org")


def out(people: str, task: str = "out") -> Write:
    """Some people, a letter each, are removed from a group."""
    return Write(task, "group-g", "group.members.replace", frozenset(people), "r", "Group G")


def signed(at: float) -> Signature:
    """A person decides."""
    return Signature("alice", "I asked HR", at)


def weigh(ledger: Ledger, write: Write, now: float = 0.0, rules: Rules = RULES, tenant: str = TENANT) -> Weighed:
    """One attempt; a hold it trips is named after its moment."""
    return ledger.weigh(tenant, write, rules, now, f"hold-{int(now * 10):08x}")


def execute(ledger: Ledger, write: Write, now: float = 0.0, rules: Rules = RULES, tenant: str = TENANT) -> Verdict:
    """One attempt, executed at once if it passes."""
    weighed = weigh(ledger, write, now, rules, tenant)
    if weighed.reservation is not None:
        ledger.settle(tenant, weighed.reservation, True, now)
    return weighed.verdict


def wave(people: str, now: float = 0.0) -> tuple[Ledger, str]:
    """A ledger in which the first three passed and a hold keeps the rest; and the id of that hold."""
    ledger = Ledger()
    for person in people:
        execute(ledger, off(person), now)
    return ledger, ledger.holds()[0].hold.id
