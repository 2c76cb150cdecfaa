"""The command line: `scim-gateway`, one command a module, each loaded when it is called."""

import os
from pathlib import Path

# SECURITY: OpenSSL reads this once, when the first import of ssl or hashlib loads it. An operator's own file wins.
os.environ.setdefault("OPENSSL_CONF", str(Path(__file__).parent.parent / "server" / "openssl.cnf"))

from importlib import import_module

import click

from gateway import __version__

COMMANDS = {
    "init": "asks what is needed, and writes the settings",
    "serve": "runs the gateway",
    "check": "lists every problem of the settings",
    "token": "makes tokens for clients, shows whether they are used, and ends them",
    "status": "shows how a running instance is, what is wrong first",
    "demo": "runs a whole gateway with an application behind it",
    "rehearse": "plays a client's calls against a gateway",
    "doctor": "tests the whole chain as a client meets it, and says what to mend",
    "guard": "shows what is held, decides on it, and reports on it",
    "audit": "proves the audit log, searches it, and reports from it",
    "health": "asks a gateway how it is, for a container's health check",
}


class LazyGroup(click.Group):
    """Commands in modules of their own, so that `--help` and `token new` need not wait for a server's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"gateway.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="scim-gateway")
def main() -> None:
    """A SCIM gateway for the DMZ: authenticates, judges, records and forwards provisioning calls."""
