from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.settings.models import StdoutSection
from gateway.sinks import StdoutOutlet

LINE = b'{"seq":1,"event":"notice","notice":"start","time":"2027-01-15T08:00:00Z"}'


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def test_a_line_is_printed_as_it_stands(pipe: tuple[int, int]) -> None:
    outlet = StdoutOutlet(StdoutSection(), descriptor=pipe[1])
    async with outlet.open() as channel:
        await channel.send(outlet.frame(LINE))

    assert os.read(pipe[0], 1000) == LINE + b"\n"


async def test_a_line_is_printed_in_ocsf_when_that_is_asked_for(pipe: tuple[int, int]) -> None:
    outlet = StdoutOutlet(StdoutSection(format="ocsf"), descriptor=pipe[1])

    assert json.loads(outlet.frame(LINE))["class_uid"] == 6003


async def test_a_reader_that_stalls_holds_up_the_sink_alone(pipe: tuple[int, int]) -> None:
    outlet = StdoutOutlet(StdoutSection(), descriptor=pipe[1])
    content = b"".join(b"%06d" % number * 300 + b"\n" for number in range(200))  # a pipe holds 64 KiB
    read = bytearray()
    async with outlet.open() as channel, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(channel.send(content))
        for _ in range(20):
            await asyncio.sleep(0)  # the loop turns all the same
        assert not sending.done()
        while len(read) < len(content):
            read += await asyncio.to_thread(os.read, pipe[0], 10_000)

    assert bytes(read) == content


@pytest.mark.parametrize("turns", range(5))  # of the loop, between the room that the sink sees and its write
async def test_room_that_somebody_else_took_meanwhile_holds_up_the_sink_alone(
    pipe: tuple[int, int], turns: int
) -> None:
    os.write(pipe[1], b"." * (65_536 - 4096))
    async with StdoutOutlet(StdoutSection(), descriptor=pipe[1]).open() as channel, asyncio.TaskGroup() as tasks:
        tasks.create_task(channel.send(LINE))
        for _ in range(turns):
            await asyncio.sleep(0)
        with suppress(BlockingIOError):  # the sink was faster
            os.write(pipe[1], b"." * 4096)  # the gateway's own log, for instance
        for _ in range(5):
            await asyncio.sleep(0)
        content = await asyncio.to_thread(os.read, pipe[0], 100_000)

    content += os.read(pipe[0], 1000) if LINE not in content else b""
    assert content.endswith(LINE)
    assert os.get_blocking(pipe[1])


async def test_a_file_takes_everything(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        outlet = StdoutOutlet(StdoutSection(), descriptor=file.fileno())
        async with outlet.open() as channel:
            await channel.send(b"x" * 100_000 + b"\n")

    assert (tmp_path / "out").stat().st_size == 100_001


async def test_a_reader_that_is_gone_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        async with StdoutOutlet(StdoutSection(), descriptor=writing).open() as channel:
            with pytest.raises(BrokenPipeError):
                await channel.send(b"x\n")
    finally:
        os.close(writing)
