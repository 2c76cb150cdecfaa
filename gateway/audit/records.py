"""Reading a line of the audit log back, whatever keys it has and whoever wrote it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

import orjson

Record: TypeAlias = Mapping[str, object]


def read_record(line: bytes) -> Record | None:
    """The JSON object that a line holds; None when it holds none."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def text_of(record: Record, key: str) -> str:
    """A string, "" when there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def number_of(record: Record, key: str) -> int:
    """A whole number, 0 when there is none."""
    value = record.get(key)
    return value if type(value) is int else 0  # True is an int too


def texts_of(record: Record, key: str) -> list[str]:
    """The strings of a list, none when there is no list."""
    value = record.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def written_at(line: bytes) -> float | None:
    """When a line was written, in Unix seconds; None when it does not say so."""
    try:
        return datetime.fromisoformat(text_of(read_record(line) or {}, "time")).timestamp()
    except (OverflowError, ValueError):
        return None


def harmless(line: bytes, record: Record) -> bytes:
    """A line as it stands; one that no gateway wrote so, with escapes for whatever a terminal may obey."""
    if line.isascii() and line.find(b"\x7f") < 0:
        return line
    return json.dumps(record, separators=(",", ":")).encode("ascii")
