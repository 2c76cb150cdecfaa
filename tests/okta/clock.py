"""A virtual clock: an event loop that jumps to its next timer instead of sleeping, so hours pass in seconds.

    assert run_virtually(four_hours_of_tasks()) == ...

`loop.time()`, `asyncio.sleep` and `asyncio.timeout` are virtual; `time.time()` and `time.monotonic()` are not:
hand `now` to whatever asks for the time. Work in threads (`run_in_executor`, `to_thread`) takes no virtual time:
the clock stands still until it is done.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from tests.worlds import NOW

PATIENCE_SECONDS = 30.0  # real ones, for work in threads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(RuntimeError):
    """Nothing is ready and nothing ever will be: somebody awaits what nobody will do."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps for the sake of a timer: it moves the clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0  # since the loop's beginning; small, for a float must resolve 1e-9 of it
        self.threads_at_work = 0
        self.own_descriptors = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if events or timeout == 0:
            return events
        if self.threads_at_work:
            return self._wait_really(f"work in {self.threads_at_work} threads did not end")
        if timeout is not None:
            self.seconds += timeout
            return events
        if len(self.get_map()) > self.own_descriptors:
            return self._wait_really("nothing came on the real descriptors that are being waited for")
        raise Deadlock("no callback is ready, no timer is set, no thread is at work: the tasks wait for each other")

    def _wait_really(self, complaint: str) -> list[tuple[selectors.SelectorKey, int]]:
        events: list[tuple[selectors.SelectorKey, int]] = super().select(PATIENCE_SECONDS)
        if not events:
            raise Deadlock(f"{complaint} within {PATIENCE_SECONDS:.0f} real seconds")
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` is virtual and starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._jumping.own_descriptors = len(self._jumping.get_map())  # the pipe by which threads wake the loop

    def time(self) -> float:
        return self._jumping.seconds

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As ever, but the clock stands still until the work is done or given up."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Waits for a thread of its own, which the clock has to know of."""
        self._jumping.threads_at_work += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.threads_at_work -= 1

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._jumping.threads_at_work -= 1


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a virtual loop of its own, cancel what it left, and give its result.

    Raises:
        Deadlock: it would have waited for ever.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Virtual Unix seconds; the loop began at `tests.worlds.NOW`."""
    return NOW + asyncio.get_running_loop().time()
