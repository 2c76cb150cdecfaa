"""Waiting for what nobody announces, such as a count that another task keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object], within_seconds: float = 20.0) -> None:
    """Wait until a claim holds; a test that waits longer has failed, and not for a slow machine."""
    async with asyncio.timeout(within_seconds):
        while not holds():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.005)
