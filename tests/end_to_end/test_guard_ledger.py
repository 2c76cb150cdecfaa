"""A ledger that cannot be read or written: nobody loses access, all else is served, and operators see why."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.rehearsal.application import Application
from gateway.state.ledger import Moment
from gateway.state.ledger_store import LedgerStore
from tests.end_to_end.guarded import guarded, people, user

YEAR_SECONDS = 365 * 86400.0
IS_ROOT = os.geteuid() == 0


async def make_ledger(file: Path, at: float) -> None:
    """An empty one, kept last at a moment in Unix seconds."""
    file.parent.mkdir(mode=0o700)
    async with LedgerStore(file) as store:
        await store.touch(Moment(at, at))


def garbage(file: Path) -> None:
    file.write_bytes(b"not a ledger at all" * 500)


def another_version(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
    connection.close()


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def of_another_user(file: Path) -> None:
    os.chown(file, 65_534, 65_534)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (garbage, "is damaged (file is not a database): put a backup in its place, or move it away"),
        (another_version, "has version 99, and this gateway knows version 1"),
        (directory, "is no plain file; move it away and start again"),
        pytest.param(
            of_another_user,
            "belongs to user 65534",
            marks=pytest.mark.skipif(not IS_ROOT, reason="only root gives files away"),
        ),
    ],
)
async def test_without_a_readable_ledger_reductions_are_put_off_and_all_else_passes_until_it_is_moved_away(
    tmp_path: Path, real_application: Application, spoil: Callable[[Path], None], said: str
) -> None:
    ids = await people(real_application, *(f"{spoil.__name__}-{number}" for number in range(4)))
    file = tmp_path / "state" / "guard.sqlite3"
    await make_ledger(file, time.time())
    spoil(file)
    async with guarded(tmp_path, real_application) as it:
        first = await it.switch(ids[0], active=False)
        created = await it.ask("POST", "/Users", user(f"{spoil.__name__}-newcomer"))
        reactivated = await it.switch(ids[1], active=True)
        checks = (await it.operators("/readyz?verbose")).splitlines()
        asked = await it.guard("list")
        await it.metrics_that_show("scim_gateway_guard_up 0.0")
        untouched = ids[0] not in await it.away()
        await it.end(signal.SIGTERM)
    logged = [line for line in it.served.said if line["level"] == "error" and said in line["message"]]
    file.rename(tmp_path / "moved-away")
    async with guarded(tmp_path, real_application) as it:
        healed = await it.switch_off(*ids)

    assert (first.status, first.slug) == (429, "guard-unavailable")
    assert 600 <= int(first.fields["retry-after"]) <= 1200
    assert untouched
    assert (created.status, reactivated.status) == (201, 204)
    assert len(logged) == 1
    assert "whatever takes access from people is put off" in logged[0]["message"]
    assert checks[-1] == "ready"
    [check] = [line for line in checks if "guard failed" in line]
    assert said in check
    assert (asked.code, asked.out) == (1, "")
    assert said in asked.err
    assert healed == [204, 204, 204, 429]


async def test_a_full_disk_puts_reductions_off_lets_others_pass_and_is_recovered_from(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"full-{number}" for number in range(6)))
    async with guarded(tmp_path, real_application) as it:
        before = await it.switch_off(ids[0])
        log = tmp_path / "state" / "guard.sqlite3-wal"
        pid = it.served.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
        meanwhile = await it.switch(ids[1], active=False)
        created = await it.ask("POST", "/Users", user("full-newcomer"))
        ready = await it.operators("/readyz?verbose")
        untouched = ids[1] not in await it.away()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        recovered = await it.switch_off(*ids[1:5])
        well = await it.operators("/readyz?verbose")
        await it.end(signal.SIGKILL)
    async with guarded(tmp_path, real_application) as it:
        after = await it.switch_off(ids[5])

    assert before == [204]
    assert (meanwhile.status, meanwhile.slug) == (429, "guard-unavailable")
    assert untouched
    assert created.status == 201
    assert "[!]guard failed" in ready
    assert ready.endswith("ready\n")
    assert recovered == [204, 204, 429, 429], "and the one that was put off counts once"
    assert "[+]guard ok" in well
    assert after == [429]


async def test_a_wall_clock_that_was_set_back_a_year_takes_no_moment_from_who_decides(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"clock-{number}" for number in range(6)))
    began_at = time.time()
    await make_ledger(tmp_path / "state" / "guard.sqlite3", began_at + YEAR_SECONDS)  # by the last process's clock
    async with guarded(tmp_path, real_application) as it:
        before = await it.switch_off(*ids[:4])
        [hold] = await it.holds()
        said = await it.guard("approve", hold["id"], "--until", "+2h", "--reason", "a team leaves")
        after = await it.switch_off(*ids[3:])
        [decided] = await it.holds()

    assert before == [204, 204, 204, 429]
    assert began_at - 1 <= hold["tripped_at"] <= hold["tasks"][0]["last_at"] <= time.time() + 1
    assert hold["expires_at"] - hold["tripped_at"] == pytest.approx(72 * 3600)
    assert said.code == 0, said
    assert after == [204, 204, 204]
    assert began_at - 1 <= decided["decided_at"] <= time.time() + 1
