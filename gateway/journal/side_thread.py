"""Work on a disk that may hang, in a thread that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class SideThread:
    """Does one thing at a time. Its threads are daemons, for a disk that hangs for good must not keep the process from
    ending, as the loop's own executor would.
    """

    def __init__(self, name: str, time_limit_seconds: float) -> None:
        self._name, self._time_limit_seconds = name, time_limit_seconds
        self._under_way: asyncio.Future[Exception | None] | None = None

    async def run(self, work: Callable[[], None]) -> None:
        """Do it once what was begun before is done, and raise what it raises.

        Raises:
            OSError: that takes longer than the time limit. What was begun goes on all the same.
        """
        try:
            async with asyncio.timeout(self._time_limit_seconds):
                while self._under_way is not None and not self._under_way.done():  # whoever began it may have given up
                    await asyncio.wait((self._under_way,))
                self._under_way = self._begin(work)
                failure = await asyncio.shield(self._under_way)
        except TimeoutError as error:
            raise OSError(f"the disk took longer than {self._time_limit_seconds:g} s") from error
        if failure is not None:
            raise failure

    def _begin(self, work: Callable[[], None]) -> asyncio.Future[Exception | None]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Exception | None] = loop.create_future()

        def act() -> None:
            failure = _failure_of(work)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set_result, failure)

        threading.Thread(target=act, name=self._name, daemon=True).start()
        return done


def _failure_of(work: Callable[[], None]) -> Exception | None:
    try:
        work()
    except Exception as error:
        return error
    return None
