"""Upstreams to test against, on real sockets: each plays a script and keeps every byte that reached it.

    async with scripted_upstream(answers(json_answer({"id": "1"}))) as upstream:
        ...                      # call http://127.0.0.1:{upstream.port}
    assert [request.method for request in upstream.requests] == ["GET"]

A script is played once for each connection. It talks through a `Conversation`: reads requests, sends raw bytes,
closes, resets or keeps silent. An error in a script fails the test that uses it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

PATIENCE_SECONDS = 20.0  # a test that waits longer has failed


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it arrived; `fields` in order, names as sent; `body` without chunked framing."""

    connection: int
    method: str
    target: str
    version: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


class PeerGone(Exception):
    """The other side closed the connection; ends a script without failing it."""


@dataclass(slots=True)
class ScriptedUpstream:
    """What a running fake has seen so far."""

    port: int = 0
    received: list[bytearray] = field(default_factory=list)  # every byte, by connection
    requests: list[SeenRequest] = field(default_factory=list)
    closed: int = 0  # connections that are over
    faults: list[BaseException] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def has_seen(self, requests: int) -> None:
        """Wait until so many requests have arrived."""
        await self._until(lambda: len(self.requests) >= requests)

    async def has_lost(self, connections: int) -> None:
        """Wait until so many connections are over."""
        await self._until(lambda: self.closed >= connections)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(holds)

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@dataclass(slots=True)
class Conversation:
    """The upstream's side of one connection."""

    number: int  # connections are counted from 0
    upstream: ScriptedUpstream
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _unread: bytearray = field(default_factory=bytearray)

    async def request(self) -> SeenRequest:
        """The next request, whole.

        Raises:
            PeerGone: there is none.
        """
        lines = (await self.head()).decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
        fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line))
        seen = SeenRequest(self.number, method, target, version, fields, b"")
        body = await self._body(seen)
        seen = SeenRequest(self.number, method, target, version, fields, body)
        self.upstream.requests.append(seen)
        await self.upstream._note()
        return seen

    async def head(self) -> bytes:
        """The next request's head only; its body is left unread."""
        return await self._through(b"\r\n\r\n")

    async def anything(self) -> None:
        """Wait for the next bytes, whatever they are."""
        await self._more()

    async def send(self, data: bytes) -> None:
        """Raises: PeerGone: the other side has hung up."""
        if self._writer.is_closing():  # uvloop takes this for a mistake of ours
            raise PeerGone
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise PeerGone from error

    async def send_apart(self, *pieces: bytes) -> None:
        """Send pieces that arrive one by one: the loop runs, and the other side's too, between them."""
        for piece in pieces:
            await self.send(piece)
            await asyncio.sleep(0.01)

    def send_past_the_loop(self, data: bytes) -> None:
        """Put bytes, or for b"" the end, into the kernel at once, so that they wait there for the other side."""
        with socket.socket(fileno=os.dup(self._writer.get_extra_info("socket").fileno())) as sock:
            if data:
                sock.send(data)
            else:
                sock.shutdown(socket.SHUT_WR)

    async def silence(self) -> None:
        """Say nothing more, until the other side closes."""
        with suppress(PeerGone):
            while True:
                await self._more()

    def reset(self) -> None:
        """Break the connection as a crashed host does: RST instead of FIN."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _body(self, seen: SeenRequest) -> bytes:
        if any("chunked" in coding.lower() for coding in seen.all("Transfer-Encoding")):
            return await self._chunks()
        lengths = seen.all("Content-Length")
        return await self._exactly(int(lengths[0])) if lengths else b""

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self._through(b"\r\n")).partition(b";")[0], 16):
            body += await self._exactly(size)
            await self._exactly(2)
        await self._through(b"\r\n")
        return body

    async def _through(self, end: bytes) -> bytes:
        while end not in self._unread:
            await self._more()
        return await self._exactly(self._unread.index(end) + len(end))

    async def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            await self._more()
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    async def _more(self) -> None:
        try:
            data = await self._reader.read(1 << 16)
        except (ConnectionError, ssl.SSLError) as error:
            raise PeerGone from error
        if not data:
            raise PeerGone
        self._unread += data
        self.upstream.received[self.number] += data


Script = Callable[[Conversation], Awaitable[None]]


def answers(*replies: bytes) -> Script:
    """Each request gets the next reply, whatever its connection; the last is repeated. Connections are kept."""
    left = list(replies)

    async def play(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await conversation.send(left.pop(0) if len(left) > 1 else left[0])

    return play


def answers_then_closes(reply: bytes) -> Script:
    """One request, one reply (perhaps b"", perhaps cut), and the connection is closed."""

    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(reply)

    return play


def answers_then_keeps_silent(reply: bytes) -> Script:
    """One request, one reply (perhaps b"", perhaps cut), and nothing more."""

    async def play(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(reply)
        await conversation.silence()

    return play


def http_answer(
    status: int, fields: Mapping[str, str] | None = None, body: bytes = b"", *, framed: bool = True
) -> bytes:
    """An answer's bytes; with a Content-Length unless told otherwise."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in (fields or {}).items())]
    if framed and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_answer(document: object, status: int = 200, fields: Mapping[str, str] | None = None) -> bytes:
    """A SCIM answer's bytes."""
    given = {"Content-Type": "application/scim+json", **(fields or {})}
    return http_answer(status, given, json.dumps(document).encode())


@asynccontextmanager
async def scripted_upstream(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedUpstream]:
    """A server on a free port of 127.0.0.1 that plays `script` on each connection."""
    upstream = ScriptedUpstream()
    playing: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        playing.add(task)
        upstream.received.append(bytearray())
        conversation = Conversation(len(upstream.received) - 1, upstream, reader, writer)
        try:
            await script(conversation)
        except (PeerGone, asyncio.CancelledError):
            pass  # cancelled by nobody but the end of the test, below
        except Exception as fault:
            upstream.faults.append(fault)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            playing.discard(task)
            upstream.closed += 1
            await upstream._note()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in tuple(playing):
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await server.wait_closed()
    if upstream.faults:
        raise ExceptionGroup("the script failed", [f for f in upstream.faults if isinstance(f, Exception)])
