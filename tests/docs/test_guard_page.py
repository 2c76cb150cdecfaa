"""The operators' page on the guard: what it states in numbers, names and quotes is what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from statistics import median

import pytest

from gateway.metrics import Metrics
from gateway.refusal import Reason
from gateway.settings.models import AlertsSection, GuardSection
from gateway.state.ledger.limits import limit_of
from tests.okta.tasks import MAX_ATTEMPTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guard.md").read_text("utf-8")
EXAMPLE = (ROOT / "deploy" / "gateway.example.toml").read_text("utf-8")
HOUR = 3600


def fence(language: str) -> str:
    """The page's one block in a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def sections_in(text: str) -> tuple[GuardSection, AlertsSection]:
    read = tomllib.loads(text)
    return GuardSection(**read["tenants"]["jira"]["guard"]), AlertsSection(**read["alerts"])


def switched_on(text: str) -> str:
    """The example with its commented sections about the guard as settings."""
    blocks = re.findall(r"^# \[(?:tenants\.jira\.guard|alerts)\].*?(?=^(?!# )|\Z)", text, re.DOTALL | re.MULTILINE)
    return "".join(line.removeprefix("# ") for block in blocks for line in block.splitlines(keepends=True))


@pytest.mark.parametrize("text", [fence("toml"), switched_on(EXAMPLE)], ids=["page", "example"])
def test_every_setting_is_shown_with_its_default(text: str) -> None:
    guard, alerts = sections_in(text)
    shown = guard.model_copy(update={"directory_size": None, "exempt_groups": ()})

    assert shown == GuardSection()
    assert alerts.webhook_url is not None
    assert all(name in text for name in GuardSection.model_fields)


def test_the_limits_of_the_table_are_those_that_hold() -> None:
    rules = GuardSection()
    limits = [limit_of(rules.people, rules.share, size) for size in (1, 19, 20, 50, 100, 10_000, None)]

    assert limits == [3, 3, 4, 10, 20, 20, 20]
    assert "| may lose access within the hour | 3 | 4 | 10 | 20 | 20 |" in PAGE


def hours_until_the_next_attempt(approved_after_hours: int) -> list[float]:
    """Of tasks with each first wait that a hold gives, by the documented reading."""
    asked = approved_after_hours * HOUR
    attempts = [[first * (2**number - 1) for number in range(MAX_ATTEMPTS)] for first in range(600, 1201)]
    return [(next(at for at in task if at >= asked) - asked) / HOUR for task in attempts]


@pytest.mark.parametrize(("hours", "half", "every"), [(1, 0.75, 1.34), (16, 5.67, 16.34), (64, 21.6, 64.34)])
def test_tasks_return_as_soon_as_the_table_says(hours: int, half: float, every: float) -> None:
    waits = hours_until_the_next_attempt(hours)

    assert half - 0.02 < median(waits) <= half
    assert every - 0.2 < max(waits) <= every


def test_what_okta_shows_is_quoted_as_it_is_said() -> None:
    quoted = " ".join(line.removeprefix("> ") for line in PAGE.splitlines() if line.startswith("> "))

    assert quoted.startswith(f"{Reason.GUARD_HELD.detail} [{Reason.GUARD_HELD.slug}, hold-")


def test_every_metric_that_is_named_is_there() -> None:
    named = set(re.findall(r"scim_gateway_guard_\w+", PAGE))
    rendered = Metrics(["jira"], version="1").render()[0].decode()

    assert len(named) == 6
    assert {name for name in named if f"# TYPE {name} " not in rendered} == set()
