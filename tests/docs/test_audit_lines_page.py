"""The page on the audit log's lines and their schema: both name all that the code writes, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.server.listener import _NAMES
from tests.audit.schema import CHAIN, DOCS, EVENTS, PUBLISHED, SCHEMA, STRICT

ROOT = Path(__file__).parents[2]
PAGE = (DOCS / "audit-lines.md").read_text("utf-8")
LINES = (ROOT / "gateway/audit/lines.py").read_text("utf-8")
LINE: dict[str, Any] = CHAIN | {
    "v": 2, "time": "2027-01-15T08:00:00.000000Z", "instance": "gw-1", "event": "suppressed",
    "address": "203.0.113.9", "count": 3,
}  # fmt: skip


def rows(heading: str) -> list[list[set[str]]]:
    """The words in code of each cell, row by row, of the table below a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    _, body = section.split("|---|", 1)
    table = [line for line in body.splitlines()[1:] if line.startswith("|")]
    return [[set(re.findall(r"`([^`]+)`", cell)) for cell in line.split("|")[1:-1]] for line in table]


def first_cells(heading: str) -> set[str]:
    return set().union(*(row[0] for row in rows(heading)))


def names_in(schema: dict[str, Any]) -> set[str]:
    own = schema.get("properties", {})
    return set(own).union(*(names_in(inner) for inner in (*own.values(), schema.get("items", {})) if inner))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_page_has_a_row_for_each_key_and_event_of_the_schema() -> None:
    assert first_cells("Keys") | {"v", "event"} == set(SCHEMA["properties"])
    assert first_cells("Events") == EVENTS


def test_the_page_says_what_an_event_always_has() -> None:
    always = {event: row[2] for row in rows("Events") for event in row[0]}
    required = {rule["if"]["properties"]["event"]["const"]: set(rule["then"]["required"]) for rule in SCHEMA["allOf"]}
    always["outcome"] = always["outcome"] - {"intent"} | always["intent"]  # "as `intent`"

    assert always == required


def test_every_key_that_the_code_writes_is_in_the_schema() -> None:
    written = set(re.findall(r'(?:record|told)\["(\w+)"\]', LINES)) | set(re.findall(r'"(\w+)": ', LINES))

    assert written >= {"people", "values", "verdict", "node", "edge"}
    assert written <= names_in(SCHEMA)


def test_every_notice_has_a_row() -> None:
    sources = "".join(file.read_text("utf-8") for file in sorted((ROOT / "gateway").rglob("*.py")))
    written = set(re.findall(r'(?:\.notice|\.tell|\._note)\(\s*"([a-z-]+)"', sources))

    assert written >= {"start", "stop", "reload", "segment-deleted", "audit-file-changed"}
    assert written <= first_cells("Notices")


def test_every_failure_of_a_connection_is_named() -> None:
    for name in {*_NAMES.values(), "timeout", "reset", "other", "crowded-out", "connections"}:
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("more", [{"new_key": 1}, {"event": "new-event"}, {"people_total": 300}])
def test_who_validates_lines_is_not_upset_by_what_a_later_gateway_adds(more: dict[str, Any]) -> None:
    PUBLISHED.validate(LINE | more)


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": 1}, {"seq": "1"}, {"seq": 0}, {"prev": "0"}, {"time": "yesterday"}, {"event": "intent"}, {"count": 0},
        {"people": [{"id": 1}]}, {"outcome": "done"}, {"guard": {}}, {"attempts": [{}]}, {"values": [{"value": "x"}]},
    ],
)  # fmt: skip
def test_a_line_that_breaks_the_promise_is_refused(wrong: dict[str, Any]) -> None:
    assert PUBLISHED.is_valid(LINE)
    assert not PUBLISHED.is_valid(LINE | wrong)


@pytest.mark.parametrize("more", [{"new_key": 1}, {"people": [{"new": "x"}]}, {"guard": {"verdict": "pass", "new": 1}}])
def test_the_tests_own_validator_takes_nothing_that_is_not_named(more: dict[str, Any]) -> None:
    assert not STRICT.is_valid(LINE | more)
