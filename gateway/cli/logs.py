"""The process's log: one JSON object a line on standard output, for journald, containers and log shippers."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime

import orjson

from gateway.cli.log_writer import MAX_WAITING_CHARS, LineWriter, Write, to_descriptor

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MAX_TEXT = 8192
DRAIN_SECONDS = 5.0  # how long the end of the process waits for whoever reads the log


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


class LineHandler(logging.Handler):
    """Gives lines to the thread that writes them."""

    def __init__(self, write: Write, *, max_waiting_chars: int = MAX_WAITING_CHARS) -> None:
        super().__init__()
        self._writer = LineWriter(write, self._gap, max_waiting_chars=max_waiting_chars)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)  # here and not in the thread: what a record holds may have changed by then
        except Exception:
            self.handleError(record)
        else:
            self._writer.put(line + "\n")

    def flush(self) -> None:
        """Wait until what was said is written, but not for long; logging calls it at the end of the process."""
        self._writer.drain(DRAIN_SECONDS)

    def _gap(self, lines: int) -> str:
        missing = {"name": __name__, "levelno": logging.ERROR, "levelname": "ERROR", "dropped": lines}
        told = f"{lines} log lines were dropped: the reader of standard output had stalled"
        return self.format(logging.makeLogRecord(missing | {"msg": told})) + "\n"


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
    handler = LineHandler(to_descriptor(sys.stdout.fileno()))
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
