"""What is wrong with the settings: one line a mistake, each with its key and what would be right. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")  # TOML's bare keys


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. An error stops the start, a warning does not. The text never quotes a secret."""

    key: str  # "tenants.jira.path", "tenants.jira.credentials.0.expires"
    text: str  # what is wrong, and what would be right
    severity: Severity = "error"


class SettingsInvalid(Exception):
    """The settings cannot be used; `problems` holds everything that is wrong with them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.key}: {problem.text}" for problem in problems))
        self.problems = problems


def dotted(*parts: str | int) -> str:
    """A key as operators write it; a part that TOML would quote is quoted, so that no control character is shown."""
    return ".".join(text if _BARE_KEY.fullmatch(text) else json.dumps(text) for text in map(str, parts))


def lies_within(key: str, ancestors: Iterable[str]) -> bool:
    """Whether the key is one of the ancestors or below one."""
    return any(key == ancestor or key.startswith(f"{ancestor}.") for ancestor in ancestors)
