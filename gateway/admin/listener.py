"""A listener for operators: read-only HTTP on an address of its own, with or without TLS."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from aiohttp import web
from multidict import CIMultiDict

from gateway.admin.door import Bounds, Door, listening_sockets
from gateway.settings.models import HostPort

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FIELDS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class OperatorsListener:
    """Serves GET on some paths. `key` is the setting that its address comes from."""

    def __init__(
        self,
        key: str,
        endpoint: HostPort,
        routes: Mapping[str, Handler],
        *,
        tls: ssl.SSLContext | None = None,
        listening: socket.socket | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    ) -> None:
        """`listening` is a socket that somebody else has opened for us, instead of `endpoint`."""
        self._key, self._endpoint, self._routes, self._tls = key, endpoint, routes, tls
        self._listening = [listening] if listening is not None else []
        self._bounds = bounds
        self._runner: web.AppRunner | None = None
        self._door: Door | None = None
        self._tasks = asyncio.TaskGroup()
        self._accepting: asyncio.Task[None] | None = None
        self.port = endpoint.port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken, not ours, or needs a privilege; its text names the setting.
        """
        app = web.Application(middlewares=[self._only_operators])
        app.on_response_prepare.append(_without_banner)
        for path, handler in self._routes.items():
            app.router.add_get(path, handler)
        self._runner = runner = web.AppRunner(app, access_log=None, keepalive_timeout=30, shutdown_timeout=1)
        await runner.setup()
        try:
            self._listening = self._listening or await listening_sockets(self._endpoint)
        except OSError as error:
            await runner.cleanup()
            raise OSError(error.errno, _why_not(self._key, self._endpoint, error)) from error
        self.port = int(self._listening[0].getsockname()[1])
        if runner.server is None:  # never, after its setup
            raise RuntimeError
        self._door = Door(self._key, runner.server, self._tls, self._bounds)
        await self._tasks.__aenter__()
        self._accepting = self._tasks.create_task(self._door.run(self._listening))

    async def stop(self) -> None:
        """Give the port back."""
        if self._accepting is not None:
            self._accepting.cancel()
            await self._tasks.__aexit__(None, None, None)
        for listening in self._listening:
            listening.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def turned_away(self) -> int:
        """How many connections were closed at once, for there were too many."""
        return self._door.turned_away if self._door else 0

    @web.middleware
    async def _only_operators(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._door is not None:
            self._door.hear(request.protocol)
        # SECURITY: a web page whose name is rebound to this address must not read it through a browser. With TLS
        # none can: the certificate is not for its name.
        if self._tls is None and not names_this_listener(request.host, self._endpoint.host):
            return text_answer(
                421, "This listener is called by its IP address, by a name without a dot, or as its settings name it.\n"
            )
        try:
            return await handler(request)
        except web.HTTPException as error:
            return text_answer(error.status, f"{error.status} {error.reason}; / lists what is here\n")


def names_this_listener(host: str, configured: str) -> bool:
    """Whether a Host is an IP address, as configured, or a name without a dot, such as localhost or a container's.

    Only a name that its owner can point anywhere is of use for rebinding, and such a name has a dot.
    """
    name = re.sub(r":\d*\Z", "", host).strip("[]").lower()
    if "." not in name and ":" not in name:
        return bool(name)
    if name == configured.lower():
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def text_answer(status: int, text: str) -> web.Response:
    """An answer in plain text."""
    return answer(status, text.encode(), "text/plain; charset=utf-8")


def answer(status: int, body: bytes, content_type: str) -> web.Response:
    """An answer that no browser keeps, frames or guesses about."""
    return web.Response(status=status, body=body, headers=CIMultiDict(_FIELDS | {"Content-Type": content_type}))


def _why_not(key: str, endpoint: HostPort, error: OSError) -> str:
    why = os.strerror(error.errno) if error.errno else str(error)
    advice = "; `ss -ltnp` names the program that has it" if error.errno == errno.EADDRINUSE else ""
    return f"{key}: {endpoint}: {why}{advice}"


async def _without_banner(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)
