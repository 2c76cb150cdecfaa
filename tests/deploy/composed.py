"""compose.yaml as values, and what lies beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

DIRECTORY = Path(__file__).parents[2] / "deploy" / "compose"


def read() -> dict[str, Any]:
    """compose.yaml, with what its services take from elsewhere in the file put in its place."""
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(DIRECTORY / "compose.yaml")
    return content


def services() -> dict[str, dict[str, Any]]:
    """By name."""
    found: dict[str, dict[str, Any]] = read()["services"]
    return found


def settings() -> dict[str, Any]:
    """gateway.toml."""
    return tomllib.loads((DIRECTORY / "gateway.toml").read_text("utf-8"))
