"""Names: looked up anew each time, shared by those who ask at once, and never in each other's way."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from gateway.stages.forwarding.names import resolve


@pytest.mark.parametrize("name", ["jira..internal", "x" * 64 + ".internal", "no-such-name.invalid"])
async def test_what_is_no_name_does_not_resolve(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def look_up(host: str, *words: Any, **options: Any) -> Any:
        if host.endswith(".invalid"):  # without asking a name server
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return real(host, *words, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(socket.gaierror):
        await resolve(name, 80)


async def test_an_address_is_its_own_name() -> None:
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]
    assert await resolve("::1", 80) == ["::1"]


async def test_a_name_that_hangs_is_asked_for_once_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, asked = threading.Event(), []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        if host.startswith("slow"):
            goes_on.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with asyncio.TaskGroup() as tasks:
        slow = [tasks.create_task(resolve("slow.internal", 80)) for _ in range(20)]
        for number in range(8):
            tasks.create_task(resolve(f"slow-{number}.internal", 80))
        assert await resolve("quick.internal", 80) == ["192.0.2.1"]
        slow[0].cancel()  # who gives up takes nothing from the others
        goes_on.set()

    assert [task.result() for task in slow[1:]] == [["192.0.2.1"]] * 19
    assert asked.count("slow.internal") == 1
    assert await resolve("slow.internal", 80) == ["192.0.2.1"]
    assert asked.count("slow.internal") == 2, "the next one asks anew"
