"""What is wrong with an instance, and what will be soon: in plain words, with what to do. Pure.

To add a rule: write a function, add it to RULES, add its tests. Every rule always runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.overview.facts import CredentialFacts, Facts

DAY = 86_400.0
SOON_SECONDS = 14 * DAY  # before its end something is worth a word
OVERLAP_SOON_SECONDS = DAY  # before the end of an overlap
SINK_LATE_SECONDS = 300.0
SIGNED_LATE_SECONDS = 900.0  # a checkpoint comes every five minutes if lines came
FEED_OLD_SECONDS = 35 * DAY

Level = Literal["wrong", "watch"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`wrong` wants somebody now; `watch` wants somebody in time."""

    level: Level
    text: str
    advice: str


Rule = Callable[[Facts], Iterator[Finding]]


def it_serves(facts: Facts) -> Iterator[Finding]:
    if facts.draining:
        yield Finding("wrong", "the instance is being stopped", "start it again if that was not meant")
    elif not facts.accepting:
        yield Finding("wrong", f"{facts.listens} takes no connections", "look into the log, then restart the instance")


def the_record_is_kept(facts: Facts) -> Iterator[Finding]:
    audit = facts.audit
    if audit.problem:
        text = f"the audit log cannot be written, so requests are put off: {audit.problem}"
        yield Finding("wrong", text, f"make room in {audit.directory}, or mend its disk; docs/audit.md")
    if audit.signed_at is not None and audit.signed_line < audit.last_line:
        late = facts.now - audit.signed_at
        if late > SIGNED_LATE_SECONDS:
            text = f"the audit log was not signed for {_span(late)}"
            yield Finding("wrong", text, "the instance's log says why (checkpoint)")
    for sink in audit.sinks:
        if sink.problem:
            text = f"the audit log does not get out by {sink.name}, {sink.lag_lines} lines behind: {sink.problem}"
            yield Finding("wrong", text, "nothing is lost while it is on the disk; docs/audit-export.md")
        elif sink.oldest_seconds > SINK_LATE_SECONDS:
            text = f"{sink.name} is {_span(sink.oldest_seconds)} behind the audit log ({sink.lag_lines} lines)"
            yield Finding("wrong", text, "the other side takes lines too slowly, or not at all; docs/audit-export.md")


def the_settings_are_those_of_the_file(facts: Facts) -> Iterator[Finding]:
    if facts.reload_problem:
        text = f"the settings read last are refused, those of before are in use: {facts.reload_problem}"
        yield Finding("wrong", text, "scim-gateway check; then reload (SIGHUP)")


def the_certificate_lasts(facts: Facts) -> Iterator[Finding]:
    certificate, left = facts.certificate, facts.certificate.ends_at - facts.now
    if certificate.refused:
        text = f"the new certificate is refused and the old one served: {certificate.refused}"
        yield Finding("wrong", text, "put a good pair there; it is taken within seconds")
    if left <= 0:
        yield Finding("wrong", "the certificate has ended: no client connects", "renew it; it is taken within seconds")
    elif left < SOON_SECONDS:
        yield Finding("watch", f"the certificate ends in {_span(left)}", "renew it; it is taken within seconds")


def the_guard_can_count(facts: Facts) -> Iterator[Finding]:
    if facts.guard_problem:
        text = f"whatever takes access from people is put off: {facts.guard_problem}"
        yield Finding("wrong", text, "docs/guard.md, The ledger and the record")


def what_was_decided_is_kept(facts: Facts) -> Iterator[Finding]:
    if facts.credentials_problem:
        text = f"what was decided on credentials is not on disk: {facts.credentials_problem}"
        yield Finding("wrong", text, "a restart would forget it: mend the disk first; the instance keeps trying")


def feeds_are_fresh(facts: Facts) -> Iterator[Finding]:
    for feed in facts.feeds:
        if feed.refused:
            text = f"the feed {feed.name} is refused and its old networks are kept: {feed.refused}"
            yield Finding("wrong", text, f"fetch {feed.file} anew; if it is right, restart (docs/decisions.md)")
        elif feed.changed_at is not None and facts.now - feed.changed_at > FEED_OLD_SECONDS:
            text = f"the feed {feed.name} is {_span(facts.now - feed.changed_at)} old"
            yield Finding("watch", text, f"does something still fetch {feed.file}?")


def waves_are_decided(facts: Facts) -> Iterator[Finding]:
    for tenant in facts.tenants:
        if tenant.open_holds:
            waves = "1 wave waits" if tenant.open_holds == 1 else f"{tenant.open_holds} waves wait"
            text = f"{tenant.name}: {waves} for a decision, with {tenant.held_writes} writes"
            if tenant.near_their_end:
                text += f"; {tenant.near_their_end} of them come for the last time soon"
            yield Finding("wrong", text, f"scim-gateway guard list --tenant {tenant.name}")


def applications_answer(facts: Facts) -> Iterator[Finding]:
    for tenant in facts.tenants:
        away = [node for node in tenant.nodes if node.healthy is False and node.state != "drained"]
        serving = [node for node in tenant.nodes if node.healthy and node.state != "drained"]
        said = "; ".join(f"{node.name}: {node.note}" for node in away)
        if all(node.state == "drained" for node in tenant.nodes):
            text = f"{tenant.name}: every node is drained, so nothing is forwarded"
            yield Finding("wrong", text, "take one out of upstream_drained, then reload")
        elif away and not serving:
            text = f"{tenant.name}: the application does not serve: {said}"
            yield Finding("wrong", text, _advice_on(said))
        elif away:
            text = f"{tenant.name}: a node does not serve, others do: {said}"
            yield Finding("watch", text, _advice_on(said))


def clients_can_call(facts: Facts) -> Iterator[Finding]:
    for tenant in facts.tenants:
        lasting = [one for one in tenant.credentials if one.state == "valid"]
        ending = [one for one in tenant.credentials if one.state == "ending"]
        new = f"scim-gateway token new --tenant {tenant.name}"
        if not lasting and not ending:
            yield Finding("wrong", f"{tenant.name}: no credential is valid, so nobody can call", new)
        elif not lasting:
            yield Finding("wrong", f"{tenant.name}: only rotated credentials are left, and they end", new)
        elif (last := _last_end(lasting)) is not None and last - facts.now < SOON_SECONDS:
            text = f"{tenant.name}: the last credential ends in {_span(last - facts.now)}"
            name = max(lasting, key=lambda one: one.ends_at or 0.0).name
            yield Finding("watch", text, f"scim-gateway token rotate --tenant {tenant.name} --name {name}")


def rotations_come_to_an_end(facts: Facts) -> Iterator[Finding]:
    """Whoever has to change the client may have forgotten it."""
    for tenant in facts.tenants:
        for one in tenant.credentials:
            if one.state == "ending" and one.ends_at is not None and _is_used_since_its_end_was_decided(one):
                left = one.ends_at - facts.now
                text = f"{tenant.name}: the client still came with {one.name}, which ends in {_span(left)}"
                advice = f"enter the token of {one.successor} in the client; `scim-gateway token extend` gives it time"
                yield Finding("wrong" if left < OVERLAP_SOON_SECONDS else "watch", text, advice)


def the_file_holds_what_opens(facts: Facts) -> Iterator[Finding]:
    for tenant in facts.tenants:
        for one in tenant.credentials:
            if one.is_in_settings and one.state in ("rotated", "revoked"):
                text = f"{tenant.name}: the settings still have {one.name}, {one.state} by {one.ended_by}"
                yield Finding("watch", text, "take its block out of the settings file")


def requests_are_answered(facts: Facts) -> Iterator[Finding]:
    for tenant in facts.tenants:
        total, bad = sum(tenant.answers.values()), tenant.answers.get("failed", 0)
        if bad and bad >= total / 20:
            text = f"{tenant.name}: {bad} of {total} requests of the last minutes were answered with an error (5xx)"
            yield Finding("watch", text, "the audit log has a reason for each; docs/refusals.md")
        later = tenant.answers.get("later", 0)
        if later and later >= total / 5 and not tenant.open_holds:  # a wave puts off many, and is a finding itself
            text = f"{tenant.name}: {later} of {total} requests of the last minutes were told to come later (429)"
            yield Finding("watch", text, "the audit log has a reason for each, such as limits of the tenant's")


RULES: tuple[Rule, ...] = (
    it_serves,
    the_record_is_kept,
    applications_answer,
    waves_are_decided,
    clients_can_call,
    the_certificate_lasts,
    the_guard_can_count,
    what_was_decided_is_kept,
    the_settings_are_those_of_the_file,
    feeds_are_fresh,
    rotations_come_to_an_end,
    the_file_holds_what_opens,
    requests_are_answered,
)


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Everything that the rules find, what is wrong first."""
    return tuple(sorted((one for rule in RULES for one in rule(facts)), key=lambda one: one.level != "wrong"))


def _last_end(credentials: list[CredentialFacts]) -> float | None:
    """When the last of them ends; None: never."""
    ends = [one.ends_at for one in credentials]
    return None if None in ends else max(end for end in ends if end is not None)


def _is_used_since_its_end_was_decided(one: CredentialFacts) -> bool:
    return one.last_used_at is not None and one.ended_at is not None and one.last_used_at > one.ended_at


def _advice_on(said: str) -> str:
    if "upstream-credential" in said:
        return "the secret in upstream_token_file is not the application's"
    return "does it run, and may the gateway reach it through the firewall? docs/refusals.md"


def _span(seconds: float) -> str:
    """In its one largest unit."""
    for unit, size in (("days", DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"
