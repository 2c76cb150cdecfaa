"""A whole gateway in front of a real or recorded upstream, in this process, on free ports."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.app import Instance
from gateway.rehearsal.certificates import make_development_certificates
from gateway.settings.models import Settings
from tests.audit.schema import check_each_kind
from tests.ports import unused_port
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256


@dataclass(frozen=True, slots=True)
class House:
    """A running gateway, as its client and its operator see it."""

    instance: Instance
    directory: Path
    ca_file: Path
    path: str = PATH
    token: str = TOKEN

    @property
    def port(self) -> int:
        return self.instance.port

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.port}{self.path}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.instance.admin_port}"

    def trusting(self) -> ssl.SSLContext:
        """What a client needs to trust the gateway."""
        return ssl.create_default_context(cafile=self.ca_file)

    def audit_lines(self) -> list[dict[str, Any]]:
        """The audit log, every line read."""
        files = sorted((self.directory / "audit").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="ascii").splitlines()]


def house_settings(directory: Path, upstream: str | tuple[str, ...], **changes: Any) -> Settings:
    """Settings of a house. `changes` are the tenant's, but for those that are named as another section."""
    certificates = make_development_certificates(directory / "tls", ("localhost", "127.0.0.1"))
    names = ("gateway", "listen", "admin", "metrics", "audit", "alerts", "feeds")
    sections = {name: changes.pop(name, {}) for name in names}
    port = unused_port()  # links name it
    tenant = {
        "path": PATH,
        "client": "okta",
        "upstream": [upstream] if isinstance(upstream, str) else upstream,
        "upstream_token": UPSTREAM_TOKEN,
        "credentials": [{"name": "okta-2027", "token_sha256": sha256(TOKEN)}],
        "guard": {"mode": "off"},  # it would ask the upstream for the size of its directory
        **changes,
    }
    return Settings.model_validate(
        {
            "gateway": {
                "public_url": f"https://localhost:{port}",
                "state_directory": directory / "state",
                "drain_seconds": 2,
                **sections["gateway"],
            },
            "listen": {
                "address": f"127.0.0.1:{port}",
                "certificate_file": certificates.certificate_file,
                "key_file": certificates.key_file,
                **sections["listen"],
            },
            "admin": {"address": "127.0.0.1:0", **sections["admin"]},
            "metrics": sections["metrics"],
            "audit": {"directory": directory / "audit", **sections["audit"]},
            "alerts": sections["alerts"],
            "sources": sections["feeds"],
            "tenants": {"jira": tenant},
        }
    )


@asynccontextmanager
async def instance_running(settings: Settings) -> AsyncIterator[Instance]:
    """An instance in the running loop until the block ends; what keeps it from starting is raised at once."""
    instance = Instance(settings)
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(instance.run(lambda _: started.set(), stop))
        waiting = tasks.create_task(started.wait())
        async with asyncio.timeout(30):
            await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            waiting.cancel()
            await running
        try:
            yield instance
        finally:
            stop.set()


@asynccontextmanager
async def house(directory: Path, upstream: str | tuple[str, ...], **changes: Any) -> AsyncIterator[House]:
    """A gateway in the running loop until the block ends; whatever it put on record is what the docs say."""
    async with instance_running(house_settings(directory, upstream, **changes)) as instance:
        yield House(instance, directory, directory / "tls" / "ca.pem")
    check_each_kind(House(instance, directory, directory / "tls" / "ca.pem").audit_lines())


@contextmanager
def house_in_a_thread(directory: Path, upstream: str, **changes: Any) -> Iterator[House]:
    """A gateway in a loop and thread of its own, for tests that speak through plain sockets."""
    ready, ended = threading.Event(), threading.Event()
    box: dict[str, Any] = {}

    async def live() -> None:
        box["stop"], box["loop"] = asyncio.Event(), asyncio.get_running_loop()
        async with house(directory, upstream, **changes) as built:
            box["house"] = built
            ready.set()
            await box["stop"].wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # handed to the test's thread
            box["error"] = error
        finally:
            ready.set()
            ended.set()

    thread = threading.Thread(target=run, name="house", daemon=True)
    thread.start()
    ready.wait(40)
    if "error" in box:
        raise box["error"]
    try:
        yield box["house"]
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join(40)
    if "error" in box:
        raise box["error"]
