"""The operators' page on the audit log's ways out: settings, classes and metrics are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gateway.audit.ocsf import VERSION
from gateway.metrics import Metrics
from gateway.settings.models import AuditSection, StdoutSection, SyslogSection
from gateway.sinks import sink, syslog

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit-export.md").read_text("utf-8")
EXAMPLE = (ROOT / "deploy" / "gateway.example.toml").read_text("utf-8")


def on_the_page() -> str:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def in_the_example() -> str:
    """The commented sections, as settings."""
    blocks = re.findall(r"^# \[audit\..*?(?=^(?!# )|\Z)", EXAMPLE, re.DOTALL | re.MULTILINE)
    return "".join(line.removeprefix("# ") for block in blocks for line in block.splitlines(keepends=True))


@pytest.mark.parametrize("text", [on_the_page(), in_the_example()], ids=["page", "example"])
def test_every_setting_is_shown_with_its_default(text: str) -> None:
    shown = AuditSection.model_validate(tomllib.loads(text)["audit"])

    assert shown.stdout == StdoutSection()
    assert shown.syslog is not None
    assert shown.syslog.model_fields_set == set(SyslogSection.model_fields)
    assert (shown.syslog.format, shown.syslog.facility) == ("json", "authpriv")


def test_every_metric_that_is_named_is_there() -> None:
    named = set(re.findall(r"scim_gateway_audit_\w+", PAGE))
    rendered = Metrics(["jira"], version="1").render()[0].decode()

    assert len(named) == 3
    assert {name for name in named if f"# TYPE {name} " not in rendered} == set()


def test_the_times_and_the_version_are_those_that_hold() -> None:
    assert f"OCSF {VERSION.removesuffix('.0')}\n" in PAGE
    assert f"lived on for {syslog.SETTLE_SECONDS:g} s after it" in PAGE
    assert f"up to {syslog.SETTLE_SECONDS:g} s of lines come again" in PAGE
    assert (sink.FIRST_WAIT_SECONDS, sink.LONGEST_WAIT_SECONDS) == (0.5, 60)
    assert syslog.UNACKNOWLEDGED_SECONDS < syslog.SETTLE_SECONDS
