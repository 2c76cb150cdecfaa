"""Scripts: who is played, and what they do, step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.rehearsal.dialects import Dialect
from gateway.rehearsal.messages import OKTA, Manner
from gateway.rehearsal.scene import Scene


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the table, and what is played for it; a text that it returns is said although it passed."""

    name: str
    play: Callable[[Scene], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Script:
    """One client: how it writes, what it does, and how it calls."""

    dialect: Dialect
    steps: tuple[Step, ...]
    manner: Manner = OKTA
