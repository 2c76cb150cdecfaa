"""A small node of the application, as a process that a test can kill:

    python -m tests.faults.node PORT LEDGER

It takes a moment for each request, and puts its X-Request-Id into the ledger when it carries it out. What it has
written there is kept, whatever kills it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

MOMENT_SECONDS = 0.004
BODY = b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"1","userName":"ada"}'
ANSWER = b"HTTP/1.1 %d OK\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n%b"


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ledger: int) -> None:
    """Serve one connection until it ends."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields.get("Content-Length", 0)))
            await asyncio.sleep(MOMENT_SECONDS)
            if "X-Request-Id" in fields:
                os.write(ledger, fields["X-Request-Id"].encode() + b"\n")
            await asyncio.sleep(MOMENT_SECONDS)
            writer.write(ANSWER % (201 if head.startswith("POST") else 200, len(BODY), BODY))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port: int, file: Path) -> None:
    ledger = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    server = await asyncio.start_server(lambda reader, writer: converse(reader, writer, ledger), "127.0.0.1", port)
    sys.stdout.write("serves\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
