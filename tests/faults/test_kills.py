"""kill -9 at random moments under write load, on a disk that then forgets what was not synced; 200 times in a soak.

What the application executed is on record with its intent, which was durable before the application saw it; what a
client was told to be done is on record with its outcome, which was durable before the client was told.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.keys import KEY_NAME, read_private
from gateway.journal.verifying import Request, verify
from tests.end_to_end.processes import serving
from tests.faults.loads import Load, slow_application
from tests.faults.scenes import Node
from tests.upstreams import scripted_upstream

LIMITS = "[tenants.jira.limits]\nrequests_per_second = 100000\nburst = 100000\n"
NEVER = sys.maxsize  # that is known of: the kill fell between a sync and its trace
FORGETFUL = "tests.faults.forgetful"


@dataclass(frozen=True, slots=True)
class Line:
    """What a line tells, and when it was durable (monotonic nanoseconds)."""

    told: dict[str, Any]
    durable_at: int


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
async def test_wherever_a_kill_falls_every_act_and_every_answer_is_on_record_and_was_before(
    tmp_path: Path, kills: int
) -> None:
    node, dice = Node(), random.Random(kills)
    done: dict[str, int] = {}
    async with scripted_upstream(slow_application(node)) as upstream:
        for _ in range(kills):
            async with serving(tmp_path, upstream.url, more=LIMITS, module=FORGETFUL) as served:
                load = Load(served.base_url, served.trusting())
                async with asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(load.run())
                    await load.reaches(8)
                    await asyncio.sleep(dice.uniform(0, 0.3))  # a moment like any other
                    served.process.kill()
                    await served.process.communicate()
                    await running
                assert load.done, "nothing was written"
                done |= load.done
            assert_whole(tmp_path)
        async with serving(tmp_path, upstream.url, more=LIMITS, module=FORGETFUL):
            pass  # the last kill's interrupted writes go on record
    assert_whole(tmp_path)
    assert_on_record(tmp_path, node, done)


def assert_whole(directory: Path) -> None:
    key = read_private(directory / "state" / KEY_NAME).public_key()
    assert verify(Request(directory / "audit", (key,))).finding is None


def assert_on_record(directory: Path, node: Node, done: dict[str, int]) -> None:
    lines = read_lines(directory)
    intents, outcomes, interrupted = lines["intent"], lines["outcome"], lines["interrupted"]
    files, torn = (len([*(directory / "audit").glob(pattern)]) for pattern in ("audit-*.jsonl", "*.torn*"))
    print(f"{len(node.acts)} acts, {len(done)} answered, {len(interrupted)} interrupted")  # noqa: T201
    print(f"{files} files, {torn} torn lines")  # noqa: T201

    assert set(node.acts.values()) == {1}
    assert set(node.acts) <= set(intents)
    assert set(done) <= set(outcomes)
    assert {outcomes[act][0].told["outcome"] for act in done} == {"executed"}
    assert {len(told) for event in lines.values() for told in event.values()} == {1}, "told twice"
    assert set(intents) - set(outcomes) - set(interrupted) == set()
    assert {outcomes[other][0].told["outcome"] for other in set(outcomes) - set(intents)} <= {"not-executed"}
    assert not set(outcomes) & set(interrupted)
    assert interrupted, "no kill fell between an intent and its outcome"
    assert torn, "no kill fell into a write"
    assert files > 1, "no file was followed by another"
    assert [act for act, at in node.acted_at.items() if intents[act][0].durable_at > at] == []
    assert [act for act, at in done.items() if outcomes[act][0].durable_at > at] == []


def read_lines(directory: Path) -> dict[str, dict[str, list[Line]]]:
    """All lines about requests, by event and request."""
    syncs: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)  # of each file: bytes, moment
    for entry in (directory / "trace").read_text(encoding="ascii").splitlines():
        moment, name, size = entry.split()
        syncs[name].append((int(size), int(moment)))
    lines: dict[str, dict[str, list[Line]]] = {"intent": {}, "outcome": {}, "interrupted": {}}
    for path in sorted((directory / "audit").glob("audit-*.jsonl")):
        end = 0
        for line in path.read_bytes().splitlines(keepends=True):
            end += len(line)
            told = json.loads(line)
            if told["event"] in lines:
                place = bisect_left(syncs[path.name], (end, 0))
                durable_at = syncs[path.name][place][1] if place < len(syncs[path.name]) else NEVER
                lines[told["event"]].setdefault(told["request"], []).append(Line(told, durable_at))
    return lines
