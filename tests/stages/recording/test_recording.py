from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.exchange import RequestId, Trail, Unparsed
from gateway.journal import Journal
from gateway.metrics import Metrics
from gateway.refusal import Reason, Refusal
from gateway.scim.operations import Who
from gateway.stages.recording import Recording
from gateway.stages.reply import present_refusal
from tests import worlds
from tests.audit import trails
from tests.journal.disks import CountingDisk, FailingDisk, content
from tests.waiting import until


class Scene:
    """A recording over a real journal, on a disk that can be made to fail, at a time that stands."""

    def __init__(self, journal: Journal, disk: FailingDisk) -> None:
        self.journal, self.disk = journal, disk
        self.metrics = Metrics(["jira"], version="test")
        self.seconds = 1000.0
        self.recording = self.under("refuse")

    def under(self, on_failure: Literal["refuse", "serve-reads"]) -> Recording:
        return Recording(
            self.journal,
            self.metrics,
            instance="gw-1",
            on_failure=on_failure,
            now=lambda: worlds.NOW,
            clock=lambda: self.seconds,
        )

    def break_disk(self) -> None:
        self.disk.free_bytes = 0

    def mend_disk(self) -> None:
        self.disk.free_bytes = None

    def lines(self) -> list[dict[str, Any]]:
        written = [json.loads(line) for line in content(self.journal.directory).splitlines()]
        return [line for line in written if line["event"] != "segment"]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]

    def metric(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self.metrics.render()[0].decode())
        return sum(
            s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()
        )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    disk = FailingDisk()
    async with Journal(tmp_path, disk=disk) as journal:
        yield Scene(journal, disk)


def write() -> Trail:
    return trails.served(operation=trails.write(), delivery=None, answer=None)


def act() -> Trail:
    """A write that the application executed."""
    return trails.served(operation=trails.write(), tenant=worlds.tenant())


def never_left() -> Trail:
    """A write that was turned away in front of the application."""
    return trails.served(operation=trails.write(), delivery=None, seconds={}, refusal=Refusal(Reason.NO_PLACE))


def unparsed(address: str = "203.0.113.9") -> Unparsed:
    return Unparsed(RequestId("req-9"), worlds.NOW, address, Reason.HEAD_MALFORMED, "bare LF")


async def test_a_write_is_on_record_before_and_after(scene: Scene) -> None:
    await scene.recording.record_intent(write())
    await scene.recording.record_outcome(trails.served(operation=trails.write()))

    assert [(line["seq"], line["event"], line["request"]) for line in scene.lines()] == [
        (2, "intent", "req-1"),
        (3, "outcome", "req-1"),
    ]
    assert scene.metric("scim_gateway_audit_events_total", event="intent", result="written") == 1


async def test_a_write_that_cannot_be_recorded_is_refused(scene: Scene) -> None:
    scene.break_disk()

    with pytest.raises(Refusal) as refused:
        await scene.recording.record_intent(write())
    assert refused.value.reason is Reason.RECORD_UNAVAILABLE
    assert "No space left" in refused.value.note
    assert scene.metric("scim_gateway_audit_events_total", event="intent", result="failed") == 1


@pytest.mark.parametrize(
    ("on_failure", "trail", "refuses"),
    [
        ("refuse", trails.served(), True),
        ("refuse", trails.served(operation=None, refusal=Refusal(Reason.JSON_MALFORMED)), True),
        ("refuse", never_left(), True),
        ("refuse", act(), False),  # in the reserve
        ("serve-reads", trails.served(), False),
        ("serve-reads", trails.served(operation=None, refusal=Refusal(Reason.JSON_MALFORMED)), False),
        ("serve-reads", never_left(), True),
        ("refuse", trails.turned_away(), False),
        ("serve-reads", trails.turned_away(), False),
    ],
)
async def test_only_strangers_and_reads_by_leave_are_answered_without_a_record(
    scene: Scene, on_failure: Literal["refuse", "serve-reads"], trail: Trail, refuses: bool
) -> None:
    recording = scene.under(on_failure)
    scene.break_disk()
    try:
        await recording.record_outcome(trail)
    except Refusal as refusal:
        assert refuses
        assert refusal.reason is Reason.RECORD_UNAVAILABLE
    else:
        assert not refuses


async def test_bytes_that_are_no_request_are_on_record_and_counted(scene: Scene) -> None:
    await scene.recording.record_unparsed(unparsed())

    assert [line["reason"] for line in scene.lines()] == ["head-malformed"]
    assert scene.metric("scim_gateway_requests_rejected_total", reason="head-malformed") == 1


async def test_bytes_that_are_no_request_are_refused_although_they_cannot_be_recorded(scene: Scene) -> None:
    scene.break_disk()

    await scene.recording.record_unparsed(unparsed())


async def test_strangers_beyond_their_lines_are_told_by_number(scene: Scene) -> None:
    for _ in range(15):
        await scene.recording.record_outcome(trails.turned_away(address="203.0.113.9"))
        await scene.recording.record_unparsed(unparsed())
    await scene.recording.flush()
    assert scene.events() == ["refusal", "unparsed"] * 10  # the minute is not over

    scene.seconds += 60
    await scene.recording.flush()
    assert scene.lines()[-1]["event"] == "suppressed"
    assert (scene.lines()[-1]["address"], scene.lines()[-1]["count"]) == ("203.0.113.9", 10)
    assert scene.metric("scim_gateway_strangers_suppressed_total") == 10


async def test_no_client_is_ever_suppressed(scene: Scene) -> None:
    for _ in range(25):
        await scene.recording.record_outcome(trails.served(refusal=Refusal(Reason.RATE_EXCEEDED), operation=None))

    assert len(scene.lines()) == 25


async def test_counts_go_on_record_at_the_end_although_the_minute_is_not_over(scene: Scene) -> None:
    for _ in range(21):
        await scene.recording.record_unparsed(unparsed())
    await scene.recording.flush(at_end=True)

    assert scene.lines()[-1]["count"] == 1


async def test_counts_that_cannot_be_written_wait_for_a_better_time(scene: Scene) -> None:
    for _ in range(25):
        await scene.recording.record_unparsed(unparsed())
    scene.break_disk()
    scene.seconds += 60
    await scene.recording.flush()
    scene.mend_disk()
    scene.seconds += 60
    await scene.recording.flush()

    assert [line["count"] for line in scene.lines() if line["event"] == "suppressed"] == [5]


async def test_the_log_is_found_to_work_again_although_nobody_calls(scene: Scene) -> None:
    scene.break_disk()
    for _ in range(2):
        with pytest.raises(Refusal):
            await scene.recording.record_outcome(trails.served())
    await scene.recording.flush()
    assert scene.journal.problem

    scene.mend_disk()
    await scene.recording.flush()
    await scene.recording.flush()
    assert scene.journal.problem is None
    assert [(line["notice"], line["details"]) for line in scene.lines()] == [
        ("audit-recovered", {"unrecorded": {"outcome": 2}})
    ]


async def test_the_outcome_of_an_act_is_kept_and_answered_although_the_disk_is_full(scene: Scene) -> None:
    await scene.recording.record_intent(act())
    scene.break_disk()
    await scene.recording.record_outcome(act())
    with pytest.raises(Refusal):
        await scene.recording.record_intent(act())
    with pytest.raises(Refusal):
        await scene.recording.record_outcome(trails.served())
    scene.mend_disk()
    await scene.recording.flush()

    assert scene.events() == ["intent", "outcome", "notice", "notice"]
    assert [(line["notice"], line["details"]) for line in scene.lines()[2:]] == [
        ("audit-recovered", {"unrecorded": {"intent": 1, "outcome": 1}}),
        ("audit-reserve-taken-over", {"lines": 1}),
    ]


async def test_the_outcome_of_an_act_that_nothing_could_keep_is_told_late_with_what_the_client_got(
    scene: Scene,
) -> None:
    scene.break_disk()
    scene.disk.failing = {"write_at"}
    trail = act()
    with pytest.raises(Refusal) as refused:
        await scene.recording.record_outcome(trail)
    trail.refusal = refused.value
    trail.answer = present_refusal(trail.refusal, trail)
    scene.recording.observe(trail)
    await scene.recording.flush()
    assert scene.events() == []
    scene.mend_disk()
    await scene.recording.flush()
    await scene.recording.flush()

    outcome, notice = scene.lines()
    assert (outcome["event"], outcome["outcome"], outcome["status"]) == ("outcome", "executed", 429)
    assert outcome["reason"] == "record-unavailable"
    assert (notice["notice"], notice["details"]) == ("audit-recovered", {"unrecorded": {}})


async def test_a_write_that_never_left_is_told_late_for_its_intent_may_be_there(scene: Scene) -> None:
    trail = never_left()
    scene.break_disk()
    with pytest.raises(Refusal) as refused:
        await scene.recording.record_outcome(trail)
    trail.refusal = refused.value
    scene.recording.observe(trail)
    scene.mend_disk()
    await scene.recording.flush()

    assert [(line["event"], line.get("outcome")) for line in scene.lines()] == [
        ("outcome", "not-executed"),
        ("notice", None),
    ]


async def refused(scene: Scene, trail: Trail) -> None:
    """An outcome that neither the log nor its reserve takes; the client is told to come back."""
    with pytest.raises(Refusal) as refused:
        await scene.recording.record_outcome(trail)
    trail.refusal = refused.value
    trail.answer = present_refusal(trail.refusal, trail)
    scene.recording.observe(trail)


def about_many(trail: Trail, request_id: str) -> Trail:
    """A trail whose line is as long as lines get, 50 KB."""
    people = tuple(Who(f"{number:02}{'x' * 480}") for number in range(100))
    trail.operation = trails.write(people=people)
    trail.request = worlds.request("PATCH", id=RequestId(request_id))
    return trail


def reserved(scene: Scene) -> bytes:
    return (scene.journal.directory / "reserve").read_bytes().rstrip(b"\0")


async def test_refused_writes_never_take_the_room_of_acts(scene: Scene) -> None:
    scene.break_disk()
    async with asyncio.TaskGroup() as tasks:
        for number in range(30):  # 1.5 MB
            tasks.create_task(refused(scene, about_many(never_left(), f"req-refused-{number}")))
    await scene.recording.tell("reload", settings="new")
    await scene.recording.flush()
    assert reserved(scene) == b"", "nothing of them is the only word of what was done"
    scene.disk.failing = {"write_at"}
    async with asyncio.TaskGroup() as tasks:
        for number in range(30):
            tasks.create_task(refused(scene, about_many(act(), f"req-act-{number}")))
    scene.mend_disk()
    await scene.recording.flush()

    told = [line["request"] for line in scene.lines() if line["event"] == "outcome"]
    assert told[:30] == [f"req-act-{number}" for number in range(30)]
    assert 45 < len(told) < 55
    assert scene.lines()[-2]["notice"] == "reload"
    assert scene.lines()[-1]["details"] == {"unrecorded": {"outcome": 60 - len(told)}}


async def test_acts_whose_outcome_had_to_be_given_up_are_told_apart_and_by_name(scene: Scene) -> None:
    scene.break_disk()
    scene.disk.failing = {"write_at"}
    async with asyncio.TaskGroup() as tasks:
        for number in range(180):  # 9 MB
            tasks.create_task(refused(scene, about_many(act(), f"req-act-{number}")))
    await refused(scene, never_left())
    with pytest.raises(Refusal):
        await scene.recording.record_intent(write())
    await scene.recording.flush()
    scene.mend_disk()
    for _ in range(2):
        await scene.recording.flush()

    kept = len({line["request"] for line in scene.lines() if line["event"] == "outcome"}) - 1
    (notice,) = [line for line in scene.lines() if line.get("notice") == "audit-recovered"]
    assert notice["details"] == {
        "unrecorded": {"intent": 1},
        "acts": 180 - kept,
        "requests": [f"req-act-{number}" for number in range(kept, kept + 100)],
    }


async def test_what_is_late_goes_into_the_reserve_once_that_works_again_and_only_acts_do(scene: Scene) -> None:
    scene.break_disk()
    scene.disk.failing = {"write_at"}
    await refused(scene, about_many(never_left(), "req-refused"))
    await refused(scene, about_many(act(), "req-act"))
    scene.disk.failing = set()
    for _ in range(2):
        await scene.recording.flush()
    assert [b"req-act" in line for line in reserved(scene).splitlines()] == [True]
    scene.mend_disk()
    await scene.recording.flush()

    assert [line["request"] for line in scene.lines() if line["event"] == "outcome"] == ["req-act", "req-refused"]


async def test_while_the_disk_is_bad_only_some_of_what_is_late_are_tried(scene: Scene) -> None:
    scene.break_disk()
    await asyncio.gather(*(scene.recording.tell("reload", settings="new") for _ in range(300)))
    scene.disk.free_bytes = 40_000  # for 100 lines, and not for 200
    await scene.recording.flush()
    assert scene.events() == ["notice"] * 100
    scene.mend_disk()
    await scene.recording.flush()

    assert scene.events() == ["notice"] * 301


async def test_a_read_that_could_not_be_recorded_is_counted_and_not_told(scene: Scene) -> None:
    scene.break_disk()
    with pytest.raises(Refusal):
        await scene.recording.record_outcome(trails.served())
    scene.recording.observe(trails.served())
    scene.mend_disk()
    await scene.recording.flush()

    assert [line["details"] for line in scene.lines()] == [{"unrecorded": {"outcome": 1}}]


async def test_what_is_late_is_told_even_where_nothing_else_is_wrong_any_more(tmp_path: Path) -> None:
    disk = CountingDisk()
    async with Journal(tmp_path, disk=disk, time_limit_seconds=0.1) as journal, asyncio.TaskGroup() as tasks:
        scene = Scene(journal, disk)
        trail = act()
        await scene.recording.record_intent(trail)
        disk.slow.clear()
        syncs = disk.syncs
        other = tasks.create_task(scene.recording.notice("anything"))
        await until(lambda: disk.syncs > syncs)  # the disk hangs with it
        with pytest.raises(Refusal) as refused:
            await scene.recording.record_outcome(trail)
        trail.refusal = refused.value
        scene.recording.observe(trail)
        await other
        flushing = tasks.create_task(scene.recording.flush())
        await asyncio.sleep(0.12)  # the late line has waited in vain, and the notice waits
        disk.slow.set()
        await flushing
        await scene.recording.flush(at_end=True)

        assert scene.events().count("outcome") == 1


async def test_what_has_happened_is_told_late_and_what_shall_happen_is_not(scene: Scene) -> None:
    scene.break_disk()
    await scene.recording.tell("reload", settings="new")
    await scene.recording.tell_interrupted({"request": "req-0"})
    assert not await scene.recording.notice("guard-decision")
    scene.mend_disk()
    await scene.recording.flush()

    assert [line.get("notice", line["event"]) for line in scene.lines()] == ["reload", "interrupted", "audit-recovered"]


async def test_what_befell_the_log_itself_is_on_record(scene: Scene) -> None:
    await scene.recording.notice("start")
    (scene.journal.directory / "audit-000001.jsonl").unlink()
    await scene.recording.notice("anything")
    await scene.recording.flush()

    assert [line["notice"] for line in scene.lines()] == ["anything", "audit-file-changed"]


async def test_a_notice_is_on_record_with_its_details(scene: Scene) -> None:
    assert await scene.recording.notice("start", version="1.0")

    assert [(line["notice"], line["details"]) for line in scene.lines()] == [("start", {"version": "1.0"})]


async def test_a_notice_that_cannot_be_written_raises_nothing(scene: Scene) -> None:
    scene.break_disk()

    assert not await scene.recording.notice("stop")


def accesses(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [vars(record) for record in caplog.records if record.name == "gateway.access"]


async def test_the_log_tells_a_request_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await scene.recording.record_outcome(trails.served())
    scene.recording.observe(trails.served())

    (access,) = accesses(caplog)
    assert (access["request"], access["tenant"], access["operation"]) == ("req-1", "jira", "user.get")
    assert (access["status"], access["milliseconds"]) == (200, 2.6)


@pytest.mark.parametrize("tell", [lambda: trails.turned_away(address="203.0.113.9"), unparsed])
async def test_strangers_flood_the_log_no_more_than_the_audit_log(
    scene: Scene, caplog: pytest.LogCaptureFixture, tell: Callable[[], Trail | Unparsed]
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(100):
        told = tell()
        if isinstance(told, Unparsed):
            await scene.recording.record_unparsed(told)
        else:
            await scene.recording.record_outcome(told)
            scene.recording.observe(told)

    assert len(accesses(caplog)) == len(scene.lines()) == 20
