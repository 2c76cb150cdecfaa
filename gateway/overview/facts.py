"""What an instance knows of itself, at one moment: the facts that `status` shows and judges. Pure.

Every moment is in Unix seconds; None stands for what has not happened or is not known, "" for no problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The public listener's certificate."""

    ends_at: float
    refused: str  # why the files' present content is not served


@dataclass(frozen=True, slots=True)
class SinkFacts:
    """A way out of the audit log."""

    name: str
    lag_lines: int
    oldest_seconds: float  # the age of the oldest line that was not sent
    problem: str


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """The audit log."""

    directory: str
    last_line: int
    last_line_at: float | None  # since the start
    signed_line: int
    signed_at: float | None  # since the start
    problem: str
    sinks: tuple[SinkFacts, ...]


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """A feed of networks."""

    name: str
    file: str
    networks: int
    changed_at: float | None  # the file
    refused: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node of an upstream. `healthy` is None until anything is known."""

    name: str
    state: str
    is_primary: bool
    healthy: bool | None
    note: str
    known_at: float | None


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """A credential, as `token list` shows it too."""

    name: str
    state: str
    is_in_settings: bool
    ends_at: float | None
    ended_at: float | None  # when somebody decided that it ends
    ended_by: str
    successor: str
    last_used_at: float | None
    last_used_from: str


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """One pairing of a client with an upstream."""

    name: str
    client: str
    path: str
    nodes: tuple[NodeFacts, ...]
    credentials: tuple[CredentialFacts, ...]
    under_way: int
    answers: Mapping[str, int]  # of the last minutes, by kind: ok, refused, later, failed
    guard_mode: str
    open_holds: int
    held_writes: int
    near_their_end: int  # held writes whose client gives up soon


@dataclass(frozen=True, slots=True)
class Facts:
    """One instance."""

    version: str
    instance: str
    now: float
    started_at: float
    draining: bool
    settings: str  # their digest, as the audit log has it
    settings_since: float
    reload_problem: str
    public_url: str
    listens: str
    accepting: bool
    connections: int
    admin: str
    certificate: CertificateFacts
    audit: AuditFacts
    guard_problem: str
    credentials_problem: str
    credentials_count_since: float
    answers_since: float  # the moment from which a tenant's answers are counted
    feeds: tuple[FeedFacts, ...]
    tenants: tuple[TenantFacts, ...]
