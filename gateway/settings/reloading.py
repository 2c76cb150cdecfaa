"""What a reload asks of settings: a name for them, and whether they may take the place of those in use. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from gateway.settings.models import Settings


def digest(settings: Settings) -> str:
    """A short name of settings, by their content; secrets are in it only as digests and stars."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def _fixed(settings: Settings) -> Mapping[str, object]:
    return {
        "gateway.state_directory": settings.gateway.state_directory,
        "listen.address": settings.listen.address,
        "admin.address": settings.admin.address,
        "metrics": settings.metrics,
        "audit.directory": settings.audit.directory,
        "audit.key_file": settings.audit.key_file,
        "audit.max_segment_mib": settings.audit.max_segment_mib,
        "audit.max_segment_hours": settings.audit.max_segment_hours,
        "audit.keep_days": settings.audit.keep_days,
        "audit.syslog": settings.audit.syslog,
        "audit.stdout": settings.audit.stdout,
        "alerts": settings.alerts,
    }


def refuse_fixed(old: Settings, new: Settings) -> None:
    """What is bound or locked at the start stays until the next one.

    Raises:
        ValueError: names what would change.
    """
    changed = [key for key, value in _fixed(new).items() if _fixed(old)[key] != value]
    if changed:
        raise ValueError(f"{', '.join(changed)} cannot change while the instance runs: restart it")
