"""Hostile texts, in every place where a client or an application may put one: no output of a gateway is forged by them.

A process of its own, with every way out: the audit log, syslog over TLS, and its own log with OCSF events between.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

from gateway.audit.lines import MAX_LINE_BYTES
from gateway.journal.listing import segments_of
from gateway.journal.verifying import Request, verify
from tests.audit.schema import check
from tests.end_to_end.processes import GUARD, Served, serving
from tests.sinks.servers import Papers
from tests.sinks.servers import serving as syslog
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until
from tests.worlds import PATH, TOKEN

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
HOSTILE = (
    'ada"},"event":"outcome","x":{"a":"\n{"seq":1,"event":"notice"}\r\n<13>1 - - - - - - forged'
    "\x00\x1b[2J\x7f\x85\x9b2J\u202e\u2066\u2028\U000e0041"
)
BIG = 'b"' * 200_000  # in JSON each quote is two bytes
MEMBERS = [{"value": HOSTILE}]

# Requests, by what becomes of them.
UNDERSTOOD: tuple[tuple[str, str, object], ...] = (
    ("POST", "/Users", {"schemas": [USER], "userName": HOSTILE, "externalId": HOSTILE, "title": HOSTILE}),
    ("POST", "/Users", {"schemas": [USER], "userName": BIG, "title": BIG[:200_000]}),
    ("PUT", "/Users/1", {"schemas": [USER], "userName": HOSTILE, "title": [HOSTILE, {HOSTILE[:3]: HOSTILE}]}),
    ("POST", "/Groups", {"schemas": [GROUP], "displayName": HOSTILE, "members": MEMBERS * 300}),
    ("PATCH", "/Groups/1", {"schemas": [PATCH], "Operations": [{"op": "add", "path": "members", "value": MEMBERS}]}),
    ("GET", "/Users/%22%7D%2C%22event%22%3A%22notice%22", None),
)  # fmt: skip
REFUSED: tuple[tuple[str, str, object], ...] = (
    ("POST", "/Users", {"schemas": [USER], "userName": HOSTILE * (1 << 14)}),
    ("GET", "/Users/%0A%7B%22seq%22%3A1%7D%00%1B%5B2J%E2%80%AE", None),
    ("GET", "/Nothing/\udce9\udcff\udc80\udc9b2J", None),
    ("GET", '/Nothing/"},"event":"outcome"', None),
    ("POST", "/Users", b'{"schemas":["' + USER.encode() + b'"],"userName":"\\ud800\\udfff\\ud800"}'),
    ("POST", "/Users", b'{"schemas":["' + USER.encode() + b'"],"userName":"\xff\xfe\n"}'),
)
UNPARSED = (
    b"G\x1b[2JT / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n{\"seq\":1}\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-\xe2\x80\xae: \x00\x1b]0;x\x07\r\n\r\n",
)  # fmt: skip


async def say(gateway: Served, data: bytes) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", gateway.port, ssl=gateway.trusting(), server_hostname="localhost"
    )
    writer.write(data)
    await reader.read()
    writer.close()


def written(gateway: Served, method: str, path: str, message: object, authorization: bytes) -> bytes:
    body = b"" if message is None else message if isinstance(message, bytes) else json.dumps(message).encode()
    target = (PATH + path).encode("utf-8", "surrogateescape")
    head = f"Host: localhost:{gateway.port}\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n"
    return (
        b"".join(
            (
                method.encode(),
                b" ",
                target,
                b" HTTP/1.1\r\n",
                head.encode(),
                b"Authorization: ",
                authorization,
                b"\r\n\r\n",
            )
        )
        + body
    )


def settings(papers: Papers, port: int) -> str:
    return f"""
[audit.syslog]
address = "localhost:{port}"
ca_file = "{papers.directory}/ca.pem"
certificate_file = "{papers.directory}/cert.pem"
key_file = "{papers.directory}/key.pem"
[audit.stdout]
format = "ocsf"
"""


def messages_of(received: bytes) -> list[bytes]:
    """The frames of RFC 6587's octet counting; each is followed by the next one's length, or nothing."""
    messages = []
    while received:
        length, _, rest = received.partition(b" ")
        assert length.isdigit()
        messages.append(rest[: int(length)])
        received = rest[int(length) :]
    return messages


def plain(line: bytes) -> dict[str, Any]:
    """One object of JSON in printable ASCII."""
    assert line.isascii()
    assert line.decode("ascii").isprintable()
    read = json.loads(line)
    assert isinstance(read, dict)
    return read


async def test_no_output_is_forged_by_what_a_client_or_an_application_says(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    papers = Papers(tmp_path / "papers")
    (papers.directory / "key.pem").chmod(0o600)
    with (papers.directory / "cert.pem").open("ab") as chain:  # as `check` wants it
        chain.write((papers.directory / "ca.pem").read_bytes())
    told = json_answer({"schemas": [USER], "id": HOSTILE, "userName": HOSTILE, "externalId": HOSTILE}, 201)
    guard = f'{GUARD}\naudit = {{ values = ["title"] }}'
    async with (
        syslog(papers) as server,
        scripted_upstream(answers(told)) as upstream,
        serving(tmp_path, upstream.url, guard=guard, more=settings(papers, server.port)) as gateway,
    ):
        bearer = f"Bearer {TOKEN}".encode()
        for method, path, message in (*UNDERSTOOD, *REFUSED):
            await say(gateway, written(gateway, method, path, message, bearer))
        await say(gateway, written(gateway, "GET", "/Users", None, b'Bearer \xff\xe2\x80\xae"},"event":"x'))
        for data in UNPARSED:
            await say(gateway, data)
        lines = b"".join(file.read_bytes() for file in segments_of(tmp_path / "audit")).splitlines()
        await until(lambda: lines[-1] in server.received)
        gateway.signal(signal.SIGTERM)
        assert gateway.process.stdout is not None
        said = (await gateway.process.stdout.read()).splitlines()
        messages = messages_of(bytes(server.received))

    records = [plain(line) for line in lines]
    for line, record in zip(lines, records, strict=True):
        assert len(line) < MAX_LINE_BYTES
        check(record)
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    events = [record["event"] for record in records]
    assert events.count("outcome") == len(UNDERSTOOD)
    assert events.count("refusal") + events.count("unparsed") == len(REFUSED) + 1 + len(UNPARSED)
    assert verify(Request(tmp_path / "audit")).finding is None
    assert len([plain(line) for line in said]) > len(records)
    carried = [message.partition(b" {")[2] for message in messages]
    assert [plain(b"{" + line)["seq"] for line in carried][: len(records)] == [record["seq"] for record in records]
    assert not any(
        re.search(rb"[\x00-\x1f\x7f-\xff]", message.replace(b"\xef\xbb\xbf", b"", 1)) for message in messages
    )
