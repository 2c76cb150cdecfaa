"""The published schema of an audit line, held strictly: what it does not name, the docs do not name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "audit-line.schema.json").read_text("utf-8"))
EVENTS = frozenset(rule["if"]["properties"]["event"]["const"] for rule in SCHEMA["allOf"])
CHAIN = {"seq": 1, "prev": "0" * 64}  # what the journal adds

_FREE = ("details", "seconds")  # objects whose keys are the notice's, or names of stages


def _strictly(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        name: inner if name in _FREE else _strictly(inner) for name, inner in schema.get("properties", {}).items()
    }
    strict = dict(schema) | ({"properties": properties, "additionalProperties": False} if properties else {})
    return strict | ({"items": _strictly(schema["items"])} if "items" in schema else {})


PUBLISHED = Draft202012Validator(SCHEMA)
STRICT = Draft202012Validator(_strictly(SCHEMA))


def check(record: Mapping[str, Any]) -> None:
    """A whole line, or one that is not yet chained, says what the schema says and nothing beyond."""
    STRICT.validate(CHAIN | dict(record))
    assert record["event"] in EVENTS


def check_each_kind(records: list[dict[str, Any]]) -> None:
    """One of each kind of line: thousands of them differ in nothing but their values."""
    kinds = {(record["event"], record.get("notice"), frozenset(record)): record for record in records}
    for record in kinds.values():
        check(record)
