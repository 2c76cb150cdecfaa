"""The embedded application behaves like Kantega SSO's API server, and ends with who started it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import aiohttp
import pytest

from gateway.rehearsal.application import Application, ApplicationFailed, embedded_application
from tests.worlds_application import APPLICATION_PATH, APPLICATION_TOKEN, ask

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada.berg@example.com"}


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", APPLICATION_TOKEN, f"bearer {APPLICATION_TOKEN}x"])
@pytest.mark.parametrize("target", ["/Users", "/ServiceProviderConfig", "/nothing"])
async def test_without_the_secret_every_address_answers_as_kantega_does(
    application: Application, authorization: str | None, target: str
) -> None:
    fields = {} if authorization is None else {"Authorization": authorization}
    async with aiohttp.ClientSession() as session, session.get(application.url + target, headers=fields) as response:
        assert response.status == 401
        assert await response.json(content_type="application/scim+json") == {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": "401",
            "detail": "Not authorized for this operation",
        }


@pytest.mark.parametrize("path", ["/", "/v2/Users", "/scim/othertenant1/v2/Users", "/scim/demotenant01/v2x/Users"])
async def test_nothing_lives_outside_of_the_tenants_path(application: Application, path: str) -> None:
    fields = {"Authorization": f"Bearer {application.token}"}
    async with aiohttp.ClientSession() as session, session.get(application.origin + path, headers=fields) as response:
        assert response.status == 404


async def test_links_carry_the_inside_address_whatever_the_host_field_says(application: Application) -> None:
    fields = {"Authorization": f"Bearer {application.token}", "Host": "scim.example.com"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{application.url}/Users", headers=fields, json=USER) as response,
    ):
        made = await response.json(content_type=None)

        assert made["meta"]["location"] == f"{application.url}/Users/{made['id']}"
        assert response.headers["Location"] == made["meta"]["location"]


async def test_what_is_written_can_be_read(application: Application) -> None:
    made = await ask(application, "POST", "/Users", USER)

    assert (await ask(application, "GET", f"/Users/{made['id']}"))["userName"] == USER["userName"]


def test_the_secret_is_never_shown(shared_application: Application) -> None:
    assert APPLICATION_TOKEN not in repr(shared_application)


async def test_it_ends_with_its_block() -> None:
    async with embedded_application(path=APPLICATION_PATH, token=APPLICATION_TOKEN) as application:
        socket.create_connection(("127.0.0.1", application.port)).close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", application.port))


async def test_a_start_that_fails_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ApplicationFailed, match="ended at its start"):
            async with embedded_application(path=APPLICATION_PATH, token=APPLICATION_TOKEN, port=port):
                pass


PARENT = """
import sys
from tests.worlds_application import running
with running() as application:
    print(application.port, flush=True)
    sys.stdin.read()
"""


def test_it_does_not_outlive_a_parent_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        port = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.stderr.read()  # ends only when the application, which holds the same pipe, has ended

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
