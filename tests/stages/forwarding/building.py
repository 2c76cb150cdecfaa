"""Values for the tests of forwarding, beside tests/worlds.py: operations, and a `Path` to a fake upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from gateway.exchange import Client, Delivery, Operation, RequestId, Stage
from gateway.refusal import Reason
from gateway.scim.addresses import read_address
from gateway.settings.models import Tenant
from gateway.stages.forwarding import Forwarding, Node, Transition, Upstream, open_upstreams
from gateway.stages.forwarding.pool import Connect, connect_tcp
from tests import worlds
from tests.upstreams import Script, ScriptedUpstream, json_answer, scripted_upstream
from tests.worlds import FakeCaller

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "ada"}
OK = json_answer(USER)
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = b'{"userName":"ada"}'
MiB = 1 << 20


def make_tenant(
    url: str = "http://127.0.0.1:1", budget: float = 10, max_answer_bytes: int = MiB, **changes: Any
) -> Tenant:
    limits = {
        "budget_seconds": budget,
        "max_answer_bytes": max_answer_bytes,
        "concurrent": 4,
        **changes.pop("limits", {}),
    }
    return worlds.tenant(**{"upstream": [url], "limits": limits, **changes})


def make_operation(
    method: str = "GET",
    path: str = "/Users/1",
    query: str | None = None,
    body: bytes = b"",
    fields: tuple[tuple[str, str], ...] = (),
) -> Operation:
    return Operation(
        name="user.read" if method == "GET" else "user.write",
        method=method,
        address=read_address(path, ()),
        query=query,
        body=body,
        fields=fields,
        writes=method != "GET",
    )


class Path:
    """A Forwarding with one upstream, asked in one word. Whoever made the upstream closes it."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.transitions: list[Transition] = []
        upstream.on_transition = self.transitions.append
        self.forwarding = Forwarding({"jira": upstream})

    @property
    def node(self) -> Node:
        """The only node, or the first one."""
        return self.upstream.nodes[0]

    async def forward(
        self, operation: Operation | None = None, spent_seconds: float = 0, caller: FakeCaller | None = None
    ) -> Delivery:
        """Forward for a caller that has waited for so long already."""
        asks = caller or FakeCaller(asyncio.get_running_loop().time() - spent_seconds)
        upstream = self.forwarding.reserve(self.client)
        try:
            return await self.forwarding.forward(operation or make_operation(), self.client, RequestId("req-1"), asks)
        finally:
            upstream.release()

    @property
    def client(self) -> Client:
        return Client("jira", self.upstream.tenant, "okta-2027", "/Users/1", None)


@asynccontextmanager
async def path_to(tenant: Tenant, connect: Connect = connect_tcp) -> AsyncIterator[Path]:
    upstream = open_upstreams({"jira": tenant}, connect=connect)["jira"]
    try:
        yield Path(upstream)
    finally:
        await upstream.aclose(0)


@asynccontextmanager
async def path_to_script(
    script: Script, budget: float = 10, max_answer_bytes: int = 1 << 20, **changes: Any
) -> AsyncIterator[tuple[Path, ScriptedUpstream]]:
    async with (
        scripted_upstream(script) as upstream,
        path_to(make_tenant(upstream.url, budget, max_answer_bytes, **changes)) as path,
    ):
        yield path, upstream


@asynccontextmanager
async def path_to_scripts(*scripts: Script, **changes: Any) -> AsyncIterator[tuple[Path, list[ScriptedUpstream]]]:
    """A path to as many nodes as there are scripts."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(scripted_upstream(script)) for script in scripts]
        tenant = make_tenant(**{"upstream": [node.url for node in nodes], **changes})
        yield await stack.enter_async_context(path_to(tenant)), nodes


def assert_failed(delivery: Delivery, reason: Reason, stage: Stage, status: int | None = None) -> None:
    [attempt] = delivery.attempts
    assert (delivery.reason, attempt.stage, attempt.status) == (reason, stage, status), delivery
    assert delivery.note
