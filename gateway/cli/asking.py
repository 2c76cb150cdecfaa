"""Asks a person, or takes what an option says; an answer that cannot work is refused at once with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import click

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know: the option that answers it, and how a person is asked. An optional one has a default."""

    option: str  # "--public-url"
    text: str
    default: str | None = None
    hidden: bool = False


@dataclass(slots=True)
class Asker:
    """Asks on standard error, so that standard output holds the result alone."""

    with_defaults: bool  # --yes: nobody is there
    warnings: list[str] = field(default_factory=list)

    def ask(self, question: Question, given: str | None, read: Callable[[str], Answer]) -> Answer:
        """The answer, as `read` understands it; that raises a ValueError which says what would be right.

        Raises:
            click.UsageError: an option's value cannot work, or is missing and nobody is there.
        """
        if given is not None or self.with_defaults:
            return self._take(question, given, read)
        while True:
            text = str(
                click.prompt(
                    question.text,
                    default=question.default,
                    hide_input=question.hidden,
                    show_default=bool(question.default),
                    err=True,
                )
            )
            try:
                return read(text.strip())
            except ValueError as error:
                click.echo(f"  It {error}.", err=True)

    def warn(self, text: str) -> None:
        """Something that may be wrong, and may be right soon."""
        self.warnings.append(text)
        click.echo(f"  (warning) {text}", err=True)

    def _take(self, question: Question, given: str | None, read: Callable[[str], Answer]) -> Answer:
        text = question.default if given is None else given
        if text is None:
            raise click.UsageError(f"{question.option} is needed with --yes: {question.text}")
        try:
            return read(text.strip())
        except ValueError as error:
            raise click.BadParameter(f"{error}", param_hint=question.option) from None
