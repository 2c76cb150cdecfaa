"""What a visit finds out: one finding a check, and the whole of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Grade(Enum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw, and what to do about it; `check` is put in by whoever runs the checks."""

    grade: Grade
    seen: str
    mend: str = ""
    check: str = ""

    def named(self, check: str) -> Finding:
        return replace(self, check=check)

    def without(self, secrets: Iterable[str]) -> Finding:
        """SECURITY: what a server says may hold what it was sent."""
        seen = self.seen
        for secret in secrets:
            seen = seen.replace(secret, "<secret>")
        return replace(self, seen=seen)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A whole visit, its findings in the order of the chain."""

    findings: tuple[Finding, ...]

    def count(self, grade: Grade) -> int:
        return sum(finding.grade is grade for finding in self.findings)

    @property
    def has_faults(self) -> bool:
        return self.count(Grade.FAULT) > 0

    def as_json(self) -> dict[str, object]:
        """What `doctor --json` prints."""
        counts = {grade.value: self.count(grade) for grade in Grade}
        checks = [
            {"check": found.check, "grade": found.grade.value, "seen": found.seen, "mend": found.mend}
            for found in self.findings
        ]
        return {**counts, "checks": checks}


def ok(seen: str) -> Finding:
    return Finding(Grade.OK, seen)


def warning(seen: str, mend: str) -> Finding:
    return Finding(Grade.WARNING, seen, mend)


def fault(seen: str, mend: str) -> Finding:
    return Finding(Grade.FAULT, seen, mend)


def skipped(why: str) -> Finding:
    return Finding(Grade.SKIPPED, why)


def all_of(findings: Iterable[Finding], otherwise: str) -> Finding:
    """Findings about several things as one: the worst grade, and everything that is not ok; `otherwise` for none.

    What is ok is told only when all is.
    """
    found = tuple(findings)
    bad = [one for one in found if one.grade in (Grade.FAULT, Grade.WARNING)]
    if not bad:
        return ok("; ".join(one.seen for one in found) or otherwise)
    is_fault = any(one.grade is Grade.FAULT for one in bad)
    mends = dict.fromkeys(one.mend for one in bad)
    return Finding(Grade.FAULT if is_fault else Grade.WARNING, "; ".join(one.seen for one in bad), "; ".join(mends))
