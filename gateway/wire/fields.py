"""Header fields as they came: an ordered list in which a repeat stays visible. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class Fields:
    """Field lines in the order they came; values are text in which bytes above 0x7f are surrogate escapes."""

    pairs: tuple[tuple[str, str], ...]
    by_name: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)  # names in lower case

    def __post_init__(self) -> None:
        by_name: dict[str, tuple[str, ...]] = {name.lower(): (value,) for name, value in self.pairs}
        if len(by_name) < len(self.pairs):
            by_name = _grouped(self.pairs)
        object.__setattr__(self, "by_name", by_name)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, by its name without case (RFC 9110 section 5.1)."""
        return self.by_name.get(name.lower(), ())

    def one(self, name: str) -> str | None:
        """The value of a field that may come at most once.

        Raises:
            Refusal: FIELD_MALFORMED when it is repeated: two readers might choose differently.
        """
        values = self.all(name)
        if len(values) > 1:
            raise Refusal(Reason.FIELD_MALFORMED, note=f"the field {name} is repeated")
        return values[0] if values else None


def read_fields(lines: Iterable[str]) -> Fields:
    """Read field lines, without their line ends, of which it is known that each is `name:value`."""
    # SECURITY: no pattern trims a value; one that backtracks takes seconds for a value full of spaces.
    return Fields(tuple([(name, value.strip(" \t")) for line in lines for name, _, value in [line.partition(":")]]))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name.lower(), []).append(value)
    return {name: tuple(values) for name, values in grouped.items()}
