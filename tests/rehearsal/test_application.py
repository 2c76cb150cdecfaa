"""The embedded application behaves like Kantega SSO's API server, and ends with who started it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

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


def started(*words: str) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "gateway.rehearsal.application_process", *words)
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


async def test_it_can_be_called_by_another_name_and_take_its_secret_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{APPLICATION_TOKEN}\n")
    with started("--host", "127.0.0.2", "--token-file", str(file)) as process:
        assert process.stdout is not None
        greeting = json.loads(process.stdout.readline())
        found = await ask(Application(greeting["url"], greeting["port"], APPLICATION_TOKEN), "GET", "/Users")
        process.terminate()

    assert greeting["url"].startswith("http://127.0.0.2:")
    assert found["totalResults"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--token-file", "/nowhere/secret"), "--token-file /nowhere/secret cannot be read"),
        (("--token-file", "/dev/null"), "--token-file /dev/null is empty"),
        (("--host", "192.0.2.1", "--token-file", __file__), "192.0.2.1:0 cannot be listened on"),
        (("--port", "99999", "--token-file", __file__), "127.0.0.1:99999 cannot be listened on"),
    ],
)
def test_what_it_cannot_start_with_is_said_without_a_traceback(words: tuple[str, ...], told: str) -> None:
    with started(*words) as process:
        _, said = process.communicate(timeout=20)

    assert process.returncode == 2
    assert told in said
    assert "Traceback" not in said


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
