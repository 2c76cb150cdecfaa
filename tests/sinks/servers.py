"""A syslog server over mutual TLS in this process, and the certificates for it and its client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from gateway.settings.models import SyslogSection


@dataclass(slots=True)
class Server:
    """A syslog server that keeps what it gets."""

    port: int = 0
    received: bytearray = field(default_factory=bytearray)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while piece := await reader.read(65536):
            self.received += piece
        writer.close()


class Papers:
    """Certificates of a server and a client."""

    def __init__(self, directory: Path, name: str = "localhost") -> None:
        self.authority = trustme.CA()
        self.directory = directory
        self.authority.cert_pem.write_to_path(directory / "ca.pem")
        client = self.authority.issue_cert("gateway.test")
        client.private_key_pem.write_to_path(directory / "key.pem")
        (directory / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=directory / "ca.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.authority.issue_cert(name).configure_cert(self.context)

    def section(self, port: int, **changes: object) -> SyslogSection:
        return section_of(self.directory, port, **changes)


def section_of(directory: Path, port: int, **changes: object) -> SyslogSection:
    """The settings of a client with the papers that lie in a directory."""
    files = {
        "ca_file": directory / "ca.pem",
        "certificate_file": directory / "cert.pem",
        "key_file": directory / "key.pem",
    }
    return SyslogSection.model_validate({"address": f"localhost:{port}", **files, **changes})


@asynccontextmanager
async def serving(papers: Papers) -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=papers.context)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
        for writer in server.writers:
            writer.close()
