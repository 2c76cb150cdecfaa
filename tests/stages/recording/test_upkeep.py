"""The audit log's upkeep with a real journal: checkpoints, what a crash left, and the end of old segments."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.lines import intent_line, outcome_line
from gateway.journal import Journal, KeyUnusable, Rotation
from gateway.journal.disk import Disk
from gateway.journal.keys import KEY_NAME, made_or_read
from gateway.journal.recovery import NOTES_NAME
from gateway.journal.retention import Keeping
from gateway.journal.verifying import Request, Verdict, verify
from gateway.metrics import Metrics
from gateway.stages.recording import Recording
from gateway.stages.recording.upkeep import CHECKPOINT_SECONDS, Upkeep
from tests import worlds
from tests.audit import trails
from tests.journal import logs
from tests.journal.disks import LINE, FailingDisk, content

DAY = 86_400.0


@asynccontextmanager
async def upkeep_of(
    directory: Path,
    *,
    rotation: Rotation | None = None,
    keep_days: int | None = None,
    shipped: float = inf,
    now: Callable[[], float] = lambda: worlds.NOW,
    clock: Callable[[], float] = lambda: 0.0,
    disk: Disk | None = None,
) -> AsyncIterator[tuple[Upkeep, Journal]]:
    """A run of an instance whose key is beside its log."""
    metrics = Metrics(worlds.settings().tenants, version="0")
    limit = 0.2 if disk else 5.0
    async with Journal(
        directory / "audit", instance="gw-1", rotation=rotation, disk=disk, time_limit_seconds=limit
    ) as journal:
        recording = Recording(journal, metrics, instance="gw-1", now=lambda: worlds.NOW)
        keeping = Keeping(keep_days, lambda: shipped)
        upkeep = Upkeep(journal, recording, metrics, keeping=keeping, now=now, clock=clock)
        await upkeep.begin(None, directory)
        yield upkeep, journal


class Times:
    """The time of day, which may be set, and time itself."""

    def __init__(self, now: float) -> None:
        self._now, self._clock = now, 0.0

    def now(self) -> float:
        return self._now

    def clock(self) -> float:
        return self._clock

    def pass_by(self, seconds: float) -> None:
        self._now, self._clock = self._now + seconds, self._clock + seconds


def verdict_of(directory: Path) -> Verdict:
    key = made_or_read(directory / KEY_NAME).public_key()
    return verify(Request(directory / "audit", (key,)))


def told(directory: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in content(directory / "audit").splitlines()]
    return [line for line in lines if line.get("event") == event]


async def test_a_checkpoint_stands_for_all_that_is_on_record(tmp_path: Path) -> None:
    async with upkeep_of(tmp_path) as (upkeep, journal):
        await journal.append(LINE)
        await upkeep.checkpoint()

    verdict = verdict_of(tmp_path)
    assert (verdict.finding, verdict.checkpoints, verdict.proven_to) == (None, 1, 2)


async def test_a_log_to_which_nothing_came_is_signed_up_to_its_end_whenever_it_is_looked_at(tmp_path: Path) -> None:
    times = [1.0]
    async with upkeep_of(tmp_path, now=lambda: times[0]) as (upkeep, journal):
        never = upkeep.signed_at
        await journal.append(LINE)
        await upkeep.checkpoint()
        signed = upkeep.signed_line, upkeep.signed_at
        times[0] = 2.0
        await upkeep.checkpoint()

        assert (never, signed) == (None, (journal.link.sequence, 1.0))
        assert (upkeep.signed_line, upkeep.signed_at) == (journal.link.sequence, 2.0)


async def test_a_checkpoint_is_made_in_time_and_at_a_rotation_and_only_when_lines_came(tmp_path: Path) -> None:
    seconds = [0.0]
    rotation = Rotation(max_bytes=500)
    async with upkeep_of(tmp_path, rotation=rotation, clock=lambda: seconds[0]) as (upkeep, journal):
        await journal.append(LINE)
        await upkeep.tend()  # the first segment
        await journal.append(LINE)
        await upkeep.tend()
        seconds[0] = CHECKPOINT_SECONDS
        await upkeep.tend()  # the time
        seconds[0] *= 2
        await upkeep.tend()
        for _ in range(4):
            await journal.append(LINE)
        await upkeep.tend()  # the second segment

    assert verdict_of(tmp_path).checkpoints == 3
    assert verdict_of(tmp_path).finding is None


async def test_a_checkpoint_that_could_not_be_written_is_none_and_is_made_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seconds = [0.0]
    async with upkeep_of(tmp_path, clock=lambda: seconds[0]) as (upkeep, journal):
        await journal.append(LINE)
        (tmp_path / "audit" / NOTES_NAME).mkdir()
        await upkeep.checkpoint()
        assert "audit checkpoint" not in caplog.messages
        (tmp_path / "audit" / NOTES_NAME).rmdir()
        seconds[0] = CHECKPOINT_SECONDS
        await upkeep.tend()

    assert verdict_of(tmp_path).checkpoints == 1


async def test_a_checkpoint_on_a_disk_that_hangs_holds_up_no_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FailingDisk()
    async with upkeep_of(tmp_path, disk=disk) as (upkeep, journal):
        await journal.append(LINE)
        disk.slow.clear()
        await upkeep.checkpoint()
        disk.slow.set()

    assert "no checkpoint could be written: the disk took longer than 0.2 s" in caplog.messages


async def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    async with upkeep_of(tmp_path):
        made = (tmp_path / KEY_NAME).read_bytes()
    async with upkeep_of(tmp_path):
        pass

    assert (tmp_path / KEY_NAME).read_bytes() == made
    assert (tmp_path / KEY_NAME).stat().st_mode & 0o077 == 0


async def test_a_key_of_another_kind_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / KEY_NAME).write_text("junk")

    with pytest.raises(KeyUnusable, match=KEY_NAME):
        async with upkeep_of(tmp_path):
            pass


async def test_a_write_without_an_outcome_is_told_once_by_the_next_start(tmp_path: Path) -> None:
    trail = trails.served(operation=trails.write())
    intent = intent_line(trail, now=worlds.NOW, instance="gw-1")
    async with upkeep_of(tmp_path) as (_, journal):
        await journal.append(intent.replace(b"req-1", b"req-0"))
        await journal.append(intent)
        await journal.append(outcome_line(trail, now=worlds.NOW, instance="gw-1"))
    for _ in range(2):
        async with upkeep_of(tmp_path) as (upkeep, _):
            await upkeep.note_what_was_found()

    (line,) = told(tmp_path, "interrupted")
    assert (line["request"], line["intent"], line["operation"]) == ("req-0", 2, trails.write().name)
    assert verdict_of(tmp_path).finding is None


async def test_a_log_that_was_tampered_with_is_told_at_the_start_and_goes_on_in_a_new_file(tmp_path: Path) -> None:
    async with upkeep_of(tmp_path) as (_, journal):
        for _ in range(3):
            await journal.append(LINE)
    first = tmp_path / "audit" / "audit-000001.jsonl"
    lines = first.read_bytes().splitlines(keepends=True)
    first.write_bytes(b"".join((*lines[:1], *lines[2:])))
    async with upkeep_of(tmp_path) as (upkeep, _):
        await upkeep.note_what_was_found()

    (notice,) = told(tmp_path, "notice")
    assert (notice["notice"], notice["details"]["looks_like"]) == ("audit-log-tampered", "removal")
    assert (tmp_path / "audit" / "audit-000002.jsonl").exists()


@pytest.mark.parametrize(("there", "instead"), logs.NO_HEADERS)
async def test_a_header_that_was_tampered_with_is_told_and_stops_no_start(
    tmp_path: Path, there: bytes, instead: bytes
) -> None:
    async with upkeep_of(tmp_path) as (_, journal):
        await journal.append(LINE)
    logs.spoil_header(tmp_path / "audit" / "audit-000001.jsonl", there, instead)
    async with upkeep_of(tmp_path) as (upkeep, _):
        await upkeep.note_what_was_found()

    assert [notice["notice"] for notice in told(tmp_path, "notice")] == ["audit-log-tampered"]
    assert (tmp_path / "audit" / "audit-000002.jsonl").exists()


async def test_old_segments_go_on_record_first_and_never_the_last_two(tmp_path: Path) -> None:
    times = Times(worlds.NOW + 40 * 365 * DAY)  # later than any segment was begun
    rotation = Rotation(max_bytes=500)
    async with upkeep_of(tmp_path, rotation=rotation, keep_days=30, now=times.now, clock=times.clock) as (
        upkeep,
        journal,
    ):
        for _ in range(12):
            await journal.append(LINE)
        before = sorted((tmp_path / "audit").glob("audit-*"))
        times.pass_by(2 * DAY)
        await upkeep.tend()
        left = sorted((tmp_path / "audit").glob("audit-*"))

    deleted = told(tmp_path, "notice")
    assert [notice["details"]["segment"] for notice in deleted] == [path.name for path in before[:-2]]
    assert set(before[-2:]) <= set(left)
    assert verdict_of(tmp_path).finding is None
    assert verdict_of(tmp_path).first == deleted[-1]["details"]["last"] + 1


async def test_segments_that_are_young_enough_stay(tmp_path: Path) -> None:
    rotation = Rotation(max_bytes=500)
    async with upkeep_of(tmp_path, rotation=rotation, keep_days=30, now=lambda: 0.0) as (upkeep, journal):
        for _ in range(12):
            await journal.append(LINE)
        await upkeep.tend()

    assert told(tmp_path, "notice") == []


@pytest.mark.parametrize(("days", "spared"), [(31, True), (59, True), (61, False)])
async def test_what_was_not_sent_yet_stays_as_long_again(tmp_path: Path, days: int, spared: bool) -> None:
    rotation = Rotation(max_bytes=500)
    async with upkeep_of(tmp_path, rotation=rotation) as (_, journal):
        for _ in range(12):
            await journal.append(LINE)
    before = sorted((tmp_path / "audit").glob("audit-*"))
    shipped = len(b"".join(path.read_bytes() for path in before[:2]).splitlines()) + 1  # and a line of the third
    times = Times(time.time() + (days - 2) * DAY)
    async with upkeep_of(tmp_path, keep_days=30, shipped=shipped, now=times.now, clock=times.clock) as (upkeep, _):
        times.pass_by(2 * DAY)
        await upkeep.tend()

    assert len(before) > 4
    assert [path for path in before if not path.exists()] == (before[:2] if spared else before[:-2])


async def test_a_clock_that_is_ahead_deletes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = Times(time.time() + 20 * 365 * DAY)
    rotation = Rotation(max_bytes=500)
    async with upkeep_of(tmp_path, rotation=rotation, keep_days=3650, now=times.now, clock=times.clock) as (
        upkeep,
        journal,
    ):
        for _ in range(12):
            await journal.append(LINE)
        for _ in range(47):
            await upkeep.tend()
            times.pass_by(3600)

        assert told(tmp_path, "notice") == []
        (record,) = [record for record in caplog.records if "no old segment" in record.message]
        assert "If the clock is wrong" in record.message
        times.pass_by(3600)
        await upkeep.tend()
        assert told(tmp_path, "notice") != []
