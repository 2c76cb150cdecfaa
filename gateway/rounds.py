"""What goes on beside the requests for the guard's sake: its alerts, its books, and the sizes of directories.

None of it may end the gateway, whatever goes wrong in it: people could neither join nor sign in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING

from gateway.state.ledger_store import LedgerUnavailable

if TYPE_CHECKING:
    from gateway.app import Instance

log = logging.getLogger(__name__)

DIRECTORY_SECONDS = 5.0  # between two looks at which directories are due
KEEP_SECONDS = 15.0
GRACE_SECONDS = 300.0  # after the start: a clock that is far ahead may be set right before a hold ends by it
WEBHOOK_PAUSE_SECONDS = 15.0  # after a fault of ours


def of_the_guard(instance: Instance) -> tuple[Coroutine[None, None, None], ...]:
    """Each runs until it is cancelled."""
    return _tell_events(instance), _keep_books(instance), _count_directories(instance), _tell_webhook(instance)


async def _tell_events(instance: Instance) -> None:
    while True:
        event = await instance.guard_events.get()
        try:
            await instance.desk.tell(event)
        except Exception:
            log.exception("an alert could not be told", extra={"tenant": event.tenant_name})


async def _keep_books(instance: Instance) -> None:
    """What the guard settled since its last write goes on disk; holds that nobody decided on in time end."""
    began_at = asyncio.get_running_loop().time()
    while instance.keeper.ledger is not None:
        await asyncio.sleep(KEEP_SECONDS)
        try:
            if asyncio.get_running_loop().time() - began_at > GRACE_SECONDS:
                await instance.desk.expire()
            await instance.keeper.keep(at_least_the_time=True)
        except LedgerUnavailable as error:
            log.error("the guard's ledger: %s", error)  # noqa: TRY400 - says all
        except Exception:
            log.exception("the guard's books could not be kept in order")


async def _count_directories(instance: Instance) -> None:
    while True:
        async with asyncio.TaskGroup() as questions:
            for name in instance.guarding.directories.due(instance.settings.tenants):
                questions.create_task(_count_directory(instance, name))
        await asyncio.sleep(DIRECTORY_SECONDS)


async def _count_directory(instance: Instance, name: str) -> None:
    try:
        await instance.guarding.directories.learn(name, partial(instance.ask, name))
    except Exception:  # the guard goes by `people` alone then
        log.exception("the size of a directory could not be learned", extra={"tenant": name})


async def _tell_webhook(instance: Instance) -> None:
    while instance.webhook is not None:
        try:
            await instance.webhook.run()
        except Exception:
            log.exception("the webhook failed")
        await asyncio.sleep(WEBHOOK_PAUSE_SECONDS)
