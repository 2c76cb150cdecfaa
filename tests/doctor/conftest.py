"""What visits share: a real application behind the path and the secret of the settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.rehearsal.application import Application, application_running
from tests.worlds import PATH, UPSTREAM_TOKEN


@pytest.fixture(scope="package")
def application() -> Iterator[Application]:
    with application_running(path=PATH, token=UPSTREAM_TOKEN) as running:
        yield running
