"""How many people may lose access within the window before it is a wave. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMALLEST_SHARE = 3  # of a directory of ten, a share of 0.2 would hold the third leaver of a year


@dataclass(frozen=True, slots=True)
class Rules:
    """A tenant's guard as its operator set it, and the size of its directory as far as it is known."""

    people: int = 20
    share: float = 0.2
    window_seconds: float = 3600.0
    hold_seconds: float = 72 * 3600.0
    directory: int | None = None


def limit_of(people: int, share: float, directory: int | None) -> int:
    """The most people who may lose access within the window; one more is a wave."""
    if directory is None:
        return people
    # 0.29 * 100 is 28.999999999999996: what the operator reads as 29 shall be 29.
    return min(people, max(SMALLEST_SHARE, math.floor(share * directory + 1e-9)))
