"""The overview: everything that matters of an instance at one moment, for `scim-gateway status`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.overview.facts import (
    AuditFacts,
    CertificateFacts,
    CredentialFacts,
    Facts,
    FeedFacts,
    NodeFacts,
    SinkFacts,
    TenantFacts,
)
from gateway.overview.findings import judge
from gateway.overview.recent import EVERY_SECONDS, Recent, counts_of
from gateway.server.control import Handler, User
from gateway.settings.models import Settings
from gateway.stages.forwarding import Upstream
from gateway.state.credentials import Standing
from gateway.state.last_use import Use
from gateway.state.ledger import Figures

if TYPE_CHECKING:
    from gateway.app import Instance

Words = Mapping[str, object]


class Overview:
    """Looks at one instance. To be made when it is."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._started_at = time.time()
        self._recent = Recent(time.monotonic())

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By the command's name."""
        return {"status": self.status}

    async def status(self, _words: Words, _user: User) -> Words:
        """Every fact, and what the rules find in them."""
        facts = await self.facts()
        findings = [asdict(finding) for finding in judge(facts)]
        return {"well": not any(one["level"] == "wrong" for one in findings), "findings": findings, **asdict(facts)}

    async def run(self) -> None:
        """Count on until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self._recent.note(time.monotonic(), counts_of(self._instance.metrics.requests))

    async def facts(self) -> Facts:
        """As they are now."""
        it, now = self._instance, time.time()
        settings = it.settings
        seconds, answers = self._recent.since(time.monotonic(), counts_of(it.metrics.requests))
        return Facts(
            version=__version__,
            instance=it.recording.instance,
            now=now,
            started_at=self._started_at,
            draining=it.draining,
            settings=it.settings_digest,
            settings_since=it.settings_since,
            reload_problem=it.reload_problem,
            public_url=settings.gateway.public_url,
            listens=f"{settings.listen.endpoint.host}:{it.port}",
            accepting=it.listener.accepting,
            connections=it.server.open_connections,
            admin=f"{settings.admin.endpoint.host}:{it.admin_port}",
            certificate=CertificateFacts(it.certificates.expires_at, it.certificates.refused),
            audit=_audit(it),
            guard_problem=it.keeper.problem or "",
            credentials_problem=it.keyring.keeper.problem or "",
            credentials_count_since=it.keyring.keeper.counts_since,
            answers_since=now - seconds,
            feeds=await asyncio.to_thread(_feeds, it, settings),
            tenants=tuple(self._tenant(name, answers.get(name, {}), now) for name in settings.tenants),
        )

    def _tenant(self, name: str, answers: Mapping[str, int], now: float) -> TenantFacts:
        it, tenant = self._instance, self._instance.settings.tenants[name]
        figures = it.keeper.ledger.figures(name) if it.keeper.ledger is not None else Figures()
        uses = it.last_use.uses
        own = [one for one in it.keyring.standings if one.tenant == name]
        return TenantFacts(
            name=name,
            client=tenant.client.value,
            path=tenant.path,
            nodes=_nodes(it.upstreams[name]),
            credentials=tuple(_credential(one, uses.get(one.fingerprint), now) for one in own),
            under_way=it.places.taken[name],
            answers=answers,
            guard_mode=tenant.guard.mode,
            open_holds=figures.open_holds,
            held_writes=figures.held,
            near_their_end=figures.near_their_end,
        )


def _audit(it: Instance) -> AuditFacts:
    sinks = [SinkFacts(sink.name, sink.lag_lines, sink.oldest_seconds(time.time()), sink.problem) for sink in it.sinks]
    return AuditFacts(
        directory=str(it.journal.directory),
        last_line=it.journal.link.sequence,
        last_line_at=it.recording.recorded_at,
        signed_line=it.upkeep.signed_line,
        signed_at=it.upkeep.signed_at,
        problem=it.journal.problem or "",
        sinks=tuple(sinks),
    )


def _feeds(it: Instance, settings: Settings) -> tuple[FeedFacts, ...]:
    return tuple(
        FeedFacts(name, str(settings.sources[name].file), state.networks, _changed_at(settings, name), state.refused)
        for name, state in it.feeds.states.items()
        if name in settings.sources
    )


def _changed_at(settings: Settings, feed: str) -> float | None:
    file: Path = settings.sources[feed].file
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _nodes(upstream: Upstream) -> tuple[NodeFacts, ...]:
    return tuple(
        NodeFacts(
            name=node.name,
            state=node.state.value,
            is_primary=node is upstream.primary,
            healthy=node.health.healthy,
            note=node.health.note,
            known_at=node.health.known_at or None,
        )
        for node in upstream.nodes
    )


def _credential(one: Standing, use: Use | None, now: float) -> CredentialFacts:
    return CredentialFacts(
        name=one.name,
        state=one.state(now),
        is_in_settings=one.is_in_settings,
        ends_at=one.ends_at,
        ended_at=one.end.decided_at if one.end else None,
        ended_by=one.end.by if one.end else "",
        successor=one.end.successor if one.end else "",
        last_used_at=use.at if use else None,
        last_used_from=use.address if use else "",
    )
