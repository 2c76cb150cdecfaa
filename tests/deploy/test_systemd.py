"""deploy/systemd: systemd itself finds nothing wrong, and little to attack."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from gateway.server.handover import NAMES
from gateway.server.listener import BACKLOG
from gateway.settings.models import AuditSection, GatewaySection
from tests import debian
from tests.end_to_end.processes import serving
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.worlds import TOKEN

LIST = json_answer({"totalResults": 0, "Resources": []})
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


def test_a_start_may_read_two_of_the_largest_files_twice_and_one_once_more_from_a_slow_disk() -> None:
    largest = AuditSection.model_json_schema()["properties"]["max_segment_mib"]["maximum"]
    mib_per_second = 20

    assert int(values("scim-gateway.service", "TimeoutStartSec")[0]) > 5 * largest / mib_per_second


def test_the_services_user_can_enter_the_directory_of_its_settings() -> None:
    """systemd makes it for root, and gives it to nobody."""
    (mode,) = values("scim-gateway.service", "ConfigurationDirectoryMode")

    assert int(mode, 8) & 0o005 == 0o005
    assert not int(mode, 8) & 0o022


def system_calls_allowed() -> set[str]:
    """As systemd reads the unit: sets of sets, and "~" takes away."""
    listing = analyze("syscall-filter", "--no-pager").stdout
    members: dict[str, list[str]] = {}
    name = ""
    for line in listing.splitlines():
        if line.startswith("@"):
            members[name := line.strip()] = []
        elif line.strip() and not line.lstrip().startswith("#"):
            members[name].append(line.strip())

    def spread(one: str) -> set[str]:
        return set().union(*map(spread, members[one])) if one.startswith("@") else {one}

    allowed: set[str] = set()
    for value in values("scim-gateway.service", "SystemCallFilter"):
        meant = set().union(*map(spread, value.removeprefix("~").split()))
        allowed = allowed - meant if value.startswith("~") else allowed | meant
    return allowed


@pytest.fixture
def confined(tmp_path: Path) -> tuple[str, ...]:
    """What a command is called under to have what the unit leaves it."""
    calls = tmp_path / "system-calls"
    calls.write_text("\n".join(system_calls_allowed()))
    words = (sys.executable, "-m", "tests.deploy.confined", str(calls))
    ran = subprocess.run((*words, "true"), capture_output=True, text=True, timeout=30, check=False)
    if ran.returncode:
        debian.missing("a kernel from 6.3 on, with libseccomp", ran.stderr, "linux-image-amd64", "libseccomp2")
    return words


@pytest.mark.parametrize(
    "forbidden",
    ["import os; os.nice(1)", "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)"],
    ids=["a system call", "memory"],
)
def test_what_the_unit_forbids_is_forbidden_in_these_tests(confined: tuple[str, ...], forbidden: str) -> None:
    command = (*confined, sys.executable, "-c", forbidden)
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert "PermissionError" in ran.stderr


async def test_a_gateway_serves_reloads_and_stops_with_what_the_unit_leaves_it(
    tmp_path: Path, confined: tuple[str, ...]
) -> None:
    async with scripted_upstream(answers(LIST)) as upstream, serving(tmp_path, upstream.url, under=confined) as served:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
            session.get(f"{served.base_url}/Users", ssl=served.trusting()) as response,
        ):
            assert response.status == 200
        served.signal(signal.SIGHUP)
        await served.says("read again and are in use")
        served.signal(signal.SIGTERM)

        assert await served.ends() == 0
        assert not [line for line in served.said if line["level"] in ("error", "critical")]


def test_the_system_calls_are_those_of_a_service_without_power_over_the_machine() -> None:
    allowed = system_calls_allowed()

    assert {"execve", "fdatasync", "accept4", "fallocate"} <= allowed
    assert not {"mount", "setrlimit", "ptrace", "bpf", "reboot"} & allowed
