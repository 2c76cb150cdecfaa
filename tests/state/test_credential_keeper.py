"""The credentials made at run time on disk: what was kept is there after a kill, and what was not is not in effect."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from gateway.state.credential_keeper import FILE_NAME, CredentialKeeper, CredentialsUnavailable
from gateway.state.credentials import Book, Owed, added, revoked
from gateway.state.last_use import LastUse, Use
from tests.state.credentials.books import EMPTY, end, tenants, wish
from tests.state.disks import no_file_grows_beyond
from tests.worlds import NOW, sha256

TENANTS = tenants()
ONE = added(EMPTY, TENANTS, wish("one"))
TWO = added(ONE, TENANTS, wish("two"))
ONES = ONE.made[0].fingerprint


def keeper(directory: Path, last_use: LastUse | None = None, now: float = NOW) -> CredentialKeeper:
    return CredentialKeeper(directory, last_use or LastUse(), lambda: now)


async def kept(directory: Path) -> Book:
    async with keeper(directory) as again:
        return again.book


async def test_what_was_kept_is_in_effect_and_there_again(tmp_path: Path) -> None:
    async with keeper(tmp_path) as first:
        await first.keep(ONE)
        await first.keep(TWO)
        assert first.book == TWO
        await first.keep(ONE)

    assert await kept(tmp_path) == ONE


async def test_the_file_is_for_its_owner_alone_and_holds_no_token(tmp_path: Path) -> None:
    async with keeper(tmp_path) as first:
        await first.keep(added(EMPTY, TENANTS, wish("one", token_sha256=sha256("the very token"))))
        modes, content = looked_at(tmp_path)

    assert modes == {0o600}
    assert sha256("the very token").encode() in content
    assert b"the very token" not in content


def looked_at(directory: Path) -> tuple[set[int], bytes]:
    files = list(directory.iterdir())
    return {stat.S_IMODE(file.stat().st_mode) for file in files}, b"".join(file.read_bytes() for file in files)


KEEPS_ONE = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.state.credential_keeper import CredentialKeeper
from gateway.state.last_use import LastUse, Use
from tests.state.test_credential_keeper import ONES, TWO

async def main():
    last_use = LastUse()
    async with CredentialKeeper(Path(sys.argv[1]), last_use, lambda: 1.0) as keeper:
        await last_use.remember(ONES, Use(1.0, "192.0.2.1"))
        await asyncio.gather(keeper.keep(TWO), keeper.keep_uses())
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_kill_right_after_it_loses_nothing_though_last_uses_were_kept_at_the_same_time(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KEEPS_ONE, str(tmp_path))

    assert await process.wait() == -9
    assert await kept(tmp_path) == TWO


async def test_what_cannot_be_kept_is_not_in_effect_and_does_not_come_later(tmp_path: Path) -> None:
    async with keeper(tmp_path) as first:
        await first.keep(ONE)
        with no_file_grows_beyond(4096), pytest.raises(CredentialsUnavailable, match="file of credentials"):
            await first.keep(TWO)
        assert first.book == ONE
        assert first.problem is not None
        await first.keep_uses()
        assert first.problem is None

    assert await kept(tmp_path) == ONE


async def test_an_end_is_in_effect_although_the_disk_fails_and_is_kept_when_it_works(tmp_path: Path) -> None:
    without = revoked(ONE, TENANTS, end("one"), even_the_last=False)
    async with keeper(tmp_path) as first:
        await first.keep(ONE)
        with no_file_grows_beyond(4096), pytest.raises(CredentialsUnavailable):
            await first.keep_in_any_case(without)
        assert first.book == without
        await first.keep_uses()

    assert await kept(tmp_path) == without


async def test_a_kill_forgets_nothing_that_is_owed_and_owes_nothing_that_is_settled(tmp_path: Path) -> None:
    owed = [Owed("credential-revoked", {"credential": name, "uid": 1000}) for name in ("one", "two")]
    (tmp_path / "state").mkdir()
    async with keeper(tmp_path / "state") as first:
        await first.keep_in_any_case(ONE, *owed)
        shutil.copytree(tmp_path / "state", tmp_path / "before")
        await first.settle(owed[0])
        shutil.copytree(tmp_path / "state", tmp_path / "after")

    for name, left in {"before": owed, "after": owed[1:]}.items():
        async with keeper(tmp_path / name) as again:
            assert (again.book, list(again.owed)) == (ONE, left)


async def test_a_last_use_outlives_a_restart_and_says_since_when_uses_were_counted(tmp_path: Path) -> None:
    before, after = LastUse(), LastUse()
    async with keeper(tmp_path, before) as first:
        await before.remember(ONES, Use(NOW + 5, "192.0.2.1"))
        await first.keep_uses()
        await before.remember(ONES, Use(NOW + 6, "192.0.2.2"))
    async with keeper(tmp_path, after, now=NOW + 1000) as again:
        assert after.uses == {ONES: Use(NOW + 6, "192.0.2.2")}
        assert again.counts_since == NOW


@pytest.mark.parametrize("statement", ["UPDATE rows SET value = '{}'", "UPDATE rows SET kind = 'other'"])
async def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, statement: str) -> None:
    async with keeper(tmp_path) as first:
        await first.keep(ONE)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with connection:
        connection.execute(statement)
    connection.close()

    with pytest.raises(CredentialsUnavailable, match=r"is damaged .* take the revoked ones out of the settings first"):
        await kept(tmp_path)
    with pytest.raises(CredentialsUnavailable, match="is damaged"):  # for it was let go, and left as it was
        await kept(tmp_path)
