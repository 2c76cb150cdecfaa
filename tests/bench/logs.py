"""Logs as large as a bank's, fast: what it takes to prove one, to index it, and to find a person in it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from gateway.audit import lines
from gateway.exchange import Judgement, RequestId, Trail, Verdict
from gateway.journal.disk import Disk
from gateway.journal.index import Index
from gateway.journal.segments import Rotation, Segments
from gateway.journal.verifying import Request, verify
from gateway.scim.addresses import Address, Kind
from gateway.scim.operations import Who
from tests.audit import trails
from tests.bench.report import verdict

LINES = 1_000_000
PEOPLE = 20_000
LEAST = {"verify, lines a second": 150_000.0, "index, lines a second": 100_000.0}
MOST_SECONDS = 1.0  # the whole command, its index being there
_BATCH = 2000
_START = 1_790_000_000.0
_TIME, _REQUEST, _ID, _NAME = "2026-01-01T00:00:00.000000Z", "req-0123456789abcdef", "@id@", "@name@"


class _Unsynced(Disk):
    """What is lost by a power cut is made again."""

    def append(self, descriptor: int, content: bytes) -> int:
        return self.write(descriptor, content)


def write_log(directory: Path, count: int, people: int = PEOPLE, seed: int = 1) -> None:
    """A log of about so many lines: reads, creations, profiles, leavers and members, by a client of `people`."""
    directory.mkdir(parents=True, exist_ok=True)
    segments = Segments(directory, rotation=Rotation(), disk=_Unsynced(), instance="gw-1", now=lambda: _START)
    made = _lines(random.Random(seed), people)
    left = count
    while left > 0:
        batch = list(islice(made, min(_BATCH, left)))
        segments.append(batch)
        left -= len(batch)
    segments.close()


def _lines(dice: random.Random, people: int) -> Iterator[bytes]:
    kinds = _templates()
    weights = [weight for weight, _ in kinds]
    now = _START
    while True:
        for _, made in dice.choices(kinds, weights, k=_BATCH):
            now += 0.7
            number = dice.randrange(people)
            request, stamp = b"req-%016x" % dice.getrandbits(64), _stamp(now)
            for template in made:
                line = template.replace(_REQUEST.encode(), request).replace(_TIME.encode(), stamp)
                yield line.replace(b"@id@", b"%032x" % (number * 7919)).replace(b"@name@", b"user%06d" % number)


def _stamp(now: float) -> bytes:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now * 1e6) % 1_000_000:06d}Z".encode()


def _templates() -> list[tuple[int, list[bytes]]]:
    """How often, and which lines: made by what writes the real ones."""
    id_alone = (Who(_ID),)
    whole = (Who(_ID, f"{_NAME}@example.com", f"00u{_NAME}"),)
    user, group = Address(Kind.USERS, "Users", _ID), Address(Kind.GROUPS, "Groups", "g-42")
    profile = replace(
        trails.write(people=whole, resource_name=f"{_NAME}@example.com"), name="user.replace", address=user
    )
    leaving = trails.write(address=user, people=id_alone)
    member = replace(trails.write(people=id_alone), name="group.members.add", address=group)
    read = trails.operation(address=user, people=id_alone)
    judged = Judgement(Verdict.PASS, "deactivated", (_ID,), 3, 20)
    return [
        (30, _both(trails.served(operation=read))),
        (10, _both(trails.served(operation=trails.operation("user.list", address=Address(Kind.USERS, "Users"))))),
        (15, _both(trails.served(operation=profile))),
        (5, _both(trails.served(operation=leaving, judgement=judged))),
        (20, _both(trails.served(operation=member))),
    ]


def _both(trail: Trail) -> list[bytes]:
    """The lines of a request."""
    trail.request = replace(trail.request, id=RequestId(_REQUEST))
    told = [lines.outcome_line(trail, now=0.0, instance="gw-1")]
    if trail.operation and trail.operation.writes:
        told.insert(0, lines.intent_line(trail, now=0.0, instance="gw-1"))
    return [line.replace(b"1970-01-01T00:00:00.000000Z", _TIME.encode()) for line in told]


def logs(directory: Path, count: int = LINES) -> Iterator[str]:
    """Measure: a line for each figure, with what it shall be; lines a second are those of a core's whole time."""
    log, index = directory / "log", directory / "index.sqlite"
    write_log(log, count)
    size = sum(path.stat().st_size for path in log.iterdir())
    yield f"a log of {count:,} lines, {size / count:.0f} bytes each"
    figures = {
        "verify, lines a second": count / _seconds(lambda: verify(Request(log)), time.process_time),
        "index, lines a second": count / _seconds(lambda: _build(log, index), time.process_time),
    }
    for name, figure in figures.items():
        yield f"{name:<34} {figure:10,.0f}   at least {LEAST[name]:,.0f}   {verdict(figure >= LEAST[name])}"
    share = index.stat().st_size / size
    yield f"the index's share of the log       {share:10.2%}"
    took = _seconds(lambda: _search(log, "--index", str(index)))
    said = verdict(took <= MOST_SECONDS)
    yield f"a person by the index, s           {took:10.2f}   at most {MOST_SECONDS:g}   {said}"
    yield f"a person without one, s            {_seconds(lambda: _search(log, '--no-index')):10.2f}"


def _build(log: Path, file: Path) -> None:
    with Index(log, file, is_ours=True) as index:
        index.refresh()


def _search(log: Path, *words: str) -> None:
    """The whole command, as a person runs it."""
    asked = ["audit", "search", str(log), "--person", "USER000123@example.com", *words]
    ran = subprocess.run([sys.executable, "-m", "gateway", *asked], check=True, capture_output=True, env=os.environ)
    assert b"user000123" in ran.stdout


def _seconds(act: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    act()
    return clock() - began
