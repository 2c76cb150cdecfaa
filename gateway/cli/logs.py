"""The process's log: one JSON object a line on standard output, for journald, containers and log shippers."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

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
            "message": _harmless(record.getMessage()),
        }
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line |= {key: _harmless(value) if isinstance(value, str) else value for key, value in extra.items()}
        if record.exc_info:
            line["exception"] = _harmless(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _harmless(text: str) -> str:
    """Without lone surrogates, which no encoder takes; cut where no reader reads on."""
    return text[:_MAX_TEXT].encode("utf-8", "backslashreplace").decode()


def configure_logging(level: str) -> None:
    """Everything of `level` (a name of logging) and above goes to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
