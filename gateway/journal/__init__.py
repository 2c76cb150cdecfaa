"""The audit log as files: one line at a time, on disk before anybody relies on it."""

from gateway.journal.files import Incident
from gateway.journal.journal import Journal, JournalUnavailable, Line, written_out
from gateway.journal.keys import KeyUnusable
from gateway.journal.locks import DirectoryInUse, exclusive
from gateway.journal.segments import Rotation

__all__ = [
    "DirectoryInUse",
    "Incident",
    "Journal",
    "JournalUnavailable",
    "KeyUnusable",
    "Line",
    "Rotation",
    "exclusive",
    "written_out",
]
