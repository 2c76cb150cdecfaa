"""deploy/systemd: systemd itself finds nothing wrong, and little to attack."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gateway.server.handover import NAMES
from gateway.server.listener import BACKLOG
from gateway.settings.models import GatewaySection
from tests import debian

UNITS = Path(__file__).parents[2] / "deploy/systemd"
PROGRAM = "/opt/scim-gateway/bin/scim-gateway"
MOST_EXPOSED = 1.3


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = (*debian.call("edge", "systemd-analyze", "systemd"), *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """As shipped, but for the program, which this machine need not have."""
    for unit in UNITS.iterdir():
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    return tmp_path


def values(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)


def test_systemd_finds_nothing_wrong(units: Path) -> None:
    ran = analyze("verify", "--man=no", *map(str, sorted(units.iterdir())))

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_mistake_would_be_found(units: Path) -> None:
    (units / "scim-gateway.service").unlink()

    assert analyze("verify", "--man=no", str(units / "scim-gateway.socket")).returncode != 0


def test_there_is_little_to_attack(units: Path) -> None:
    ran = analyze("security", "--offline=true", "--no-pager", str(units / "scim-gateway.service"))
    found = re.search(r"Overall exposure level for scim-gateway.service: ([0-9.]+)", ran.stdout)

    assert found, ran.stdout + ran.stderr
    assert float(found[1]) <= MOST_EXPOSED


def test_the_units_fit_the_gateway() -> None:
    assert values("scim-gateway.socket", "FileDescriptorName") == [NAMES[0]]
    assert values("scim-gateway.socket", "Backlog") == [str(BACKLOG)]
    assert values("scim-gateway.service", "ExecStart") == [f"{PROGRAM} serve --config /etc/scim-gateway/gateway.toml"]
    assert values("scim-gateway.service", "RestartPreventExitStatus") == ["78"]
    drain_seconds = GatewaySection.model_fields["drain_seconds"].default
    assert int(values("scim-gateway.service", "TimeoutStopSec")[0]) > drain_seconds + 20
