"""What the service manager is told, as systemd reads it."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from gateway.server.service_manager import HUNG_SECONDS, ServiceManager


@pytest.mark.parametrize("kind", ["a path", "an abstract name"])
def test_the_manager_is_told_in_lines_of_name_and_value(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "a path" else f"@scim-gateway-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0"))
        listening.settimeout(1)
        manager = ServiceManager.of({"NOTIFY_SOCKET": address}, 1)
        manager.say_ready("port 443")
        manager.say_reloading(12.345678)
        manager.say_stopping("stopping")

        assert [listening.recv(4096).decode() for _ in range(3)] == [
            "READY=1\nSTATUS=port 443",
            "RELOADING=1\nMONOTONIC_USEC=12345678\nSTATUS=reading the settings again",
            "STOPPING=1\nSTATUS=stopping",
        ]


def test_a_manager_that_does_not_listen_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 1).say_ready("x")
    ServiceManager().say_ready("x")

    assert caplog.text.count("cannot be told READY=1") == 1


def test_a_manager_that_takes_nothing_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        manager = ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "notify")}, 1)
        for _ in range(1000):
            manager.say_ready("x")

    assert "cannot be told READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_time_is_ours_if_it_is_meant_for_us(environment: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager.of(environment, 7).watchdog_seconds == seconds


async def test_the_manager_hears_at_half_its_time_that_all_is_well_unless_the_journal_hangs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    busy_seconds = iter([0.0, HUNG_SECONDS, HUNG_SECONDS + 1, HUNG_SECONDS + 2, 0.0])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        manager = ServiceManager(str(tmp_path / "notify"), watchdog_seconds=0.02)
        with pytest.raises(RuntimeError, match="StopIteration"):  # there are no more answers
            await manager.reassure(lambda: next(busy_seconds))
        listening.settimeout(0)
        heard = [listening.recv(100) for _ in range(3)]

        assert heard == [b"WATCHDOG=1"] * 3
        with pytest.raises(BlockingIOError):
            listening.recv(100)
    assert caplog.text.count("the journal hangs") == 1


async def test_a_manager_without_a_watchdog_is_not_told() -> None:
    async with asyncio.timeout(0.1):
        await ServiceManager("/nonexistent").reassure(lambda: 0.0)
