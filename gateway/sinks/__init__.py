"""The audit log's ways out: each line is sent on, in order and at least once, and the record never waits for it."""

from __future__ import annotations

from math import inf

from gateway.journal import Journal
from gateway.settings.models import Settings
from gateway.sinks.outlets import Outlet
from gateway.sinks.sink import Sink
from gateway.sinks.stdout import StdoutOutlet
from gateway.sinks.syslog import SyslogOutlet

__all__ = ["Outlet", "Sink", "StdoutOutlet", "SyslogOutlet", "shipped", "sinks_of"]


def sinks_of(settings: Settings, journal: Journal) -> tuple[Sink, ...]:
    """One for each way out that the settings name."""
    outlets: list[Outlet] = []
    if settings.audit.syslog is not None:
        outlets.append(SyslogOutlet(settings.audit.syslog))
    if settings.audit.stdout is not None:
        outlets.append(StdoutOutlet(settings.audit.stdout))
    directory = settings.gateway.state_directory / "sinks"
    return tuple(Sink(outlet, journal, directory) for outlet in outlets)


def shipped(sinks: tuple[Sink, ...]) -> float:
    """The number of the last line that all of them have sent for good."""
    return min((sink.settled_sequence for sink in sinks), default=inf)
