"""Writes that were about to leave, or had left, when the gateway ended: an intent on record, and no outcome. Blocking.

Looked for in the last two segments: an intent and its outcome are seconds apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from gateway.journal.recovery import segment_numbers, segment_path

Intent: TypeAlias = Mapping[str, Any]  # a line of event "intent", decoded

_SEGMENTS = 2
_ENDS = (b'"event":"outcome"', b'"event":"interrupted"')
_BEGIN = b'"event":"intent"'


def interrupted(directory: Path) -> tuple[Intent, ...]:
    """Every intent that no later line tells the end of.

    Raises:
        OSError: a segment cannot be read.
    """
    open_intents: dict[str, Intent] = {}
    for number in segment_numbers(directory)[-_SEGMENTS:]:
        for line in segment_path(directory, number).read_bytes().splitlines():
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
