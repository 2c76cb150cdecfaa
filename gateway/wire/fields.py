"""Header fields as they came: an ordered list in which a repeat stays visible. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class Fields:
    """Field lines in the order they came; values are text in which bytes above 0x7f are surrogate escapes."""

    pairs: tuple[tuple[str, str], ...]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, by its name without case (RFC 9110 section 5.1)."""
        folded = name.lower()
        return tuple(value for key, value in self.pairs if key.lower() == folded)

    def one(self, name: str) -> str | None:
        """The value of a field that may come at most once.

        Raises:
            Refusal: FIELD_MALFORMED when it is repeated: two readers might choose differently.
        """
        values = self.all(name)
        if len(values) > 1:
            raise Refusal(Reason.FIELD_MALFORMED, note=f"the field {name} is repeated")
        return values[0] if values else None
