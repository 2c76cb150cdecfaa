"""What went wrong, as an operator reads it. Pure."""

from __future__ import annotations


def told(error: Exception) -> str:
    """Without Python's "[Errno 98]"; a file's name comes first."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
