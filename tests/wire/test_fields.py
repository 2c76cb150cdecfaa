"""Fields: found without case, and a repeat is never hidden."""

from __future__ import annotations

import pytest

from gateway.refusal import Reason, Refusal
from gateway.wire.fields import Fields

FIELDS = Fields((("Accept", "a"), ("ETAG", "1"), ("accept", "b")))


def test_every_value_of_a_field_is_found_in_order_and_without_case() -> None:
    assert FIELDS.all("ACCEPT") == ("a", "b")


@pytest.mark.parametrize(("name", "value"), [("etag", "1"), ("If-Match", None)])
def test_a_field_that_comes_once_or_never_has_one_value(name: str, value: str | None) -> None:
    assert FIELDS.one(name) == value


def test_a_repeated_field_is_refused_where_one_is_due() -> None:
    with pytest.raises(Refusal) as refused:
        FIELDS.one("Accept")

    assert refused.value.reason is Reason.FIELD_MALFORMED
