"""The ledger on disk: what was saved is there after a kill, and what cannot be read is said so."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.state.ledger import Ledger, Moment
from gateway.state.ledger_store import LedgerStore, LedgerUnavailable
from tests.state.disks import no_file_grows_beyond
from tests.state.ledgers import RULES, TENANT, execute, off, on, signed, wave, weigh
from tests.waiting import until

AT = Moment(guard=500.0, wall=900.0)


async def loaded(path: Path) -> Ledger:
    async with LedgerStore(path) as store:
        return store.load().ledger


async def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    ledger, hold_id = wave("abcdef")
    weigh(ledger, on("d"))
    ledger.approve(hold_id, signed(1.0), ["off-d"])
    ledger.raise_threshold(hold_id, signed(2.0), 30, 900.0)
    ledger.observe(TENANT, off("z"), RULES, 3.0)
    async with LedgerStore(tmp_path / "ledger.db") as store:
        assert store.load().moment is None
        await store.save(ledger.take_changes(), AT)
    async with LedgerStore(tmp_path / "ledger.db") as store:
        again = store.load()

    ledger.settle_all(AT.guard)
    assert again.ledger.rows() == ledger.rows()
    assert again.moment == AT


async def test_what_is_gone_is_gone_from_the_file_too(tmp_path: Path) -> None:
    ledger, hold_id = wave("abcd")
    async with LedgerStore(tmp_path / "ledger.db") as store:
        await store.save(ledger.take_changes(), AT)
        ledger.deny(hold_id, signed(1.0))
        ledger.expire(900_000.0)
        await store.save(ledger.take_changes(), AT)

    assert (await loaded(tmp_path / "ledger.db")).rows() == {}


async def test_odd_names_come_back_as_they_were(tmp_path: Path) -> None:
    ledger = Ledger()
    for person in ("zoë", "a\0b", "a", "", "\U0001f600", "'; --", '"'):
        execute(ledger, off(person))
    async with LedgerStore(tmp_path / "ledger.db") as store:
        await store.save(ledger.take_changes(), AT)

    assert (await loaded(tmp_path / "ledger.db")).rows() == ledger.rows()


async def test_the_time_alone_can_be_kept(tmp_path: Path) -> None:
    async with LedgerStore(tmp_path / "ledger.db") as store:
        await store.touch(AT)
        await store.touch(Moment(510.0, 910.0))

    async with LedgerStore(tmp_path / "ledger.db") as store:
        assert store.load().moment == Moment(510.0, 910.0)


async def test_many_savers_are_all_kept(tmp_path: Path) -> None:
    ledger = Ledger()
    async with LedgerStore(tmp_path / "ledger.db") as store, asyncio.TaskGroup() as tasks:
        for number in range(200):
            execute(ledger, off(f"p{number}"), float(number))
            tasks.create_task(store.save(ledger.take_changes(), AT))

    assert (await loaded(tmp_path / "ledger.db")).rows() == ledger.rows()


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    async with LedgerStore(tmp_path / "ledger.db") as store:
        await store.touch(AT)

        assert modes_in(tmp_path) == {0o600}


def modes_in(directory: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


KEEPS_SAVING = """
import asyncio, sys
from pathlib import Path
from gateway.state.ledger import Ledger, Moment
from gateway.state.ledger_store import LedgerStore
from tests.state.ledgers import RULES, off

async def main():
    ledger = Ledger()
    async with LedgerStore(Path(sys.argv[1])) as store:
        for number in range(1_000_000):
            weighed = ledger.weigh("jira", off(f"p{number}"), RULES, float(number) / 1000, f"hold-{number:08x}")
            await store.save(ledger.take_changes(), Moment(float(number), float(number)))
            print(number, flush=True)

asyncio.run(main())
"""


def last_saved_before_a_kill(path: Path) -> int:
    """Let a process save and say so, kill it in the middle, and hear what it said last."""
    with subprocess.Popen([sys.executable, "-c", KEEPS_SAVING, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 40:
                break
        process.send_signal(signal.SIGKILL)
        return max([40, *(int(line) for line in process.stdout.read().split("\n")[:-1])])


async def test_a_kill_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    last = last_saved_before_a_kill(path)
    async with LedgerStore(path) as store:
        again = store.load()

    assert again.moment is not None
    assert again.moment.guard >= last
    (view,) = again.ledger.holds()
    assert {write.task for write in view.writes} >= {f"off-p{number}" for number in range(3, last + 1)}
    # The three that passed were in flight: nobody can say, so they have lost access.
    assert sum(kind == "lost" for kind, _, _ in again.ledger.rows()) == 3


# What goes wrong ----------------------------------------------------------------------------------


async def test_a_disk_that_is_full_is_told_and_what_it_owes_goes_with_the_next_save(tmp_path: Path) -> None:
    ledger, hold_id = wave("abcd")
    async with LedgerStore(tmp_path / "ledger.db") as store:
        await store.save(ledger.take_changes(), AT)
        ledger.deny(hold_id, signed(1.0))
        with no_file_grows_beyond(4096):
            with pytest.raises(LedgerUnavailable, match="cannot be written"):
                await store.save(ledger.take_changes(), AT)
            assert store.problem is not None
        await store.touch(AT)
        assert store.problem is None

    assert (await loaded(tmp_path / "ledger.db")).rows() == ledger.rows()


async def test_a_disk_that_is_too_slow_is_told(tmp_path: Path) -> None:
    ledger, _ = wave("abcd")
    async with LedgerStore(tmp_path / "ledger.db", time_limit_seconds=0.0) as store:
        with pytest.raises(LedgerUnavailable, match="longer than 0 s"):
            await store.save(ledger.take_changes(), AT)
    await until(lambda: all(thread.name != "ledger" for thread in threading.enumerate()))

    # It was too late for whoever waited, and is kept nevertheless: the next start must know it.
    assert (await loaded(tmp_path / "ledger.db")).rows() == ledger.rows()


async def test_a_closed_ledger_keeps_nothing(tmp_path: Path) -> None:
    async with LedgerStore(tmp_path / "ledger.db") as store:
        pass

    with pytest.raises(LedgerUnavailable, match="not open"):
        await store.touch(AT)


OPENS = """
import asyncio, sys
from pathlib import Path
from gateway.state.ledger_store import LedgerStore

asyncio.run(LedgerStore(Path(sys.argv[1])).__aenter__())
"""


def complaint_of_another_process(path: Path) -> str:
    other = subprocess.run([sys.executable, "-c", OPENS, path], capture_output=True, text=True, check=False)
    return other.stderr


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with LedgerStore(path):
        assert "is in use by another process" in complaint_of_another_process(path)


async def refused(path: Path) -> str:
    with pytest.raises(LedgerUnavailable) as caught:
        await loaded(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look at" * 50, b"SQLite format 3\0" * 99]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)

    assert "move it away" in await refused(path)
    assert path.read_bytes() == content


async def test_a_torn_page_is_found_at_the_start(tmp_path: Path) -> None:
    path, ledger = tmp_path / "ledger.db", Ledger()
    async with LedgerStore(path) as store:
        for number in range(400):
            weigh(ledger, off(f"p{number}"))
        await store.save(ledger.take_changes(), AT)
    content = bytearray(path.read_bytes())
    content[9 * 4096 : 10 * 4096] = os.urandom(4096)
    path.write_bytes(content)

    assert "is damaged" in await refused(path)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE meta SET value = 2 WHERE name = 'version'", "has version 2"),
        ("DELETE FROM meta WHERE name = 'version'", "has version None"),
        ("DROP TABLE meta", "is damaged"),
        ("DROP TABLE rows", "is damaged"),
        ("UPDATE rows SET value = '{\"task\":7}' WHERE kind = 'write'", "is damaged"),
        ("UPDATE rows SET value = 'soon' WHERE kind = 'lost'", "is damaged"),
        ("UPDATE rows SET kind = 'other' WHERE kind = 'lost'", "unknown kind 'other'"),
        ("DELETE FROM rows WHERE kind = 'hold'", "is damaged"),
        ("UPDATE meta SET value = 'noon' WHERE name = 'guard'", "is damaged"),
    ],
)
async def test_what_no_ledger_of_this_version_wrote_is_refused(tmp_path: Path, statement: str, text: str) -> None:
    path = tmp_path / "ledger.db"
    async with LedgerStore(path) as store:
        await store.save(wave("abcd")[0].take_changes(), AT)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()

    assert text in await refused(path)


async def test_a_link_and_a_directory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "directory").mkdir()

    assert "no plain file" in await refused(tmp_path / "link")
    assert "no plain file" in await refused(tmp_path / "directory")
    assert not (tmp_path / "elsewhere").exists()


async def test_a_directory_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert "No such file or directory" in await refused(tmp_path / "nowhere" / "ledger.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    async with LedgerStore(tmp_path / "ledger.db"):
        pass
    os.chown(tmp_path / "ledger.db", 65534, 65534)

    assert "belongs to user 65534" in await refused(tmp_path / "ledger.db")


async def test_a_file_that_was_removed_keeps_nothing_and_that_is_said(tmp_path: Path) -> None:
    ledger, _ = wave("abcd")
    async with LedgerStore(tmp_path / "ledger.db") as store:
        (tmp_path / "ledger.db").unlink()
        with pytest.raises(LedgerUnavailable, match="the file is gone"):
            await store.save(ledger.take_changes(), AT)

        assert store.problem is not None
