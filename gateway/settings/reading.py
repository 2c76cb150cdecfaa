"""Reading the settings: from every origin, judged whole, with every problem listed at once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.settings import checking, rules, secrets
from gateway.settings.mending import Draft, draft
from gateway.settings.models import Settings
from gateway.settings.origins import collect, variables_by_key
from gateway.settings.problems import Problem, SettingsInvalid

__all__ = ["Examination", "SettingsInvalid", "examine", "read_settings"]

_STARTS_ANYWAY = ".expires"  # one tenant's ended credential must not keep the others' gateway from starting


@dataclass(frozen=True, slots=True)
class Examination:
    """Settings, if they can be used, and everything there is to say about them."""

    settings: Settings | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


def examine(path: Path, environ: Mapping[str, str] | None = None, now: float | None = None) -> Examination:
    """Read the settings and look at everything they name: files, certificates, secrets. `now` in Unix seconds."""
    environ = os.environ if environ is None else environ
    variables = variables_by_key(environ)
    try:
        raw = collect(path, environ)
    except SettingsInvalid as error:
        return Examination(None, error.problems)
    drafted = draft(raw, path.parent.absolute())
    if drafted.settings is None:
        return Examination(None, tuple(_with_origin(problem, variables) for problem in drafted.problems))
    resolved, unread = secrets.resolve(drafted.settings)
    found = [*rules.judge(drafted.settings), *rules.secrets_are_apart(resolved)]  # the latter also in files
    later = [*found, *unread, *checking.look(resolved, time.time() if now is None else now)]
    standing = (*drafted.problems, *(problem for problem in later if drafted.still_stands(problem)))
    problems = _each_once(tuple(_with_origin(problem, variables) for problem in standing))
    return Examination(_usable(drafted, resolved, problems), problems)


def read_settings(path: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings to run with; relative paths start at the file, secrets are read.

    Raises:
        SettingsInvalid: with every error.
    """
    examination = examine(path, environ)
    if examination.settings is None:
        raise SettingsInvalid(examination.errors)
    return examination.settings


def _usable(drafted: Draft, resolved: Settings, problems: tuple[Problem, ...]) -> Settings | None:
    stops = [p for p in problems if p.severity == "error" and not p.key.endswith(_STARTS_ANYWAY)]
    return None if drafted.mended or stops else resolved


def _with_origin(problem: Problem, variables: Mapping[str, str]) -> Problem:
    """A value that is not in the file is looked for there in vain."""
    name = variables.get(problem.key.replace("-", "_").lower())
    return replace(problem, text=f"{problem.text} (set by {name})") if name else problem


def _each_once(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """One line a key and text; the form of a value comes before what else is wrong with it."""
    return tuple(dict.fromkeys(problems))
