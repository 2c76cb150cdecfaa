"""What lies around an instance and ends, ages or fills up by itself: client certificates, feeds' files, the disks.

Looked at in a thread, for a network file system may be slow. What cannot be known is not shown, rather than as 0.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509

from gateway.settings.models import Settings

if TYPE_CHECKING:
    from gateway.app import Instance

T = TypeVar("T")

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
SYSLOG = "audit.syslog"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a look found; whatever could not be looked at is missing."""

    free_bytes: Mapping[str, int]  # by "audit" and "state"
    written_at: Mapping[str, float]  # Unix seconds, by feed
    syslog_ends_at: float | None  # Unix seconds: the certificate that the next connection shows


async def watch(instance: Instance) -> None:
    """Look again and again, until cancelled."""
    while True:
        try:
            show(instance, await asyncio.to_thread(look, instance.settings))
        except Exception:  # a fault of ours shall not end the gateway, which serves all the same
            log.exception("the disks and files around the gateway could not be looked at")
        await asyncio.sleep(LOOK_SECONDS)


def look(settings: Settings) -> Surroundings:
    """What is so now. Blocking."""
    syslog = settings.audit.syslog
    directories = {"audit": settings.audit.directory, "state": settings.gateway.state_directory}
    return Surroundings(
        free_bytes=dict(_known((name, _free_bytes(directory)) for name, directory in directories.items())),
        written_at=dict(_known((name, _written_at(feed.file)) for name, feed in settings.sources.items())),
        syslog_ends_at=_ends_at(syslog.certificate_file) if syslog and syslog.certificate_file else None,
    )


def show(instance: Instance, found: Surroundings) -> None:
    """Set the gauges."""
    gauges, syslog = instance.metrics.gauges, instance.settings.audit.syslog
    for directory, free_bytes in found.free_bytes.items():
        gauges.disk_free.labels(directory).set(free_bytes)
    for feed, written_at in found.written_at.items():
        gauges.source_feed_written_at.labels(feed).set(written_at)
    if syslog is not None and syslog.certificate_file is not None:
        gauges.show_certificate(SYSLOG, found.syslog_ends_at, refused=found.syslog_ends_at is None)


def upstream_certificates(settings: Settings) -> dict[str, float]:
    """When each client certificate towards an upstream ends, by `tenants.NAME`; to be asked as they are put in use."""
    return dict(
        _known(
            (f"tenants.{name}", _ends_at(tenant.upstream_certificate_file))
            for name, tenant in settings.tenants.items()
            if tenant.upstream_certificate_file is not None
        )
    )


def _known(found: Iterable[tuple[str, T | None]]) -> Iterator[tuple[str, T]]:
    return ((name, value) for name, value in found if value is not None)


def _free_bytes(directory: Path) -> int | None:
    try:
        status = os.statvfs(directory)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def _written_at(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _ends_at(file: Path) -> float | None:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc.timestamp()
    except (OSError, ValueError, x509.InvalidVersion):
        return None
