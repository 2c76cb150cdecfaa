"""The operator's listener: health and metrics, read-only, plain HTTP, on an address of its own."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import web
from multidict import CIMultiDict

from gateway.metrics import Metrics
from gateway.settings.models import AdminSection

__all__ = ["Admin", "Check", "names_this_listener"]

_INDEX = """scim-gateway: for operators

/livez              the process answers
/readyz             it can serve; ?verbose lists every check; Accept: application/json as JSON
/metrics            for Prometheus
"""
_FIELDS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of /readyz. One that does not count is shown and leaves the instance ready."""

    ok: bool
    text: str = ""
    counts: bool = True


Checks = Callable[[], Mapping[str, Check]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Admin:
    """Health and metrics over HTTP."""

    def __init__(
        self, section: AdminSection, metrics: Metrics, checks: Checks, listening: socket.socket | None = None
    ) -> None:
        """`listening` is a socket that somebody else has opened for us."""
        self._section, self._metrics, self._checks, self._listening = section, metrics, checks, listening
        self._runner: web.AppRunner | None = None
        self.port = section.endpoint.port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken, not ours, or needs a privilege.
        """
        app = web.Application(middlewares=[self._only_operators])
        app.on_response_prepare.append(_without_banner)
        app.router.add_get("/", self._index)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/healthz", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = runner = web.AppRunner(app, access_log=None, keepalive_timeout=30, shutdown_timeout=1)
        await runner.setup()
        endpoint = self._section.endpoint
        if self._listening is not None:
            await web.SockSite(runner, self._listening).start()
        else:
            await web.TCPSite(runner, endpoint.host, endpoint.port, reuse_address=True).start()
        self.port = int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Give the port back."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _only_operators(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        # SECURITY: a web page whose name is rebound to this address must not read it through a browser.
        if not names_this_listener(request.host, self._section.endpoint.host):
            return _text(
                421, "This listener is called by its IP address, by a name without a dot, or as its settings name it.\n"
            )
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _text(error.status, f"{error.status} {error.reason}; / lists what is here\n")

    async def _index(self, _request: web.Request) -> web.Response:
        return _text(200, _INDEX)

    async def _livez(self, _request: web.Request) -> web.Response:
        return _text(200, "ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        checks = self._checks()
        ready = all(check.ok for check in checks.values() if check.counts)
        status = 200 if ready else 503
        if "application/json" in request.headers.get("Accept", ""):
            shown = {name: {"ok": c.ok, "counts": c.counts, "text": c.text} for name, c in checks.items()}
            return _answer(status, json.dumps({"ready": ready, "checks": shown}), "application/json")
        verbose = "verbose" in request.query or not ready
        lines = [_line(name, check) for name, check in checks.items()] if verbose else []
        return _text(status, "\n".join([*lines, "ready" if ready else "not ready", ""]))

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        body, content_type = self._metrics.render()
        return web.Response(body=body, headers=_FIELDS | {"Content-Type": content_type})


def _line(name: str, check: Check) -> str:
    mark = "[+]" if check.ok else "[-]" if check.counts else "[!]"
    state = "ok" if check.ok else "failed"
    text = " ".join(check.text.split())  # a library's error may hold a line break, and look like a check of ours
    aside = "" if check.ok or check.counts else " (ready all the same)"
    return f"{mark}{name} {state}{f': {text}' if text else ''}{aside}"


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


def _text(status: int, text: str) -> web.Response:
    return _answer(status, text, "text/plain")


def _answer(status: int, text: str, content_type: str) -> web.Response:
    return web.Response(status=status, text=text, content_type=content_type, headers=CIMultiDict(_FIELDS))


async def _without_banner(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)
