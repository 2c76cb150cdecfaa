"""Writes that were about to leave, or had left, when the gateway ended: an intent on record, and no outcome. Blocking.

Looked for in the last two segments: an intent and its outcome are seconds apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from gateway.journal.recovery import segment_paths

Intent: TypeAlias = Mapping[str, Any]  # a line of event "intent", decoded

_SEGMENTS = 2
_ENDS = (b'"event":"outcome"', b'"event":"interrupted"')
_BEGIN = b'"event":"intent"'


def interrupted(directory: Path, reserved: Iterable[bytes] = ()) -> tuple[Intent, ...]:
    """Every intent that no later line tells the end of; `reserved` are lines that the log has yet to take over.

    Raises:
        OSError: a segment cannot be read.
    """
    open_intents: dict[str, Intent] = {}
    recent = [path.read_bytes().splitlines() for path in segment_paths(directory)[-_SEGMENTS:]]
    for line in chain(*recent, reserved):
        if _BEGIN in line:
            if (record := _read(line)) is not None:
                open_intents[str(record.get("request"))] = record
        elif open_intents and any(end in line for end in _ENDS) and (record := _read(line)) is not None:
            open_intents.pop(str(record.get("request")), None)
    return tuple(open_intents.values())


def _read(line: bytes) -> Intent | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
