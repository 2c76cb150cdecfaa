"""Values for the tests of forwarding, beside tests/worlds.py: operations, and a `Path` to a fake upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.exchange import Client, Delivery, Operation, Stage
from gateway.refusal import Reason
from gateway.scim.addresses import read_address
from gateway.settings.models import Tenant
from gateway.stages.forwarding import Forwarding, Upstream
from tests import worlds
from tests.upstreams import Script, ScriptedUpstream, json_answer, scripted_upstream
from tests.worlds import NOW

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "ada"}
OK = json_answer(USER)
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = b'{"userName":"ada"}'
MiB = 1 << 20


def make_tenant(
    url: str = "http://127.0.0.1:1", budget: float = 2, max_answer_bytes: int = MiB, **changes: Any
) -> Tenant:
    limits = {"budget_seconds": budget, "max_answer_bytes": max_answer_bytes, "concurrent": 4}
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
    """A Forwarding with one upstream, asked in one word."""

    def __init__(self, tenant: Tenant, upstream: Upstream | None = None) -> None:
        self.tenant = tenant
        self.upstream = upstream or Upstream(tenant)
        self.forwarding = Forwarding({"jira": self.upstream}, now=lambda: NOW)

    async def forward(self, operation: Operation | None = None, received_at: float = NOW) -> Delivery:
        client = Client("jira", self.tenant, "okta-2027", "/Users/1", None)
        fields = (("Cookie", "a=b"), ("Connection", "close"))
        request = worlds.request(received_at=received_at, fields=fields)
        return await self.forwarding.forward(operation or make_operation(), client, request)


@asynccontextmanager
async def path_to(tenant: Tenant, upstream: Upstream | None = None) -> AsyncIterator[Path]:
    path = Path(tenant, upstream)
    try:
        yield path
    finally:
        await path.forwarding.aclose()


@asynccontextmanager
async def path_to_script(
    script: Script, budget: float = 2, max_answer_bytes: int = 1 << 20, **changes: Any
) -> AsyncIterator[tuple[Path, ScriptedUpstream]]:
    async with (
        scripted_upstream(script) as upstream,
        path_to(make_tenant(upstream.url, budget, max_answer_bytes, **changes)) as path,
    ):
        yield path, upstream


def assert_failed(delivery: Delivery, reason: Reason, stage: Stage, status: int | None = None) -> None:
    [attempt] = delivery.attempts
    assert (delivery.reason, attempt.stage, attempt.status) == (reason, stage, status), delivery
    assert delivery.note
