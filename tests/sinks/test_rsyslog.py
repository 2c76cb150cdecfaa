"""The audit log at a real syslog server over mutual TLS: every line, whatever is restarted and whatever it holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path

import pytest
import trustme

from gateway.audit.lines import notice_line
from gateway.journal import Journal
from gateway.journal.cursors import CursorFile
from gateway.journal.segments import Rotation
from gateway.settings.models import SyslogSection
from gateway.sinks import Sink, SyslogOutlet
from tests.ports import unused_port
from tests.sinks.rsyslog import Rsyslog, rsyslog
from tests.waiting import until
from tests.worlds import NOW

HOSTILE = 'ada\n<13>1 - - - - - - forged\r\x00\x1b[2J\x7f\u202e{"seq":1}\udce9'
SETTLE_SECONDS = 1.0


def make_papers(directory: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    for name, stem in (("localhost", "server"), ("gateway.test", "client")):
        issued = authority.issue_cert(name)
        issued.private_key_pem.write_to_path(directory / f"{stem}.key")
        (directory / f"{stem}.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))


def section(directory: Path, port: int) -> SyslogSection:
    return SyslogSection(
        address=f"localhost:{port}",
        ca_file=directory / "ca.pem",
        certificate_file=directory / "client.pem",
        key_file=directory / "client.key",
    )


@asynccontextmanager
async def sending(directory: Path, port: int) -> AsyncIterator[tuple[Journal, Sink, SyslogOutlet]]:
    """A log and its sink, from where they were when they ran last."""
    outlet = SyslogOutlet(section(directory, port), settle_seconds=SETTLE_SECONDS)
    async with (
        Journal(directory / "log", rotation=Rotation(max_bytes=100_000)) as journal,
        asyncio.TaskGroup() as tasks,
    ):
        sink = Sink(outlet, journal, directory / "sinks", first_wait_seconds=0.05)
        work = tasks.create_task(sink.run())
        try:
            yield journal, sink, outlet
        finally:
            work.cancel()


async def record(journal: Journal, count: int) -> None:
    for mark in range(count):
        await journal.append(notice_line("start", {"mark": mark, "text": HOSTILE}, now=NOW, instance="gw-1"))


def received(server: Rsyslog) -> set[int]:
    return {json.loads(message)["seq"] for message in server.received()}


def on_record(directory: Path) -> list[bytes]:
    return b"".join(file.read_bytes() for file in sorted((directory / "log").glob("*.jsonl"))).splitlines()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Rsyslog]:
    make_papers(tmp_path)
    with rsyslog(tmp_path, unused_port()) as running:
        yield running


@pytest.mark.timeout(400)
async def test_every_line_arrives_whatever_is_restarted(tmp_path: Path, server: Rsyslog) -> None:
    cursor = CursorFile(tmp_path / "sinks" / "syslog.json")
    for restart in range(3):
        async with sending(tmp_path, server.port) as (journal, sink, outlet):
            await record(journal, 200)
            if restart == 1:
                await until(lambda: sink.lag_lines == 0)
                outlet.settle_seconds = inf  # however long this machine takes, that is longer than the server lives
                server.freeze()  # what is sent now stays in a kernel that forgets it
            await record(journal, 100)
            if restart == 1:
                await until(lambda: sink.lag_lines == 0)
            await asyncio.to_thread(server.stop, at_once=restart == 1)
            if restart == 1:
                await until(lambda: sink.problem)
                outlet.settle_seconds = SETTLE_SECONDS
            await record(journal, 100)
            await asyncio.to_thread(server.start)
            await record(journal, 100)
            await until(partial(has_come_to, cursor, journal.durable.sequence - 100))
            await record(journal, 100)  # and the sender ends in the midst of that
    async with sending(tmp_path, server.port):
        total = len(on_record(tmp_path))  # with the segments' own first lines
        await until(lambda: len(received(server)) == total)

    assert total > 1800
    assert received(server) == set(range(1, total + 1))
    assert set(server.received()) == set(on_record(tmp_path))
    assert len(server.received()) < 2 * total  # what had arrived was not sent again and again


def has_come_to(cursor: CursorFile, sequence: int) -> bool:
    return cursor.read().sequence >= sequence
