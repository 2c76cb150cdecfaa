"""What a rehearsal finds out: the outcome of each step, and the whole of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MAX_NOTE_CHARACTERS = 300


class Outcome(Enum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step. `note` says what was seen; `advice` what to do about a failure."""

    name: str
    outcome: Outcome
    milliseconds: float = 0.0
    note: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole rehearsal, its steps in the order they were played; the last is the cleaning up."""

    steps: tuple[StepResult, ...]

    def count(self, outcome: Outcome) -> int:
        return sum(step.outcome is outcome for step in self.steps)

    @property
    def passed(self) -> bool:
        """Whether every step ran and passed."""
        return all(step.outcome is Outcome.PASSED for step in self.steps)

    def as_json(self) -> dict[str, object]:
        """What `rehearse --json` ends with."""
        return {
            "passed": self.count(Outcome.PASSED),
            "failed": self.count(Outcome.FAILED),
            "not_run": self.count(Outcome.NOT_RUN),
            "steps": [
                {
                    "name": step.name,
                    "outcome": step.outcome.value,
                    "milliseconds": round(step.milliseconds, 1),
                    "note": step.note,
                    "advice": step.advice,
                }
                for step in self.steps
            ],
        }


def presentable(note: str, *, secrets: tuple[str, ...]) -> str:
    """A note fit for a screen: what a server says may hold our secrets, or a terminal's control characters."""
    for secret in secrets:
        note = note.replace(secret, "<secret>")
    shown = "".join(character if character.isprintable() else " " for character in note)
    return shown if len(shown) <= MAX_NOTE_CHARACTERS else shown[:MAX_NOTE_CHARACTERS] + "..."


def table_lines(step: StepResult) -> list[str]:
    """A step as lines of the table that people read; notes and advice stand below their step."""
    took = "" if step.outcome is Outcome.NOT_RUN else f"{step.milliseconds:.0f} ms"
    lines = [f"{step.outcome.value:<7} {took:>9}  {step.name}"]
    if step.note:
        lines.append(f"{'':19}{step.note}")
    if step.advice:
        lines.append(f"{'':19}What to do: {step.advice}")
    return lines


def closing_line(report: Report) -> str:
    """`24 passed, 0 failed, 0 not run`."""
    return ", ".join(f"{report.count(outcome)} {outcome.value}" for outcome in Outcome)
