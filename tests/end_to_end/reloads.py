"""A reload that comes in the middle of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.settings.models import Settings
from tests.houses import House
from tests.waiting import until
from tests.worlds import PATH, TOKEN


@asynccontextmanager
async def post_across_a_reload(
    it: House, body: bytes, **changes: object
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]]:
    """A user whose head came before a reload with `changes` of the tenant, and whose body came after it.

    Yields its connection, on which the answer comes, and a head that asks the same again.
    """
    jira = it.instance.settings.tenants["jira"].model_copy(update=changes)
    new = it.instance.settings.model_copy(update={"tenants": {"jira": jira}})
    before = it.instance.pipeline

    async def reread() -> Settings:
        return new

    it.instance._reread = reread
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port, ssl=it.trusting(), server_hostname="localhost")
    head = f"POST {PATH}/Users HTTP/1.1\r\nHost: localhost:{it.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    it.instance.request_reload()
    await until(lambda: it.instance.pipeline is not before)
    writer.write(body)
    yield reader, writer, f"{head}\r\n".encode()
    writer.close()
