"""A line of the audit log as a syslog message (RFC 5424), framed for TLS (RFC 5425 section 4.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.audit.records import Record, number_of, read_record, text_of

FACILITIES: Mapping[str, int] = {"auth": 4, "authpriv": 10, "audit": 13} | {f"local{n}": 16 + n for n in range(8)}

_WARNING, _NOTICE, _INFORMATIONAL = 4, 5, 6
_UNPLEASANT = frozenset({"refusal", "unparsed", "suppressed"})
_LARGEST_SEQUENCE = 2_147_483_647  # RFC 5424 section 7.3.1: then it starts again with 1
_NIL = "-"
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
# RFC 5424 section 6.2.3; the log has it in UTC always.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")


def syslog_frame(line: bytes, message: bytes, facility: int) -> bytes:
    """The octets to send for a line (without its newline), with `message` for its text: the line, or a form of it.

    The length goes ahead, so no character in the message can begin another one.
    """
    content = syslog_message(line, message, facility)
    return b"%d %b" % (len(content), content)


def syslog_message(line: bytes, message: bytes, facility: int) -> bytes:
    """What RFC 5424 section 6 calls SYSLOG-MSG; its header says when, where, what kind of event and its number."""
    record = read_record(line) or {}
    time = text_of(record, "time")
    priority = 8 * facility + _severity(record)
    stamp = time if _TIMESTAMP.fullmatch(time) else _NIL
    host, event = _word(text_of(record, "instance"), 255), _word(text_of(record, "event"), 32)
    header = f"<{priority}>1 {stamp} {host} scim-gateway - {event} {_structured(record)} "
    return header.encode("ascii") + message


def _severity(record: Record) -> int:
    event = text_of(record, "event")
    if event in _UNPLEASANT or text_of(record, "outcome") == "unknown":
        return _WARNING
    return _NOTICE if event == "notice" else _INFORMATIONAL


def _structured(record: Record) -> str:
    sequence = number_of(record, "seq")
    return f'[meta sequenceId="{(sequence - 1) % _LARGEST_SEQUENCE + 1}"]' if sequence > 0 else _NIL


def _word(text: str, max_characters: int) -> str:
    return _NOT_PRINTABLE.sub("?", text)[:max_characters] or _NIL
