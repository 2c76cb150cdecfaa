"""A real nginx before a gateway, or in its place: from the system, else fetched into build/ from Debian."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests import debian

START_SECONDS = 30.0

CONFIGURATION = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{
            {location}
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx(directory: Path, pair: tuple[Path, Path], port: int, location: str) -> AsyncIterator[None]:
    """Ends TLS on a port, and does what the directives of `location` say."""
    words = (
        *debian.call("nginx", "nginx", "nginx"),
        "-c",
        str(_configured(directory, pair, port, location)),
        "-e",
        f"{directory}/error.log",
    )
    process = await asyncio.create_subprocess_exec(*words)
    try:
        await _listens(port, process)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _configured(directory: Path, pair: tuple[Path, Path], port: int, location: str) -> Path:
    directory.mkdir()
    file = directory / "nginx.conf"
    certificate, key = pair
    file.write_text(
        CONFIGURATION.format(directory=directory, certificate=certificate, key=key, port=port, location=location)
    )
    return file


async def _listens(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.returncode is None, "nginx does not start: it says why on standard error"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
