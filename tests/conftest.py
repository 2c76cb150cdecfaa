"""What holds for every test: none fails for a machine that is slow, nor for the size of the whole run."""

from __future__ import annotations

import gc

from hypothesis import HealthCheck, settings

# A machine that is held up for a fifth of a second would fail one made-up example, and the whole run with it.
settings.register_profile("on any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("on any machine")


def pytest_collection_finish() -> None:
    """Spare the collector of garbage 11,000 tests and all they import: its looks at them stop a test for long."""
    gc.collect()
    gc.freeze()
