"""Credentials beside those of the settings file: made, rotated and revoked while the gateway runs. Pure."""

from gateway.state.credentials.acts import (
    NotPossible,
    Wish,
    added,
    extended,
    revoked,
    rotated,
    successor_name,
)
from gateway.state.credentials.standing import Standing, standings
from gateway.state.credentials.values import Book, End, Fingerprint, Made, Owed, password_fingerprint, token_fingerprint

__all__ = [
    "Book",
    "End",
    "Fingerprint",
    "Made",
    "NotPossible",
    "Owed",
    "Standing",
    "Wish",
    "added",
    "extended",
    "password_fingerprint",
    "revoked",
    "rotated",
    "standings",
    "successor_name",
    "token_fingerprint",
]
