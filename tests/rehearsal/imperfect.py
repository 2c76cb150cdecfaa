"""A proxy before the embedded application that breaks one rule at a time, as servers in the field do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
from aiohttp import web
from yarl import URL

from gateway.rehearsal.application import Application

CLIENT_TOKEN = "token-of-the-client-0123456789"
SCIM = "application/scim+json"


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    target: str  # below the base URL
    authorization: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """An answer; `body` None is a connection closed without one."""

    status: int
    body: bytes | None
    fields: dict[str, str] = field(default_factory=lambda: {"Content-Type": SCIM})


Forward = Callable[[Call], Awaitable[Told]]
Fault = Callable[[Call, Forward], Awaitable[Told]]


async def none(call: Call, forward: Forward) -> Told:
    return await forward(call)


def told(status: int, body: object) -> Told:
    return Told(status, json.dumps(body).encode())


def error(status: int, detail: str = "No") -> Told:
    schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"]
    return told(status, {"schemas": schemas, "status": str(status), "detail": detail})


def always(answer: Told) -> Fault:
    """Every request gets the same answer."""

    async def fault(call: Call, forward: Forward) -> Told:
        return answer

    return fault


def instead(method: str, start: str, answer: Told, *, executed: bool = False) -> Fault:
    """Requests of one kind get the same answer; whether they reach the application too is `executed`."""

    async def fault(call: Call, forward: Forward) -> Told:
        if call.method != method or not call.target.startswith(start):
            return await forward(call)
        if executed:
            await forward(call)
        return answer

    return fault


def asking(old: str, new: str) -> Fault:
    """Targets are rewritten on their way, as by proxies that decode or quote once too often."""

    async def fault(call: Call, forward: Forward) -> Told:
        return await forward(replace(call, target=call.target.replace(old, new)))

    return fault


def saying(old: str, new: str, *, method: str = "") -> Fault:
    """Answers are rewritten on their way; with `method` only those to it."""

    async def fault(call: Call, forward: Forward) -> Told:
        answer = await forward(call)
        if answer.body is None or (method and call.method != method):
            return answer
        return replace(answer, body=answer.body.replace(old.encode(), new.encode()))

    return fault


async def lookups_that_find_nothing_are_404(call: Call, forward: Forward) -> Told:
    answer = await forward(call)
    return (
        error(404, "Not found") if b'"totalResults": 0' in (answer.body or b"") and "filter" in call.target else answer
    )


async def filters_are_ignored(call: Call, forward: Forward) -> Told:
    return await forward(replace(call, target=call.target.partition("?")[0]))


async def errors_are_web_pages(call: Call, forward: Forward) -> Told:
    answer = await forward(call)
    if answer.status < 400:
        return answer
    return Told(answer.status, b"<html><h1>Error</h1></html>", {"Content-Type": "text/html"})


async def created_is_empty(call: Call, forward: Forward) -> Told:
    answer = await forward(call)
    return replace(answer, body=b"") if answer.status == 201 else answer


async def any_token_opens(call: Call, forward: Forward) -> Told:
    return await forward(replace(call, authorization=f"Bearer {CLIENT_TOKEN}"))


async def errors_echo_the_request(call: Call, forward: Forward) -> Told:
    return error(400, f"\x1b[2J\u202e did not like {call.authorization} {call.body.decode()[-60:]}")


@asynccontextmanager
async def imperfect(application: Application, fault: Fault = none) -> AsyncIterator[str]:
    """The base URL of an otherwise faultless proxy, which rewrites links as a gateway does; its token: CLIENT_TOKEN."""
    async with aiohttp.ClientSession() as session:

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            base = f"http://{request.host}"

            async def forward(call: Call) -> Told:
                if call.authorization != f"Bearer {CLIENT_TOKEN}":
                    return error(401)
                fields = {"Authorization": f"Bearer {application.token}", "Content-Type": SCIM}
                url = URL(application.url + call.target, encoded=True)
                async with session.request(call.method, url, data=call.body or None, headers=fields) as answer:
                    body = (await answer.read()).replace(application.url.encode(), base.encode())
                    return Told(answer.status, body)

            authorization = request.headers.get("Authorization", "")
            answer = await fault(Call(request.method, request.raw_path, authorization, await request.read()), forward)
            if answer.body is None and request.transport is not None:
                request.transport.close()
            return web.Response(status=answer.status, body=answer.body or None, headers=answer.fields)

        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()
