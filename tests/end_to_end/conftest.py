"""What tests of the whole share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.rehearsal.application import Application, application_running
from tests.worlds import PATH, UPSTREAM_TOKEN


@pytest.fixture(scope="package")
def real_application() -> Iterator[Application]:
    """The embedded application behind the path and the secret that `processes.write_settings` gives a gateway."""
    with application_running(path=PATH, token=UPSTREAM_TOKEN) as application:
        yield application
