"""A gateway between a client and an application that misbehaves: what was answered, what was executed, what is on
record.

The application counts its acts by X-Request-Id, so a request that was executed twice cannot hide. Each of its nodes
plays a script on every connection; probes, which bear no X-Request-Id, are answered beside the script.
"""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway.settings.models import Settings
from tests.houses import House, house_settings, instance_running
from tests.upstreams import Conversation, SeenRequest, http_answer, json_answer, scripted_upstream
from tests.worlds import TOKEN

GIVEN = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}
USER = {**GIVEN, "id": "1"}
PATCH = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "active", "value": True}],
}
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
PROBE_ANSWER = json_answer({"schemas": [ERROR], "status": "401", "detail": "No"}, 401)
SUCCESS = {"GET": 200, "POST": 201, "PATCH": 200, "PUT": 200, "DELETE": 204}
TARGETS = {"GET": "/Users/1", "POST": "/Users", "PATCH": "/Users/2", "PUT": "/Users/3", "DELETE": "/Users/4"}
PATIENCE = aiohttp.ClientTimeout(total=15)


@dataclass(slots=True)
class Node:
    """One node of the application, and how often it executed each request."""

    url: str = ""
    acts: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)  # "METHOD target" of its acts
    acted_at: dict[str, int] = field(default_factory=dict)  # monotonic nanoseconds, of each act's first time

    @property
    def name(self) -> str:
        """As records call it."""
        return self.url.partition("://")[2]

    def execute(self, request: SeenRequest) -> None:
        """An act; only requests of clients are such."""
        [name] = request.all("X-Request-Id")
        self.acts[name] += 1
        self.acted_at.setdefault(name, time.monotonic_ns())
        self.order.append(f"{request.method} {request.target.rpartition('/v2')[2]}")


@dataclass(frozen=True, slots=True)
class Talk:
    """One connection to a node, without the probes."""

    conversation: Conversation
    node: Node

    async def operation(self) -> SeenRequest:
        """The next request of a client, whole."""
        while True:
            request = await self.conversation.request()
            if request.all("X-Request-Id"):
                return request
            await self.conversation.send(PROBE_ANSWER)

    async def head(self) -> bytes:
        """The head of a client's next request; its body is left unread."""
        while b"\r\nX-Request-Id: " not in (head := await self.conversation.head()):
            await self.conversation.send(PROBE_ANSWER)
        return head

    async def execute(self) -> SeenRequest:
        """Read the next request of a client and carry it out."""
        request = await self.operation()
        self.node.execute(request)
        return request

    async def send(self, data: bytes) -> None:
        await self.conversation.send(data)


Play = Callable[[Talk], Awaitable[None]]


def success(method: str, document: Mapping[str, object] = USER) -> bytes:
    """What a well-behaved application answers."""
    return http_answer(204) if method == "DELETE" else json_answer(document, SUCCESS[method])


async def serve(talk: Talk) -> None:
    """A well-behaved application."""
    while True:
        request = await talk.execute()
        await talk.send(success(request.method))


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client got."""

    method: str
    status: int
    fields: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def request_id(self) -> str:
        return self.fields["x-request-id"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one request: the answer's status and reason, what the record says, acts by node."""

    status: int
    reason: str | None
    outcome: str
    attempts: tuple[tuple[int, str, int | None], ...]  # node, stage, the node's status
    executions: tuple[int, ...]


def not_reached(method: str, nodes: int) -> Seen:
    """What becomes of a request whose first node cannot be reached; a second one is well."""
    if nodes == 1:
        return Seen(429, "upstream-unreachable", "not-executed", ((0, "not-sent", None),), (0,))
    status = SUCCESS[method]
    return Seen(status, None, "executed", ((0, "not-sent", None), (1, "answered", status)), (0, 1))


@dataclass(slots=True)
class Scene:
    """A running gateway, its client and the nodes behind it."""

    house: House
    nodes: list[Node]
    session: aiohttp.ClientSession

    async def ask(self, method: str, target: str = "", padding: int = 0) -> Reply:
        """One request over a connection of its own; `padding` makes its body so much larger."""
        body = body_of(method, padding)
        async with self.session.request(
            method, self.house.base_url + (target or TARGETS[method]), data=body and io.BytesIO(body)
        ) as response:
            fields = {name.lower(): value for name, value in response.headers.items()}
            return Reply(method, response.status, fields, await response.read())

    async def ask_each(self, methods: Sequence[str] = tuple(TARGETS), padding: int = 0) -> dict[str, Reply]:
        """One request of each method, all at once, each to a resource of its own."""
        replies = await asyncio.gather(*(self.ask(method, padding=padding) for method in methods))
        return {reply.method: reply for reply in replies}

    def record(self, request_id: str) -> dict[str, Any]:
        """The one line that tells what became of a request."""
        [line] = [line for line in self.records() if line.get("request") == request_id and line["event"] != "intent"]
        return line

    def records(self) -> list[dict[str, Any]]:
        """Every line that has been written whole."""
        files = sorted((self.house.directory / "audit").glob("*.jsonl"))
        lines = [line for file in files for line in file.read_text(encoding="ascii").splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def ends(self) -> list[dict[str, Any]]:
        """The lines of every request that is over, in that order."""
        return [line for line in self.records() if line["event"] in ("outcome", "refusal")]

    def executions(self, request_id: str) -> tuple[int, ...]:
        return tuple(node.acts[request_id] for node in self.nodes)

    def seen(self, reply: Reply) -> Seen:
        """What became of a request whose answer came; what holds for every answer is asserted on the way."""
        line = self.record(reply.request_id)
        assert line["status"] == reply.status
        if reply.status == 429:
            assert_is_a_call_to_come_back(reply, line["reason"])
        for node in self.nodes:
            assert node.name.encode() not in reply.body
        return self.told(line)

    def told(self, line: Mapping[str, Any]) -> Seen:
        """What a line of the record tells, and how often its request was executed."""
        names = [node.name for node in self.nodes]
        return Seen(
            line["status"],
            line.get("reason"),
            line["outcome"],
            tuple((names.index(each["node"]), each["stage"], each.get("status")) for each in line.get("attempts", ())),
            self.executions(line["request"]),
        )


def assert_is_a_call_to_come_back(reply: Reply, reason: str) -> None:
    """Okta retries by itself on 429 alone, after the seconds it is told; anything but an integer means five minutes."""
    seconds, document = reply.fields["retry-after"], json.loads(reply.body)
    assert seconds.isdigit()
    assert 60 <= int(seconds) <= 120
    assert reply.fields["content-type"] == "application/scim+json"
    assert document["schemas"] == [ERROR]
    assert document["status"] == "429"
    assert f"[{reason}, request {reply.request_id}]" in document["detail"]


def body_of(method: str, padding: int = 0) -> bytes | None:
    """A body that the gateway lets pass; None for methods without one."""
    match method:
        case "POST" | "PUT":
            document: Mapping[str, object] = GIVEN | ({"nickName": "x" * padding} if padding else {})
        case "PATCH":
            value = {"nickName": "x" * padding, "active": True}
            document = PATCH | ({"Operations": [{"op": "replace", "value": value}]} if padding else {})
        case _:
            return None
    return json.dumps(document).encode()


@asynccontextmanager
async def scene(
    directory: Path,
    *plays: Play | str,
    tls: Mapping[int, ssl.SSLContext] | None = None,
    limits: Mapping[str, float] | None = None,
    **changes: Any,
) -> AsyncIterator[Scene]:
    """A gateway in front of one node for each play; a play may be the URL of a node that is nobody's.

    `tls` has the contexts of nodes that speak it, by number; `changes` are of the tenant, as in `house_settings`.
    """
    async with AsyncExitStack() as stack:
        nodes = []
        for number, play in enumerate(plays):
            context = (tls or {}).get(number)
            nodes.append(await stack.enter_async_context(_node(play, context)))
        settings = house_settings(directory, nodes[0].url, limits=limits or {}, **changes)
        house = await stack.enter_async_context(running(with_nodes(settings, nodes), directory))
        connector = aiohttp.TCPConnector(ssl=house.trusting(), force_close=True, limit=0)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, headers=CLIENT_FIELDS, timeout=PATIENCE)
        )
        yield Scene(house, nodes, session)


CLIENT_FIELDS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}


def with_nodes(settings: Settings, nodes: Sequence[Node]) -> Settings:
    """The same settings, with these nodes for the tenant's upstream."""
    jira = settings.tenants["jira"].model_copy(update={"upstream": tuple(node.url for node in nodes)})
    return settings.model_copy(update={"tenants": {"jira": jira}})


@asynccontextmanager
async def _node(play: Play | str, tls: ssl.SSLContext | None) -> AsyncIterator[Node]:
    if isinstance(play, str):
        yield Node(play)
        return
    node = Node()

    async def script(conversation: Conversation) -> None:
        await play(Talk(conversation, node))

    async with scripted_upstream(script, tls) as upstream:
        node.url = upstream.url.replace("http:", "https:") if tls else upstream.url
        yield node


@asynccontextmanager
async def running(settings: Settings, directory: Path) -> AsyncIterator[House]:
    """A gateway with these settings in the running loop, until the block ends."""
    async with instance_running(settings) as instance:
        yield House(instance, directory, directory / "tls" / "ca.pem")
