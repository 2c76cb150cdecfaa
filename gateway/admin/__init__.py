"""What operators ask an instance: health and metrics, read-only. Metrics may have a listener of their own."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.admin.listener import OperatorsListener, answer, names_this_listener, text_answer
from gateway.metrics import Metrics
from gateway.settings.models import AdminSection, MetricsSection

__all__ = ["Admin", "Check", "names_this_listener"]

_INDEX = """scim-gateway: for operators

/livez              the process answers
/readyz             it can serve; ?verbose lists every check; Accept: application/json as JSON
"""
_METRICS_HERE = "/metrics            for Prometheus\n"
_METRICS_ELSEWHERE = "metrics             have a listener of their own: metrics.address\n"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of /readyz. One that does not count is shown and leaves the instance ready."""

    ok: bool
    text: str = ""
    counts: bool = True


Checks = Callable[[], Mapping[str, Check]]


class Admin:
    """Health and metrics over HTTP: on one listener, or on two when `elsewhere` has an address."""

    def __init__(
        self,
        section: AdminSection,
        metrics: Metrics,
        checks: Checks,
        listening: socket.socket | None = None,
        *,
        elsewhere: MetricsSection | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`listening` is a socket that somebody else has opened for us; `tls` is that of `elsewhere`."""
        self._metrics, self._checks = metrics, checks
        apart = elsewhere.endpoint if elsewhere else None
        self._has_metrics = apart is None
        routes = {"/": self._index, "/livez": self._livez, "/healthz": self._livez, "/readyz": self._readyz}
        if self._has_metrics:
            routes["/metrics"] = self._show_metrics
        self._listener = OperatorsListener("admin.address", section.endpoint, routes, listening=listening)
        self._apart = (
            OperatorsListener("metrics.address", apart, {"/metrics": self._show_metrics}, tls=tls) if apart else None
        )

    @property
    def port(self) -> int:
        """Of the health checks."""
        return self._listener.port

    @property
    def metrics_port(self) -> int:
        """Of the metrics."""
        return (self._apart or self._listener).port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: an address is taken, not ours, or needs a privilege; its text names the setting.
        """
        await self._listener.start()
        if self._apart is not None:
            try:
                await self._apart.start()
            except OSError:
                await self._listener.stop()
                raise

    async def stop(self) -> None:
        """Give the ports back."""
        await self._listener.stop()
        if self._apart is not None:
            await self._apart.stop()

    async def _index(self, _request: web.Request) -> web.Response:
        return text_answer(200, _INDEX + (_METRICS_HERE if self._has_metrics else _METRICS_ELSEWHERE))

    async def _livez(self, _request: web.Request) -> web.Response:
        return text_answer(200, "ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        checks = self._checks()
        ready = all(check.ok for check in checks.values() if check.counts)
        status = 200 if ready else 503
        if "application/json" in request.headers.get("Accept", ""):
            shown = {name: {"ok": c.ok, "counts": c.counts, "text": c.text} for name, c in checks.items()}
            return answer(status, json.dumps({"ready": ready, "checks": shown}).encode(), "application/json")
        verbose = "verbose" in request.query or not ready
        lines = [_line(name, check) for name, check in checks.items()] if verbose else []
        return text_answer(status, "\n".join([*lines, "ready" if ready else "not ready", ""]))

    async def _show_metrics(self, request: web.Request) -> web.Response:
        return answer(200, *self._metrics.render(request.headers.get("Accept", "")))


def _line(name: str, check: Check) -> str:
    mark = "[+]" if check.ok else "[-]" if check.counts else "[!]"
    state = "ok" if check.ok else "failed"
    text = " ".join(check.text.split())  # a library's error may hold a line break, and look like a check of ours
    aside = "" if check.ok or check.counts else " (ready all the same)"
    return f"{mark}{name} {state}{f': {text}' if text else ''}{aside}"
