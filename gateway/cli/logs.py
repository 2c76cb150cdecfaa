"""The process's log: one JSON object a line on standard output, for journald, containers and log shippers."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MAX_TEXT = 8192


class JsonFormatter(logging.Formatter):
    """A record as one line: whatever is in a message, a reader of lines sees exactly one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if fields is None:
            fields = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        line |= fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _written(line)


class GatheringHandler(logging.StreamHandler[TextIO]):
    """Writes what one turn of the event loop had to say with one call; without a loop, each line at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record) + "\n")
        except Exception:
            self.handleError(record)
            return
        if len(self._lines) > 1:
            return
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:  # no loop, or another thread than its own
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            # Nobody takes them: the pipe's reader is gone, the disk full. To say so would be one more such line.
            with suppress(OSError, ValueError):
                self.stream.write("".join(lines))
                super().flush()
        finally:
            self.release()


def _written(line: dict[str, object]) -> str:
    """ASCII: a user's name may hold what a terminal obeys, or what turns a line around."""
    with suppress(TypeError):  # a lone surrogate
        written = orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS)
        if len(written) <= _MAX_TEXT and written.isascii() and b"\x7f" not in written:  # so no text in it is longer
            return written.decode()
    harmless = {key: _harmless(value) if isinstance(value, str) else value for key, value in line.items()}
    read = orjson.loads(orjson.dumps(harmless, default=str, option=orjson.OPT_NON_STR_KEYS))
    return json.dumps(read, separators=(",", ":")).replace("\x7f", "\\u007f")


def _harmless(text: str) -> str:
    """Without lone surrogates, which no encoder takes; cut where no reader reads on."""
    if text.isascii() and len(text) <= _MAX_TEXT:
        return text
    return text[:_MAX_TEXT].encode("utf-8", "backslashreplace").decode()


def configure_logging(level: str) -> None:
    """Everything of `level` (a name of logging) and above goes to standard output."""
    # Nothing of these is shown, and looking them up costs more than the line itself.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = GatheringHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
