"""A gateway as operators run it: `scim-gateway serve` in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.rehearsal.certificates import make_development_certificates
from tests.ports import unused_port
from tests.settings.files import write_private
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256

PATIENCE_SECONDS = 30.0  # a process may start slowly beside others


@dataclass
class Served:
    """A running process, and what it said."""

    process: asyncio.subprocess.Process
    directory: Path
    port: int
    admin_port: int
    said: list[dict[str, Any]] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.port}{PATH}"

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.directory / "tls/ca.pem")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def says(self, text: str) -> dict[str, Any]:
        """Read the log until a line holds `text`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := await self.process.stdout.readline():
                record: dict[str, Any] = json.loads(line)
                self.said.append(record)
                if text in record.get("message", ""):  # an event of the audit log has none
                    return record
        raise AssertionError(f"it never said {text!r}: {self.said}")

    async def ends(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            rest = await self.process.stdout.read() if self.process.stdout else b""
            self.said += [json.loads(line) for line in rest.splitlines()]
            return await self.process.wait()


GUARD = "guard = { directory_size = 1000 }"


def write_settings(
    directory: Path,
    upstream: str | tuple[str, ...],
    port: int,
    admin_port: int,
    *,
    guard: str | None = GUARD,
    more: str = "",
) -> Path:
    """A settings file with everything that it names; `more` is appended, with its own guard where `guard` is None."""
    certificates = make_development_certificates(directory / "tls", ("localhost",))
    write_private(directory / "secret", UPSTREAM_TOKEN)
    nodes = json.dumps([upstream] if isinstance(upstream, str) else upstream)
    file = directory / "gateway.toml"
    file.write_text(f"""
[gateway]
public_url = "https://localhost:{port}"
state_directory = "state"
drain_seconds = 5
[listen]
address = "127.0.0.1:{port}"
certificate_file = "{certificates.certificate_file}"
key_file = "{certificates.key_file}"
[admin]
address = "127.0.0.1:{admin_port}"
[audit]
directory = "audit"
[tenants.jira]
path = "{PATH}"
upstream = {nodes}
upstream_token_file = "secret"
{guard or ""}
[[tenants.jira.credentials]]
name = "okta-2027"
token_sha256 = "{sha256(TOKEN)}"
{more}
""")
    return file


@asynccontextmanager
async def serving(
    directory: Path,
    *upstream: str,
    words: tuple[str, ...] = (),
    guard: str | None = GUARD,
    more: str = "",
    under: tuple[str, ...] = (),
    module: str = "gateway",
) -> AsyncIterator[Served]:
    """Serves until the block ends; `more` is appended to the settings, for `under` and `module` see `start`."""
    port, admin_port = unused_port(), unused_port()
    file = write_settings(directory, upstream, port, admin_port, guard=guard, more=more)
    process = await start("serve", "--config", str(file), *words, under=under, module=module)
    served = Served(process, directory, port, admin_port)
    try:
        await served.says("ready")
        yield served
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def start(
    *words: str,
    under: tuple[str, ...] = (),
    module: str = "gateway",
    environment: Mapping[str, str] | None = None,
    descriptors: tuple[int, ...] = (),
    stdout: int = asyncio.subprocess.PIPE,
) -> asyncio.subprocess.Process:
    """`scim-gateway` with these words, or another module with them; its log is read from standard output.

    `under` is a command that becomes it, and inherits the descriptors.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SCIM_GATEWAY")}
    return await asyncio.create_subprocess_exec(
        *(*under, sys.executable, "-m", module, *words),
        stdout=stdout,
        env=ours | dict(environment or {}),
        pass_fds=descriptors,
    )
