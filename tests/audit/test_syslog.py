from __future__ import annotations

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.chain import Link, linked
from gateway.audit.lines import notice_line
from gateway.audit.syslog import FACILITIES, syslog_frame, syslog_message
from tests import worlds

HEADER = re.compile(rb'<(\d{1,3})>1 (\S+) (\S+) scim-gateway - (\S+) (-|\[meta sequenceId="\d+"\]) ')


def line(text: str = "start", instance: str = "gw-1") -> bytes:
    return linked(Link(6), [notice_line(text, {}, now=worlds.NOW, instance=instance)])[0].rstrip(b"\n")


def test_the_header_says_when_where_what_and_which() -> None:
    assert syslog_message(line(), line(), FACILITIES["local0"]) == (
        b'<133>1 2027-01-15T08:00:00.000000Z gw-1 scim-gateway - notice [meta sequenceId="7"] ' + line()
    )


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        (b'{"event":"intent"}', 6),
        (b'{"event":"outcome","outcome":"executed"}', 6),
        (b'{"event":"outcome","outcome":"unknown"}', 4),
        (b'{"event":"notice"}', 5),
        (b'{"event":"refusal"}', 4),
        (b'{"event":"unparsed"}', 4),
        (b'{"event":"suppressed"}', 4),
        (b"no line of ours", 6),
    ],
)
def test_what_somebody_should_look_at_is_a_warning(said: bytes, severity: int) -> None:
    assert syslog_message(said, said, 10).startswith(b"<%d>1 " % (80 + severity))


@pytest.mark.parametrize(("sequence", "shown"), [(2_147_483_647, b'"2147483647"'), (2_147_483_648, b'"1"')])
def test_the_number_begins_again_where_syslog_ends(sequence: int, shown: bytes) -> None:
    assert b"sequenceId=" + shown in syslog_message(b'{"seq":%d}' % sequence, b"", 10)


@given(instance=st.text(min_size=1), event=st.text(), time=st.text(), message=st.binary())
def test_whatever_a_line_says_the_header_is_whole_and_the_length_right(
    instance: str, event: str, time: str, message: bytes
) -> None:
    said = orjson.dumps({"instance": instance, "event": event, "time": time, "seq": 1})
    frame = syslog_frame(said, message, 10)
    length, _, rest = frame.partition(b" ")
    header = HEADER.match(rest)

    assert int(length) == len(rest)
    assert header is not None
    assert rest[header.end() :] == message
    assert len(header[3]) <= 255
    assert len(header[4]) <= 32
