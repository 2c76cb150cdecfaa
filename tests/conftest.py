"""What holds for every test: one that makes up its own examples fails for what it claims, never for a slow machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A machine that is held up for a fifth of a second would fail one example, and the whole run with it.
settings.register_profile("on any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("on any machine")
