"""`scim-gateway health`: asks a gateway's admin listener how it is; for containers' probes, which may have no curl."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass

import click

from gateway.cli.holds import printable

LIVE = "http://127.0.0.1:9443/livez"
MAX_ANSWER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Health:
    """What came of asking: the answer's status and text; or status 0, and why there is no answer."""

    status: int
    text: str

    @property
    def ok(self) -> bool:
        return self.status == 200


@click.command(name="health")
@click.option(
    "--url",
    envvar="SCIM_GATEWAY_HEALTH_URL",
    default=LIVE,
    show_default=True,
    show_envvar=True,
    help="/livez: the process answers. /readyz: it can serve. With admin.address of the settings before it.",
)
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(0.1, 60),
    default=3.0,
    show_default=True,
    help="Seconds to wait; less than the probe's own limit.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the answer's text.")
def command(*, url: str, timeout_seconds: float, as_json: bool) -> None:
    """Asks a gateway's admin listener how it is, and exits with 0 when all is well, else with 1.

    For the health checks of containers and for exec probes: it needs no other program, and no settings file.
    """
    if not url.startswith("http://"):
        raise click.BadParameter("the admin listener speaks plain HTTP: http://HOST:PORT/livez", param_hint="--url")
    health = ask(url, timeout_seconds)
    if as_json:
        click.echo(json.dumps({"ok": health.ok, "status": health.status, "text": health.text}))
    else:
        click.echo("\n".join(printable(line) for line in health.text.splitlines()), err=not health.ok)
    sys.exit(0 if health.ok else 1)


def ask(url: str, timeout_seconds: float) -> Health:
    """What the listener answers. It takes no proxy from the environment, and follows no redirect."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.HTTPHandler())
    try:
        with opener.open(url, timeout=timeout_seconds) as answer:
            return Health(answer.status, answer.read(MAX_ANSWER_BYTES).decode("utf-8", "replace").strip())
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Health(0, f"{url}: {_why(error)}")


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ConnectionRefusedError):
        return "nobody listens there; does admin.address of the settings say so?"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason) or type(reason).__name__
