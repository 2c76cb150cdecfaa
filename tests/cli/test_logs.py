from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.logs import JsonFormatter

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=())).map(lambda text: text + "\udce9\r\n\u2028")


def formatted(message: str, **extra: Any) -> str:
    record = logging.makeLogRecord({"name": "gateway.x", "levelname": "INFO", "msg": message} | extra)
    return JsonFormatter().format(record)


def test_a_record_says_when_how_grave_and_where_from() -> None:
    line = json.loads(formatted("ready", port=8443, created=1_800_000_000.0))

    assert line == {
        "time": "2027-01-15T08:00:00.000+00:00",
        "level": "info",
        "logger": "gateway.x",
        "message": "ready",
        "port": 8443,
    }


@given(ANY_TEXT)
def test_whatever_is_logged_is_one_line(text: str) -> None:
    line = formatted(text, method=text)

    assert len(line.split("\n")) == len(line.split("\r")) == 1
    line.encode()
    assert set(json.loads(line)) == {"time", "level", "logger", "message", "method"}


def test_an_exception_is_one_field_of_one_line() -> None:
    with pytest.raises(ValueError, match="two") as caught:
        raise ValueError("two\nlines")
    line = formatted("failed", exc_info=caught._excinfo)

    assert "\n" not in line
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


def test_a_huge_message_is_cut() -> None:
    assert len(formatted("a" * 1_000_000)) < 10_000
