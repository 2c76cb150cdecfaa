"""`scim-gateway serve`: runs an instance until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click

from gateway.app import FeedInvalid, Instance
from gateway.cli.check import CONFIG_OPTION, EXIT_INVALID, show_problems
from gateway.cli.errors import told
from gateway.cli.logs import configure_logging
from gateway.journal import DirectoryInUse, KeyUnusable
from gateway.server.handover import HandoverInvalid
from gateway.server.service_manager import ServiceManager
from gateway.settings.models import Settings
from gateway.settings.problems import SettingsInvalid
from gateway.settings.reading import examine, read_settings

log = logging.getLogger(__name__)

EXIT_UNUSABLE = 1


@click.command(name="serve")
@CONFIG_OPTION
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What goes to standard output, one JSON object a line; info has a line for each request.",
)
@click.option(
    "--loop",
    type=click.Choice(["uvloop", "asyncio"]),
    default="uvloop" if sys.platform == "linux" else "asyncio",
    show_default=True,
    help="The event loop.",
)
def command(*, config: Path, log_level: str, loop: str) -> None:
    """Runs the gateway.

    SIGTERM and SIGINT end it after the requests under way; a second one ends it at once. SIGHUP reads the settings
    again, and takes them all or none. Takes listening sockets from systemd, and tells it how things are (Type=notify).
    """
    configure_logging(log_level)
    try:
        manager = ServiceManager.of(os.environ, os.getpid())  # before a loop opens descriptors of its own
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            runner.run(_serve(config, manager))
    except asyncio.CancelledError:
        log.warning("stopped at once, by a second signal")
        sys.exit(EXIT_UNUSABLE)
    except SettingsInvalid as error:
        show_problems(config, error.problems)
        sys.exit(EXIT_INVALID)
    except (DirectoryInUse, FeedInvalid, HandoverInvalid, KeyUnusable, OSError, RuntimeError) as error:
        log.critical("the gateway cannot start: %s", told(error))
        sys.exit(EXIT_UNUSABLE)


def _read(config: Path) -> Settings:
    """The settings; what speaks against them and does not keep a gateway from starting goes to the log.

    Raises:
        SettingsInvalid: with every error.
    """
    found = examine(config)
    if found.settings is None:
        raise SettingsInvalid(found.errors)
    for problem in found.problems:
        log.warning("the settings are used, but %s: %s", problem.key, problem.text)
    return found.settings


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The maker of an event loop, by its name."""
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - Linux only

    return uvloop.new_event_loop


async def _serve(config: Path, manager: ServiceManager) -> None:
    async def reread() -> Settings:
        return await asyncio.to_thread(read_settings, config)

    instance = Instance(_read(config), reread)
    instance.manager = manager
    stop = asyncio.Event()
    task = asyncio.current_task()

    def end() -> None:
        if stop.is_set() and task is not None:
            task.cancel("a second signal")
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGHUP, instance.request_reload)
    await instance.run(lambda _: _spare_the_collector(), stop)


def _spare_the_collector() -> None:
    """What was built at the start stays; looking through it again and again costs a twentieth of every request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
