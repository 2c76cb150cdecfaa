"""The application's nodes at the other end of an in-memory connection, for a client that is an `asyncio.Protocol`.

    async with virtual_nodes(application) as nodes:
        transport, protocol = await nodes.connect(factory, "node-1")

Bytes take no time. A node that is killed loses its connections and abandons what it is handling; a client that goes
away does not stop a node from executing what it asked for.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from tests.okta.application import Answer, Application, Work, reach
from tests.okta.clock import now
from tests.okta.outages import LOSES_CONNECTIONS, State

P = TypeVar("P", bound=asyncio.Protocol)


class VirtualTransport(asyncio.Transport):
    """The client's side of one connection; what is written arrives at once."""

    def __init__(
        self, protocol: asyncio.Protocol, arrive: Callable[[bytes], None], quiet: socket.socket | None
    ) -> None:
        super().__init__({"peername": ("192.0.2.1", 5501), "sockname": ("192.0.2.2", 40000), "socket": quiet})
        self._protocol = protocol
        self._arrive = arrive
        self._loop = asyncio.get_running_loop()
        self._unread: list[bytes] | None = None  # what came while reading was paused
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not self._closing and data:
            self._loop.call_soon(self._arrive, bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def deliver(self, data: bytes) -> None:
        """Bytes from the node."""
        if self._unread is not None:
            self._unread.append(data)
        elif not self._closing:
            self._protocol.data_received(data)

    def lose(self, error: Exception | None) -> None:
        """The connection ends, once."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)

    def close(self) -> None:
        self.lose(None)

    def abort(self) -> None:
        self.lose(None)

    def is_closing(self) -> bool:
        return self._closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return self._unread is None

    def pause_reading(self) -> None:
        self._unread = [] if self._unread is None else self._unread

    def resume_reading(self) -> None:
        unread, self._unread = self._unread or [], None
        for data in unread:
            self._loop.call_soon(self.deliver, data)


@dataclass(slots=True, eq=False)
class _Connection:
    """The node's side."""

    node: str
    transport: VirtualTransport | None = None
    unparsed: bytes = b""
    busy: bool = False
    deaf: bool = False  # bytes were lost on it in the dark: nothing that comes after them can be understood


@dataclass(slots=True)
class VirtualNodes:
    """All nodes of an application; made by `virtual_nodes`.

    Of the requests that a killed node was handling, `committed_share` are executed all the same, at that very
    moment, their answers lost. `quiet_socket` is what the transport gives for "socket": None, or a socket on which
    nothing ever comes, for a client that polls it.
    """

    application: Application
    committed_share: float
    quiet_socket: socket.socket | None
    _random: random.Random
    _group: asyncio.TaskGroup
    connected: int = 0
    killed: int = 0  # requests abandoned
    committed: int = 0  # of these, executed
    _connections: set[_Connection] = field(default_factory=set)
    _handling: dict[asyncio.Task[None], Work] = field(default_factory=dict)

    async def connect(self, protocol_factory: Callable[[], P], node_name: str) -> tuple[VirtualTransport, P]:
        """As `loop.create_connection` does.

        Raises:
            ConnectionRefusedError: the node is down.
            TimeoutError: the node is dark; raised after two minutes.
        """
        await reach(self.application.state(node_name), node_name)
        protocol = protocol_factory()
        connection = _Connection(node_name)
        transport = VirtualTransport(protocol, lambda data: self._arrive(connection, data), self.quiet_socket)
        connection.transport = transport
        self._connections = {each for each in self._connections if each.transport and not each.transport.is_closing()}
        self._connections.add(connection)
        self.connected += 1
        protocol.connection_made(transport)
        return transport, protocol

    async def watch(self) -> None:
        """Kill nodes when the schedule says so; ends after its last change."""
        schedule = self.application.schedule
        while (at := schedule.next_change(before := now())) is not None:
            await asyncio.sleep(at - before)
            for node in {each.node for each in self._connections} | {each.node for each in self._handling.values()}:
                state, was = schedule.state(node, at), schedule.state(node, before)
                if state is not was and state in LOSES_CONNECTIONS:
                    self._kill(node)

    def _kill(self, node: str) -> None:
        for task, work in tuple(self._handling.items()):
            if work.node != node:
                continue
            self.killed += 1
            if self._random.random() < self.committed_share:
                self.committed += work.answer is None
                self.application.execute(work)
            task.cancel()
        for connection in self._connections:
            if connection.node == node and connection.transport is not None:
                connection.transport.lose(ConnectionResetError(f"{node} was killed"))

    def _arrive(self, connection: _Connection, data: bytes) -> None:
        connection.deaf |= self.application.state(connection.node) is State.DARK
        if not connection.deaf:
            connection.unparsed += data
            self._take_next(connection)

    def _take_next(self, connection: _Connection) -> None:
        """One request at a time, as soon as it is whole."""
        parsed = None if connection.busy else _parse(connection.node, connection.unparsed)
        if parsed is None:
            return
        work, connection.unparsed = parsed
        connection.busy = True
        task = self._group.create_task(self._handle(connection, work))
        self._handling[task] = work
        task.add_done_callback(lambda done: self._handling.pop(done, None))

    async def _handle(self, connection: _Connection, work: Work) -> None:
        answer = await self.application.carry_out(work)
        connection.busy = False
        connection.deaf |= self.application.state(connection.node) is State.DARK
        if connection.transport is not None and not connection.deaf:
            asyncio.get_running_loop().call_soon(connection.transport.deliver, answer_bytes(answer))
            self._take_next(connection)


@asynccontextmanager
async def virtual_nodes(
    application: Application, *, committed_share: float = 0.5, seed: int = 0, quiet_socket: socket.socket | None = None
) -> AsyncIterator[VirtualNodes]:
    """The application's nodes, for as long as the block lasts; what is being handled at its end is abandoned."""
    async with asyncio.TaskGroup() as group:
        nodes = VirtualNodes(application, committed_share, quiet_socket, random.Random(seed), group)
        watching = group.create_task(nodes.watch())
        yield nodes
        for task in (watching, *nodes._handling):
            task.cancel()


def answer_bytes(answer: Answer) -> bytes:
    """As on the wire; 204 without a Content-Length (RFC 9110 section 8.6). Pure."""
    status, fields, body = answer
    framed = fields if status == 204 else {**fields, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {framed[name]}" for name in framed)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _parse(node: str, data: bytes) -> tuple[Work, bytes] | None:
    """The first request in `data` and what comes after it, or None as long as it is not whole."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in fields:
        raise ValueError("this node reads bodies with a Content-Length only")
    size = int(fields.get("content-length", "0"))
    if len(rest) < size:
        return None
    return Work(node, method, target, fields, rest[:size]), rest[size:]
