"""The settings of the host that is visited, as far as they can be used. Blocking."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.doctor.visit import Case
from gateway.settings.mending import draft
from gateway.settings.models import Settings
from gateway.settings.origins import collect
from gateway.settings.problems import SettingsInvalid
from gateway.settings.reading import examine
from gateway.settings.secrets import resolve


def read_case(config: Path) -> Case:
    """Settings and their problems; what would keep a gateway from starting is no reason not to look on."""
    found = examine(config)
    return Case(found.settings or _as_written(config), found.problems)


def _as_written(config: Path) -> Settings | None:
    """Settings of a good form, whatever is wrong with the files that they name."""
    try:
        drafted = draft(collect(config, os.environ), config.parent.absolute())
    except SettingsInvalid:
        return None
    if drafted.settings is None or drafted.mended:
        return None
    settings, _ = resolve(drafted.settings)
    return settings
