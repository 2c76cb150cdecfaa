"""What the end of the audit log says of one request, for whoever is on the gateway's host. Blocking."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.journal.recovery import segment_paths

_RECENT_BYTES = 4 << 20  # the request was made a moment ago
_RECENT_SEGMENTS = 2  # or just before a new one began


def reason_on_record(directory: Path, request: str) -> str:
    """The slug by which a request was refused; "" when the log has no such line, or cannot be read."""
    if not request:
        return ""
    for line in _recent_lines(directory):
        if request.encode() in line:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if told.get("request") == request and isinstance(told.get("reason"), str):
                return str(told["reason"])
    return ""


def _recent_lines(directory: Path) -> Iterator[bytes]:
    try:
        for path in segment_paths(directory)[-_RECENT_SEGMENTS:]:
            with path.open("rb") as segment:
                size = segment.seek(0, os.SEEK_END)
                segment.seek(max(0, size - _RECENT_BYTES))
                yield from segment.read().splitlines()
    except OSError:
        return
