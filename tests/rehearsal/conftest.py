"""One embedded application for all rehearsals; each test finds it empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.rehearsal.application import Application
from tests.worlds_application import empty, running


@pytest.fixture(scope="session")
def shared_application() -> Iterator[Application]:
    with running() as application:
        yield application


@pytest.fixture
async def application(shared_application: Application) -> AsyncIterator[Application]:
    yield shared_application
    await empty(shared_application)
