from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.logs import GatheringHandler, JsonFormatter

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=())).map(
    lambda text: text + "\udce9\r\n\u2028\x7f\x9b2J\u202e"
)


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
    assert line.isascii()
    assert line.isprintable()
    assert set(json.loads(line)) == {"time", "level", "logger", "message", "method"}


def test_an_exception_is_one_field_of_one_line() -> None:
    with pytest.raises(ValueError, match="two") as caught:
        raise ValueError("two\nlines")
    line = formatted("failed", exc_info=caught._excinfo)

    assert "\n" not in line
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


def test_a_huge_message_is_cut() -> None:
    assert len(formatted("a" * 1_000_000)) < 10_000


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def handler(stream: TextIO) -> logging.Handler:
    made = GatheringHandler(stream)
    made.setFormatter(JsonFormatter())
    return made


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "levelname": "INFO", "name": "gateway"})


async def test_what_one_turn_of_the_loop_says_is_written_at_once_and_in_order() -> None:
    stream = io.StringIO()
    gathering = handler(stream)
    for number in range(3):
        gathering.handle(record(f"{number}"))
    assert stream.getvalue() == ""
    await asyncio.sleep(0)

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["0", "1", "2"]


def test_without_a_loop_each_line_is_written_at_once() -> None:
    stream = io.StringIO()
    handler(stream).handle(record("ready"))

    assert json.loads(stream.getvalue())["message"] == "ready"


async def test_a_reader_who_has_gone_neither_hurts_the_loop_nor_makes_it_spin() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    gathering = handler(Broken())
    gathering.handle(record("lost"))
    for _ in range(3):
        await asyncio.sleep(0)

    assert faults == []
