"""The embedded SCIM application: starts it in a process of its own, and ends it.

What runs there, and how it behaves, is `application_process`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

TOKEN_VARIABLE = "SCIM_APPLICATION_TOKEN"  # noqa: S105 - the variable's name
START_SECONDS = 30.0
STOP_SECONDS = 5.0
HOST = "127.0.0.1"


class ApplicationFailed(Exception):
    """The embedded application could not be started; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Application:
    """A running embedded application."""

    url: str  # with the path: http://127.0.0.1:40001/scim/demotenant01/v2
    port: int
    token: str = field(repr=False)

    @property
    def origin(self) -> str:
        """What an `upstream` setting takes: http://127.0.0.1:40001."""
        return f"http://{HOST}:{self.port}"


@asynccontextmanager
async def embedded_application(*, path: str, token: str, port: int = 0) -> AsyncIterator[Application]:
    """Runs the application until the block ends; what it has to say goes to our standard error.

    `path` ends in /v2 and may hold a tenant; `port` 0 is any free one.

    Raises:
        ApplicationFailed: it is not installed, or did not start.
    """
    if find_spec("scim2_server") is None or find_spec("uvicorn") is None:
        raise ApplicationFailed("the embedded application is not installed: pip install 'scim-gateway[demo]'")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.rehearsal.application_process", "--path", path, "--port", str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C is for us: what is in flight still needs the application
        env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE},
    )
    try:
        yield await _greet(process, token)
    finally:
        await _end(process)


@contextmanager
def application_running(*, path: str, token: str, port: int = 0) -> Iterator[Application]:
    """As `embedded_application`, for callers without an event loop."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        embedded = embedded_application(path=path, token=token, port=port)
        application = runner.run(embedded.__aenter__())
        try:
            yield application
        finally:
            runner.run(embedded.__aexit__(None, None, None))


async def _greet(process: asyncio.subprocess.Process, token: str) -> Application:
    if process.stdin is None or process.stdout is None:
        raise ApplicationFailed("the embedded application has no pipes")
    # SECURITY: never by argv, which every user of the host can read.
    process.stdin.write(token.encode() + b"\n")
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError:
        raise ApplicationFailed(f"the embedded application was not ready within {START_SECONDS:.0f} s") from None
    if not line:
        raise ApplicationFailed("the embedded application ended at its start; the lines above say why")
    greeting = json.loads(line)
    return Application(url=str(greeting["url"]), port=int(greeting["port"]), token=token)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()  # which it takes as the end
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
