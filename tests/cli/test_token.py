"""`scim-gateway token` against a real control socket with a real keyring behind it: what is made, shown and refused."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.credentials import Shown, credentials_of, last_use_of, page_of_credentials
from gateway.server.control import SOCKET_NAME, ControlSocket, user_name
from gateway.state.credentials import token_fingerprint
from gateway.state.last_use import Use
from tests.settings.files import replaced, write_good
from tests.test_keyring import Seat, seat
from tests.worlds import NOW, TOKEN, sha256

ME = user_name(os.geteuid())


@asynccontextmanager
async def instance(directory: Path) -> AsyncIterator[Seat]:
    """One that runs, with the present time and the state directory that good settings name."""
    state = directory / "state"
    state.mkdir(exist_ok=True)
    write_good(directory)
    async with seat(state, time.time()) as it, ControlSocket(state / SOCKET_NAME, it.keyring.handlers):
        yield it


async def token(directory: Path, *words: str) -> Result:
    config = ("--config", str(directory / "gateway.toml"))
    return await asyncio.to_thread(CliRunner().invoke, main, ["token", *words, *config])


def token_in(text: str) -> str:
    (found,) = re.findall(r"scimgw_\w+", text)
    return str(found)


def unfolded(text: str) -> str:
    return " ".join(text.split())


async def test_a_new_token_is_shown_once_and_lets_the_client_in(tmp_path: Path) -> None:
    async with instance(tmp_path) as it:
        ran = await token(tmp_path, "new", "--tenant", "jira", "--name", "okta-a", "--expires", "30d")
        listed = await token(tmp_path, "list")

        assert ran.exit_code == 0
        assert it.lets_in(token_in(ran.stdout)) == "okta-a"
        assert "It is okta-a of tenant jira, valid from now until " in ran.stdout
        assert "(in 30 d)" in ran.stdout
        assert token_in(ran.stdout) not in listed.stdout + json.dumps(it.notices())
        assert it.notices()[0]["by"] == ME


async def test_json_holds_the_token_and_what_became_of_it(tmp_path: Path) -> None:
    async with instance(tmp_path) as it:
        told = json.loads((await token(tmp_path, "new", "--tenant", "jira", "--json")).stdout)
        rotated = json.loads(
            (
                await token(tmp_path, "rotate", "--tenant", "jira", "--name", "okta-2027", "--overlap", "2d", "--json")
            ).stdout
        )

        assert it.lets_in(told["token"]) == told["name"]
        assert set(told) == {"token", "tenant", "name", "expires_at"}
        assert it.lets_in(rotated["token"]) == rotated["name"]
        assert rotated["replaces"] == "okta-2027"
        assert rotated["replaced_ends_at"] == pytest.approx(it.now + 2 * 86400)


async def test_a_rotation_says_when_the_old_one_ends_and_both_open_until_then(tmp_path: Path) -> None:
    async with instance(tmp_path) as it:
        ran = await token(tmp_path, "rotate", "--tenant", "jira", "--name", "okta-2027", "--new-name", "next")
        again = await token(tmp_path, "rotate", "--tenant", "jira", "--name", "okta-2027")
        more = await token(tmp_path, "extend", "--tenant", "jira", "--name", "okta-2027", "--overlap", "9d")

        assert (ran.exit_code, again.exit_code, more.exit_code) == (0, 1, 0)
        assert "okta-2027 ends on " in ran.stdout
        assert "(in 7 d): enter the new token in the client before." in ran.stdout
        assert (it.lets_in(TOKEN), it.lets_in(token_in(ran.stdout))) == ("okta-2027", "next")
        assert f"okta-2027 was rotated by {ME} already" in again.stderr
        assert "scimgw_" not in again.output
        assert "okta-2027 is valid until" in more.stdout
        assert "(in 9 d)" in more.stdout


async def test_a_revocation_of_the_last_one_wants_yes(tmp_path: Path) -> None:
    words = ("revoke", "--tenant", "jira", "--name", "okta-2027", "--reason", "leaked")
    async with instance(tmp_path) as it:
        ran = await token(tmp_path, *words)
        sure = await token(tmp_path, *words, "--yes")

        assert (ran.exit_code, sure.exit_code) == (1, 0)
        assert "is the last valid credential of jira" in ran.stderr
        assert "give --yes" in ran.stderr
        assert "okta-2027 of tenant jira opens nothing from now on." in sure.stdout
        assert "take its block out of there" in sure.stdout
        assert "This holds for this instance: if there are several, repeat it at each" in sure.stdout
        assert "not on record" not in sure.stdout
        assert it.lets_in(TOKEN) is None


async def test_a_revocation_that_is_not_on_record_yet_succeeds_and_says_so(tmp_path: Path) -> None:
    words = ("revoke", "--tenant", "jira", "--name", "okta-2027", "--yes")
    async with instance(tmp_path) as it:
        it.journal.is_failing = True
        ran = await token(tmp_path, *words)

        assert ran.exit_code == 0
        assert "okta-2027 of tenant jira opens nothing from now on." in ran.stdout
        assert "It is not on record yet, for the audit log fails" in ran.stdout
        assert it.lets_in(TOKEN) is None


async def test_list_shows_each_with_its_end_its_last_use_and_who_made_it(tmp_path: Path) -> None:
    async with instance(tmp_path) as it:
        await token(tmp_path, "rotate", "--tenant", "jira", "--name", "okta-2027", "--new-name", "next")
        await it.last_use.remember(token_fingerprint(sha256(TOKEN)), Use(it.now - 60, "192.0.2.1"))
        ran = await token(tmp_path, "list", "--tenant", "jira")
        told = json.loads((await token(tmp_path, "list", "--json")).stdout)

    old, new = ran.stdout.split("\n\n")
    assert "okta-2027  tenant jira  ENDING  (token of the settings)" in old
    assert "ago) from 192.0.2.1" in old
    assert f"by {ME}; its successor is next" in old
    assert "next  tenant jira  VALID  (token made at run time)" in new
    assert "last use  never" in new
    assert f"by {ME}, in the place of okta-2027" in new
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert len(told["credentials"]) == 2


BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("new", "--tenant", "jara"), 1, "there is no tenant jara; there are jira"),
    (("new", "--tenant", "jira", "--name", "okta-2027"), 1, "has a credential okta-2027 already (valid): give another"),
    (("new", "--tenant", "jira", "--name", "a b"), 2, "a name has letters"),
    (("new", "--name", "x\x1b[2J"), 2, "a name has letters"),
    (("new", "--tenant", "jira", "--expires", "2020-01-01"), 2, "has passed"),
    (("new", "--tenant", "jira", "--expires", "soon"), 2, "a span such as"),
    (("new", "--tenant", "jira", "--expires", "99999d"), 1, "within ten years"),
    (("rotate", "--tenant", "jira", "--name", "nobody"), 1, "no credential nobody; it has okta-2027"),
    (("rotate", "--tenant", "jira", "--name", "okta-2027", "--overlap", "0s"), 1, "`token revoke` ends"),
    (("rotate", "--tenant", "jira", "--name", "okta-2027", "--overlap", "often"), 2, "must be a span"),
    (("rotate", "--name", "okta-2027"), 2, "Missing option '--tenant'"),
    (("extend", "--tenant", "jira", "--name", "okta-2027"), 1, "was not rotated"),
    (("revoke", "--tenant", "jira", "--name", "nobody"), 1, "no credential nobody"),
    (("list", "--tenant", "jara"), 1, "there is no tenant jara"),
]


@pytest.mark.parametrize(("words", "code", "text"), BAD)
async def test_bad_input_changes_nothing_and_says_what_to_do(
    tmp_path: Path, words: tuple[str, ...], code: int, text: str
) -> None:
    async with instance(tmp_path) as it:
        ran = await token(tmp_path, *words)

        assert ran.exit_code == code
        assert text in unfolded(ran.stderr)
        assert "scimgw_" not in ran.output
        assert it.notices() == []


async def test_without_an_instance_it_says_what_to_do_and_shows_no_token(tmp_path: Path) -> None:
    write_good(tmp_path)
    ran = await token(tmp_path, "new", "--tenant", "jira")
    told = json.loads((await token(tmp_path, "new", "--tenant", "jira", "--json")).stdout)

    assert ran.exit_code == 1
    assert ran.stderr.startswith("Error: no instance runs with the state directory")
    assert ran.stdout == ""
    assert (told["ok"], set(told)) == (False, {"ok", "problem"})


def test_without_a_tenant_no_instance_is_asked_and_no_settings_are_read(tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        main, ["token", "new", "--config", str(tmp_path / "none.toml"), "--expires", "2099-01-01T00:00Z"]
    )

    assert ran.exit_code == 0
    assert f'token_sha256 = "{sha256(token_in(ran.stdout))}"' in ran.stdout
    assert "expires = 2099-01-01T00:00:00Z" in ran.stdout


async def test_check_says_which_of_the_settings_credentials_were_ended_at_run_time(tmp_path: Path) -> None:
    async with instance(tmp_path):
        untouched = await check(tmp_path)
        await token(tmp_path, "rotate", "--tenant", "jira", "--name", "okta-2027", "--new-name", "next")
        rotated = await check(tmp_path)
        await token(tmp_path, "revoke", "--tenant", "jira", "--name", "okta-2027")
        revoked = await check(tmp_path)
        write_good(tmp_path, replaced((sha256(TOKEN), sha256("another token"))))
        another = await check(tmp_path)
    stopped = await check(tmp_path)

    key, by = "tenants.jira.credentials.0", f"by {ME}"
    assert untouched == another == stopped == []
    assert [(one["key"], one["severity"]) for one in (*rotated, *revoked)] == [(key, "warning")] * 2
    assert rotated[0]["text"].startswith(f"okta-2027 was rotated {by} and ends on ")
    assert "its successor is next" in rotated[0]["text"]
    assert "okta-2027 opens nothing: the running instance knows it as revoked" in revoked[0]["text"]


async def check(directory: Path) -> list[dict[str, str]]:
    """The problems that `check` finds with credentials."""
    words = ["check", "--config", str(directory / "gateway.toml"), "--json"]
    ran = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert ran.exit_code == 0
    return [problem for problem in json.loads(ran.stdout)["problems"] if "credentials" in problem["key"]]


# The page -------------------------------------------------------------------------------------------


def shown(**told: Any) -> Shown:
    return Shown.of({"tenant": "jira", "name": "a", "state": "valid", "ends_at": NOW + 60, **told})


@pytest.mark.parametrize(
    ("one", "since", "text"),
    [
        (shown(last_used_at=NOW - 5, last_used_from="192.0.2.1"), NOW, "(5 s ago) from 192.0.2.1"),
        (shown(made_at=NOW, made_by="anna"), NOW - 5, "never"),
        (shown(made_at=NOW - 9, made_by="anna"), NOW - 5, "not since"),
        (shown(), NOW - 5, "when this gateway began to count"),
    ],
)
def test_never_is_said_only_of_what_was_watched_from_its_beginning(one: Shown, since: float, text: str) -> None:
    assert text in last_use_of(one, NOW, since)


@pytest.mark.parametrize("state", ["orphaned", "expired", "rotated", "revoked"])
def test_what_opens_nothing_says_so(state: str) -> None:
    page = page_of_credentials([shown(state=state, ends_at=NOW - 60)], NOW, NOW)

    assert f"{state.upper()}" in page
    assert "opens nothing" in page
    assert "(1 min ago)" in page


def test_what_was_told_cannot_steer_the_terminal() -> None:
    end = {"kind": "revoked", "by": "\x1b[2J", "reason": "a\nb", "decided_at": NOW}
    answer = {"credentials": [{"tenant": "jira", "name": "a", "state": "revoked", "end": end}, "no object"]}
    page = page_of_credentials(credentials_of(answer), NOW, None)

    assert "\x1b" not in page
    assert "a\nb" not in page


def test_no_credentials_are_shown_with_what_to_do() -> None:
    assert "token new --tenant NAME" in page_of_credentials([], NOW, NOW)
