"""The examples for Prometheus and Alertmanager: their own tools take them, and they fit the rules."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.deploy import servers
from tests.deploy.test_rules import ALERTS, RULES

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
PROMETHEUS = (DEPLOY / "prometheus.yml").read_text("utf-8")
ALERTMANAGER = (DEPLOY / "alertmanager.yml").read_text("utf-8")


def test_promtool_takes_the_example_for_prometheus(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "rules.yml", tmp_path)
    authority = tmp_path / "ca.pem"
    authority.touch()
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.replace("/etc/prometheus/scim-gateway-ca.pem", str(authority)))

    assert "SUCCESS: 1 rule files found" in servers.run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))


def test_amtool_takes_the_example_for_alertmanager() -> None:
    said = servers.run("amtool", "check-config", str(DEPLOY / "alertmanager.yml"))

    assert "3 inhibit rules" in said
    assert "2 receivers" in said


@pytest.mark.parametrize(("severity", "receiver"), [("page", "whoever-is-on-call"), ("ticket", "tickets")])
def test_an_alert_goes_to_whom_its_severity_says(severity: str, receiver: str) -> None:
    configuration = f"--config.file={DEPLOY / 'alertmanager.yml'}"
    said = servers.run("amtool", "config", "routes", "test", configuration, "alertname=X", f"severity={severity}")

    assert said.strip() == receiver


def test_the_rules_know_the_job_by_its_name() -> None:
    (job,) = re.findall(r"job_name: (\S+)", PROMETHEUS)

    assert set(re.findall(r'job="([^"]+)"', RULES)) == {job}


def test_what_is_inhibited_exists() -> None:
    patterns = re.findall(r'alertname=~?"([^"]+)"', ALERTMANAGER)

    assert patterns
    assert [p for p in patterns if not any(re.fullmatch(p, alert) for alert in ALERTS)] == []
