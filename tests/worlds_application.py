"""The embedded SCIM application in tests: how it is started, and what is in it, asked past any gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
from yarl import URL

from gateway.rehearsal.application import Application, application_running
from gateway.rehearsal.play import DIALECTS
from gateway.scim.versions import Version

APPLICATION_PATH = "/scim/demotenant01/v2"
APPLICATION_TOKEN = "inside-secret-of-the-embedded-application"
# The application speaks no other version.
DIALECTS_OF_2_0 = [name for name, script in DIALECTS.items() if script.manner.version is Version.V2_0]


@contextmanager
def running() -> Iterator[Application]:
    """An application for a fixture of module or session scope; it starts in about a second."""
    with application_running(path=APPLICATION_PATH, token=APPLICATION_TOKEN) as application:
        yield application


async def ask(application: Application, method: str, target: str, body: object = None) -> Any:
    """One request straight to the application; the decoded answer, None without a body. Fails on an error status."""
    fields = {"Authorization": f"Bearer {application.token}", "Content-Type": "application/scim+json"}
    url = URL(application.url + target, encoded=True)
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.request(method, url, json=body, headers=fields) as response,
    ):
        return await response.json(content_type=None) if await response.read() else None


async def names_in(application: Application) -> set[str]:
    """Every userName and displayName of users and groups there."""
    users = await ask(application, "GET", "/Users")
    groups = await ask(application, "GET", "/Groups")
    return {user["userName"] for user in users["Resources"]} | {group["displayName"] for group in groups["Resources"]}


async def empty(application: Application) -> None:
    """Deletes whatever is there, so that tests can share one application."""
    for collection in ("Groups", "Users"):
        for resource in (await ask(application, "GET", f"/{collection}"))["Resources"]:
            await ask(application, "DELETE", f"/{collection}/{resource['id']}")
