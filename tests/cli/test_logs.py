from __future__ import annotations

import errno
import json
import logging
from queue import Queue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.log_writer import Write
from gateway.cli.logs import JsonFormatter, LineHandler
from tests.cli.readers import Stalling

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


def handler(write: Write, max_waiting_chars: int = 10_000) -> LineHandler:
    made = LineHandler(write, max_waiting_chars=max_waiting_chars)
    made.setFormatter(JsonFormatter())
    return made


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "levelname": "INFO", "name": "gateway"})


def messages(content: bytes) -> list[str]:
    return [json.loads(line)["message"] for line in content.splitlines()]


def test_lines_are_written_in_order() -> None:
    written: list[bytes] = []
    lines = handler(written.append)
    for number in range(30):
        lines.handle(record(f"{number}"))
    lines.flush()

    assert messages(b"".join(written)) == [f"{number}" for number in range(30)]


def test_what_a_record_holds_may_change_once_it_was_said() -> None:
    written: list[bytes] = []
    lines, people = handler(written.append), ["ada"]
    lines.handle(logging.makeLogRecord({"msg": "%s", "args": (people,)}))
    people.clear()
    lines.flush()

    assert messages(b"".join(written)) == ["['ada']"]


def test_a_line_is_written_without_being_asked_for() -> None:
    written: Queue[bytes] = Queue()
    handler(written.put).handle(record("ready"))

    assert messages(written.get(timeout=10)) == ["ready"]


def test_lines_that_were_dropped_are_told_in_their_place() -> None:
    written: list[bytes] = []
    reader = Stalling(written)
    lines = handler(reader, 200)
    lines.handle(record("before"))
    reader.stalls.wait(10)
    for number in range(7):
        lines.handle(record(f"{number}"))
    reader.goes_on.set()
    lines.flush()
    lines.handle(record("after"))
    lines.flush()

    told = [json.loads(line) for line in b"".join(written).splitlines()]
    gap = "5 log lines were dropped: the reader of standard output had stalled"
    assert [line["message"] for line in told] == ["before", "0", "1", gap, "after"]
    assert (told[3]["level"], told[3]["dropped"]) == ("error", 5)


def test_a_reader_who_has_gone_does_not_end_the_thread() -> None:
    tries: list[bytes] = []

    def broken(content: bytes) -> None:
        tries.append(content)
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    lines = handler(broken)
    for text in ("lost", "this too"):
        lines.handle(record(text))
        lines.flush()

    assert [messages(content) for content in tries] == [["lost"], ["this too"]]
