"""The rules for Prometheus: its own tools accept them, and each alert fires when it shall and not just below."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.metrics import PREFIX
from tests.deploy import servers
from tests.deploy.alert_cases import CASES, Series
from tests.test_metrics import metrics

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "prometheus" / "rules.yml"
RULES = FILE.read_text("utf-8")
ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")


def rule_test(alert: str, at: str, series: Series, *, fires: bool) -> dict[str, object]:
    """One of promtool's tests: whether the alert fires at a moment."""
    expected = [{"labels": "{}", "value": 1}] if fires else []
    asked = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": asked, "eval_time": at, "exp_samples": expected}],
    }


def test_promtool_finds_nothing_wrong() -> None:
    assert "SUCCESS" in servers.run("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(FILE))


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_it_shall_and_not_just_below(alert: str, tmp_path: Path) -> None:
    cases = [case for case in CASES if case.alert == alert]
    tests = [
        rule_test(alert, case.at, series, fires=fires)
        for case in cases
        for series, fires in ((case.fires, True), (case.quiet, False))
    ]
    takes_hours = any("h" in case.at for case in cases)
    written = tmp_path / "tests.json"  # JSON is YAML
    written.write_text(
        json.dumps(
            {
                "rule_files": [str(FILE)],
                "evaluation_interval": "5m" if takes_hours else "1m",
                "tests": tests,
            }
        )
    )

    assert cases
    assert "SUCCESS" in servers.run("promtool", "test", "rules", str(written))


def test_every_case_is_of_an_alert_and_no_name_comes_twice() -> None:
    assert sorted(ALERTS) == sorted({case.alert for case in CASES})


def test_every_alert_has_a_section_that_says_what_to_do_and_no_section_is_of_none() -> None:
    assert sorted(re.findall(r"^### (Scim\w+)$", OPERATIONS, re.MULTILINE)) == sorted(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_links_to_its_own_section_and_says_how_urgent_it_is(alert: str) -> None:
    text = RULES.split(f"- alert: {alert}\n")[1].partition("- alert: ")[0]

    assert re.search(r"severity: (page|ticket)\b", text)
    assert re.search(
        rf"runbook_url: https://docs\.example\.com/scim-gateway/operations\.md#{alert.lower()}$", text, re.M
    )


@pytest.mark.parametrize("alert", ALERTS)
def test_a_section_answers_what_a_sleepy_person_asks(alert: str) -> None:
    section = OPERATIONS.split(f"### {alert}\n")[1].partition("\n#")[0]

    assert [f"**{asked}**" in section for asked in ("Means.", "Users.", "Look.", "Do.", "Over.")] == [True] * 5


def test_every_metric_that_a_rule_asks_for_is_exposed() -> None:
    known = {family.name for family in metrics().families}
    known |= {f"{f.name}_{part}" for f in metrics().families if f.kind == "histogram" for part in ("bucket", "count")}
    asked = set(re.findall(rf"(?<!:){PREFIX}_\w+", RULES))

    assert len(asked) > 20
    assert asked - known == set()


def test_every_recording_that_an_alert_asks_for_is_made() -> None:
    made = set(re.findall(r"- record: (\S+)", RULES))

    assert set(re.findall(r"\bjob(?:_tenant)?:\w+:\w+", RULES)) == made


def test_every_alert_that_a_page_names_exists() -> None:
    for page in ("metrics.md", "operations.md", "guard.md", "audit.md", "audit-export.md"):
        named = set(re.findall(r"\bScim[A-Z]\w+", (ROOT / "docs" / page).read_text("utf-8")))
        assert named <= set(ALERTS), page
