"""The keeper on a real disk: what it kept is there after a crash, and what it cannot read it says."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.state.keeper import FILE_NAME, Keeper
from gateway.state.ledger import Verdict
from gateway.state.ledger_store import LedgerUnavailable
from tests.state.disks import no_file_grows_beyond
from tests.state.ledgers import RULES, TENANT, off, weigh
from tests.worlds import NOW


class Time:
    """Both clocks, which the test moves."""

    def __init__(self, wall: float = NOW, monotonic: float = 50.0) -> None:
        self.wall, self.monotonic = wall, monotonic

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def keeper(self, directory: Path) -> Keeper:
        return Keeper(directory, lambda: self.wall, lambda: self.monotonic)


def counted(keeper: Keeper) -> int:
    """How many people another leaver would be counted with."""
    assert keeper.ledger is not None
    return keeper.ledger.weigh(TENANT, off("next"), RULES, keeper.now, "hold-1").counted - 1


def passes(keeper: Keeper, person: str) -> int:
    """Somebody's deactivation, in flight."""
    assert keeper.ledger is not None
    weighed = weigh(keeper.ledger, off(person), keeper.now)
    assert weighed.verdict is Verdict.PASS
    assert weighed.reservation is not None
    return weighed.reservation


def settle(keeper: Keeper, reservation: int, *, executed: bool) -> None:
    assert keeper.ledger is not None
    keeper.ledger.settle(TENANT, reservation, executed, keeper.now)


def spoil(directory: Path) -> Path:
    file = directory / FILE_NAME
    file.write_bytes(b"no database" * 1000)
    return file


async def test_what_was_in_flight_at_a_crash_counts_afterwards(tmp_path: Path) -> None:
    """A copy of the file as it is while the process lives is what kill -9 leaves."""
    living, crashed = tmp_path / "living", tmp_path / "crashed"
    living.mkdir()
    async with Time().keeper(living) as keeper:
        passes(keeper, "a")
        await keeper.keep()
        shutil.copytree(living, crashed)

    async with Time().keeper(crashed) as keeper:
        assert counted(keeper) == 1


@pytest.mark.parametrize(("executed", "people"), [(True, 1), (False, 0)])
async def test_a_clean_stop_keeps_what_was_settled_last(tmp_path: Path, executed: bool, people: int) -> None:
    async with Time().keeper(tmp_path) as keeper:
        reservation = passes(keeper, "a")
        await keeper.keep()
        settle(keeper, reservation, executed=executed)

    async with Time().keeper(tmp_path) as keeper:
        assert counted(keeper) == people


async def test_a_disk_that_fails_at_the_stop_does_not_keep_the_gateway_from_stopping(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = await Time().keeper(tmp_path).__aenter__()
    settle(keeper, passes(keeper, "a"), executed=True)
    with no_file_grows_beyond(4096):
        await keeper.__aexit__(None, None, None)

    assert "not kept to the last" in caplog.text


async def test_the_time_in_which_no_process_ran_empties_no_window(tmp_path: Path) -> None:
    time = Time()
    async with time.keeper(tmp_path) as keeper:
        settle(keeper, passes(keeper, "a"), executed=True)
        time.passes(10)
    time.wall, time.monotonic = time.wall + 50 * RULES.window_seconds, 3.0  # another boot
    async with time.keeper(tmp_path) as keeper:
        time.passes(RULES.window_seconds - 11)
        assert counted(keeper) == 1
        time.passes(2)
        assert counted(keeper) == 0


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
async def test_a_wall_clock_that_is_set_neither_empties_the_window_nor_fills_it(tmp_path: Path, jump: float) -> None:
    time = Time()
    async with time.keeper(tmp_path) as keeper:
        settle(keeper, passes(keeper, "a"), executed=True)
        time.wall += jump
        assert counted(keeper) == 1
        time.monotonic += RULES.window_seconds + 1
        assert counted(keeper) == 0


async def test_a_clock_set_back_between_two_starts_counts_as_no_time(tmp_path: Path) -> None:
    async with Time().keeper(tmp_path) as keeper:
        settle(keeper, passes(keeper, "a"), executed=True)
        before = keeper.now
        await keeper.keep()
    async with Time(wall=NOW - 7200).keeper(tmp_path) as keeper:
        assert keeper.now == before
        assert counted(keeper) == 1


async def test_nothing_new_costs_no_write_and_the_time_alone_is_kept_when_asked_for(tmp_path: Path) -> None:
    time = Time()
    async with time.keeper(tmp_path) as keeper:
        await keeper.keep(at_least_the_time=True)
        kept = (tmp_path / f"{FILE_NAME}-wal").read_bytes()
        await keeper.keep()
        assert (tmp_path / f"{FILE_NAME}-wal").read_bytes() == kept
        time.passes(60)
        await keeper.keep(at_least_the_time=True)
        assert (tmp_path / f"{FILE_NAME}-wal").read_bytes() != kept


async def test_a_ledger_that_cannot_be_read_is_no_ledger_and_says_why(tmp_path: Path) -> None:
    spoil(tmp_path)
    async with Time().keeper(tmp_path) as keeper:
        assert keeper.ledger is None
        assert keeper.problem is not None
        assert FILE_NAME in keeper.problem
        with pytest.raises(LedgerUnavailable, match="damaged"):
            await keeper.keep()
    assert (tmp_path / FILE_NAME).read_bytes().startswith(b"no database"), "people may still mend it"


async def test_a_ledger_that_is_in_use_is_no_ledger(tmp_path: Path) -> None:
    async with Time().keeper(tmp_path), Time().keeper(tmp_path) as second:
        assert second.ledger is None
        assert "in use" in (second.problem or "")


async def test_whoever_is_cut_short_while_it_is_kept_has_lost_nothing(tmp_path: Path) -> None:
    async with Time().keeper(tmp_path) as keeper:
        settle(keeper, passes(keeper, "a"), executed=True)
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(keeper.keep())
            await asyncio.sleep(0)  # it is asked for, and not there yet
            keeping.cancel()
    async with Time().keeper(tmp_path) as keeper:
        assert counted(keeper) == 1
