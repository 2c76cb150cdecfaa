"""A simulated Okta: a queue of provisioning tasks, parallel workers, and the law by which refused tasks come back.

okta = Okta(call, dialect="oin", law="documented")
report = await okta.run(tasks)
assert not report.failed
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.okta.sequences import Attempt, Call, Ending, Memory, Progress, Stopped
from tests.okta.tasks import Dialect, Law, Replay, Task, wait_seconds


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that only a person can take up again."""

    task: Task
    ending: Ending  # the last status, or what came instead of one
    attempts: int


@dataclass(slots=True)
class Report:
    """What became of the tasks."""

    done: set[str] = field(default_factory=set)  # by task id, as in `blocked`
    failed: list[FailedTask] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)  # never made, because a task before them failed
    attempts: Counter[int] = field(default_factory=Counter)  # tasks that ended, by the number of attempts they took
    statuses: Counter[int] = field(default_factory=Counter)  # of all answers
    seconds: float = 0.0  # virtual, from the first task to the last ending

    @property
    def failed_by_ending(self) -> Counter[Ending]:
        return Counter(each.ending for each in self.failed)


class Okta:
    """Plays Okta against whatever `call` leads to. To be run once, inside a virtual loop."""

    def __init__(
        self,
        call: Call,
        *,
        dialect: Dialect = "oin",
        law: Law = "documented",
        replay: Replay = "stored",
        workers: int = 32,
        tasks_per_second: float = 50.0,
        base_path: str = "",
    ) -> None:
        self.memory = Memory()
        self.report = Report()
        self._call = call
        self._dialect: Dialect = dialect
        self._law: Law = law
        self._replay: Replay = replay
        self._workers = workers
        self._tasks_per_second = tasks_per_second
        self._base_path = base_path
        self._ready: asyncio.Queue[Progress] = asyncio.Queue()
        self._waiting: dict[str, list[Task]] = {}  # by a task that they wait for
        self._lost: set[str] = set()  # failed or blocked
        self._unfinished = 0
        self._all_ended = asyncio.Event()

    async def run(self, tasks: Sequence[Task]) -> Report:
        """Make the tasks one by one, work on them until each is done, failed for good or blocked."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._unfinished = len(tasks)
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work()) for _ in range(self._workers)]
            for number, task in enumerate(tasks):
                await asyncio.sleep(started + number / self._tasks_per_second - loop.time())
                self._release(task)
            if tasks:
                await self._all_ended.wait()  # every task ends: its calls and its pauses are bounded
            for worker in workers:
                worker.cancel()
        self.report.seconds = loop.time() - started
        return self.report

    def _release(self, task: Task) -> None:
        """To the queue, if every task before it is done."""
        for name in task.after:
            if name in self._lost:
                self.report.blocked.add(task.id)
                self._lost.add(task.id)
                self._end(task)
                return
            if name not in self.report.done:
                self._waiting.setdefault(name, []).append(task)
                return
        self.memory.take_in(task)
        self._ready.put_nowait(Progress(task))

    async def _work(self) -> None:
        while True:
            progress = await self._ready.get()
            attempt = Attempt(self._counted, self.memory, progress, self._dialect, self._replay, self._base_path)
            try:
                await attempt.run()
            except Stopped as stopped:
                self._come_back_or_fail(progress, stopped)
            else:
                self.report.attempts[progress.attempts] += 1
                self.report.done.add(progress.task.id)
                self._end(progress.task)

    async def _counted(
        self, method: str, target: str, fields: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        answer = await self._call(method, target, fields, body)
        self.report.statuses[answer[0]] += 1
        return answer

    def _come_back_or_fail(self, progress: Progress, stopped: Stopped) -> None:
        if stopped.ending == 429:
            progress.retry_afters.append(stopped.retry_after)
            pause = wait_seconds(self._law, progress.retry_afters)
            if pause is not None:
                asyncio.get_running_loop().call_later(pause, self._ready.put_nowait, progress)
                return
        self.report.attempts[progress.attempts] += 1
        self.report.failed.append(FailedTask(progress.task, stopped.ending, progress.attempts))
        self._lost.add(progress.task.id)
        self._end(progress.task)

    def _end(self, task: Task) -> None:
        self._unfinished -= 1
        if not self._unfinished:
            self._all_ended.set()
        for waiting in self._waiting.pop(task.id, ()):
            self._release(waiting)
