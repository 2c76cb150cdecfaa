"""`scim-gateway demo`: a whole gateway on this machine, with a made certificate, token and SCIM application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from gateway.app import run_instance
from gateway.cli.client_steps import shown, steps_for
from gateway.rehearsal.application import Application, ApplicationFailed, embedded_application
from gateway.rehearsal.certificates import DevelopmentCertificates, make_development_certificates
from gateway.settings.models import Client
from gateway.settings.reading import read_settings
from gateway.settings.tokens import digest, make_token

TENANT_PATH = "/scim/demotenant01/v2"  # as Kantega SSO's: /scim/<tenant>/v2
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Demo:
    """What somebody needs to know to use a running demo."""

    directory: Path
    port: int
    admin_port: int
    token: str = field(repr=False)
    certificates: DevelopmentCertificates
    application: Application

    @property
    def public_url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def base_url(self) -> str:
        return self.public_url + TENANT_PATH

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.admin_port}"


@click.command(name="demo")
@click.option("--port", default=8443, show_default=True, help="The gateway's port on 127.0.0.1; 0: any free one.")
@click.option("--admin-port", default=9443, show_default=True, help="Of health and metrics; 0: any free one.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="For settings, certificates and audit log; new or empty. Default: a temporary one, removed at the end.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON once it is ready, instead of the page.")
def command(*, port: int, admin_port: int, directory: Path | None, as_json: bool) -> None:
    """Runs a whole gateway with a real SCIM application behind it, and says what to enter in Okta.

    Nothing outside of the directory is touched. Runs until it is stopped: Ctrl-C.
    """
    port, admin_port = choose_ports(port, admin_port)
    with _private_directory(directory) as place:

        def announce(demo: Demo) -> None:
            page = json.dumps(as_json_line(demo)) if as_json else page_of(demo, is_temporary=directory is None)
            click.echo(page)

        try:
            asyncio.run(_demonstrate(place, port, admin_port, announce))
        except ApplicationFailed as error:
            raise click.ClickException(str(error)) from error


def as_json_line(demo: Demo) -> dict[str, str]:
    """What `demo --json` prints."""
    return {
        "base_url": demo.base_url,
        "token": demo.token,
        "ca_file": str(demo.certificates.ca_file),
        "admin_url": demo.admin_url,
        "application_url": demo.application.url,
        "application_token": demo.application.token,
    }


def page_of(demo: Demo, *, is_temporary: bool) -> str:
    """What the screen shows, for somebody who has never seen any of this."""
    ca_file = shlex.quote(str(demo.certificates.ca_file))
    steps = steps_for(Client.OKTA, demo.base_url, demo.token)
    return f"""
The SCIM gateway is running, with a SCIM application behind it.

What to enter {steps.where}:

{shown(steps)}

Okta reaches public names with public certificates only; here, two lines to paste in another terminal.
As Okta's connection test:

  curl --cacert {ca_file} -H 'Authorization: Bearer {demo.token}' '{demo.base_url}/Users?startIndex=1&count=2'

Everything that Okta does, with throw-away users (also with --dialect aiw):

  SCIM_GATEWAY_TOKEN={demo.token} {_own_command()} rehearse --dialect oin --url {demo.base_url} --ca-file {ca_file}

Health and metrics        {demo.admin_url}/readyz?verbose   {demo.admin_url}/metrics
Settings and audit log    {demo.directory}{" (removed when the demo stops)" if is_temporary else ""}
The application behind    {demo.application.url}

Ctrl-C stops it.
"""


def settings_text(demo: Demo) -> str:
    """The settings file of the demo; relative paths start at the file."""
    return f"""\
[gateway]
public_url = "{demo.public_url}"
state_directory = "state"

[listen]
address = "{HOST}:{demo.port}"
certificate_file = {json.dumps(str(demo.certificates.certificate_file))}
key_file = {json.dumps(str(demo.certificates.key_file))}

[admin]
address = "{HOST}:{demo.admin_port}"

[audit]
directory = "audit"

[tenants.demo]
path = "{TENANT_PATH}"
client = "okta"
upstream = ["{demo.application.origin}"]
upstream_token_file = "application-token"

[tenants.demo.guard]
directory_size = 1000  # as if many people were in it: else the fourth one who leaves is a wave

[[tenants.demo.credentials]]
name = "demo"
token_sha256 = "{digest(demo.token)}"
"""


def choose_ports(port: int, admin_port: int) -> tuple[int, int]:
    """The ports to use, found out by binding both at once: 0 becomes a free one, a taken one is an error."""
    with socket.socket() as public, socket.socket() as admin:
        return _bound(public, port, "--port"), _bound(admin, admin_port, "--admin-port")


def _bound(probe: socket.socket, port: int, option: str) -> int:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
    try:
        probe.bind((HOST, port))
    except (OSError, OverflowError) as error:
        problem = error.strerror if isinstance(error, OSError) else "no such port"
        message = (
            f"port {port} cannot be used ({problem}): give another with {option} N, or {option} 0 for any free one"
        )
        raise click.ClickException(message) from None
    return int(probe.getsockname()[1])


@contextlib.contextmanager
def _private_directory(directory: Path | None) -> Iterator[Path]:
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="scim-gateway-demo-") as temporary:
            yield Path(temporary)
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise click.ClickException(f"{directory} is not empty: the demo overwrites nothing; give a new directory")
    directory.chmod(0o700)
    yield directory.absolute()


async def _demonstrate(directory: Path, port: int, admin_port: int, announce: Callable[[Demo], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with embedded_application(path=TENANT_PATH, token=secrets.token_urlsafe(32)) as application:
        demo = Demo(
            directory=directory,
            port=port,
            admin_port=admin_port,
            token=make_token(secrets.choice),
            certificates=make_development_certificates(directory / "tls", ("localhost", HOST)),
            application=application,
        )
        _write_privately(directory / "application-token", application.token + "\n")
        _write_privately(directory / "gateway.toml", settings_text(demo))
        await _run_gateway(directory / "gateway.toml", lambda: announce(demo), stop)


async def _run_gateway(settings_file: Path, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """The one place where the demo meets the instance: runs it until `stop` is set."""
    await run_instance(read_settings(settings_file), ready=lambda _: ready(), stop=stop)


def _write_privately(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def _own_command() -> str:
    """How to call us again from any shell, in any directory."""
    script = Path(sys.executable).with_name("scim-gateway")
    words = [str(script)] if script.exists() else [sys.executable, "-m", "gateway"]
    return shlex.join(words)
