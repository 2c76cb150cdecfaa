from __future__ import annotations

import errno

import pytest

from gateway.cli.errors import told


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/log/reserve"), "/log/reserve: No space left on device"),
        (OSError(errno.EADDRINUSE, "Address already in use"), "Address already in use"),
        (OSError("no number"), "no number"),
        (RuntimeError("as it is"), "as it is"),
    ],
)
def test_an_error_is_told_without_its_number_and_with_its_file(error: Exception, expected: str) -> None:
    assert told(error) == expected
