"""The image: built for real, run by runc with the files of compose.yaml, and rehearsed against."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy import composed, images
from tests.deploy.images import Container, Image
from tests.ports import unused_port
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)  # the first build fetches what it builds with

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
START_SECONDS = 30
USER = 10001
MADE, STATE, LOGS = "/run/scim-gateway", "/var/lib/scim-gateway", "/var/log/scim-gateway"
SETTINGS = "/etc/scim-gateway/gateway.toml"


@pytest.fixture(scope="module")
def image() -> Image:
    return images.build("gateway")


@pytest.fixture(scope="module")
def application_image() -> Image:
    return images.build("application")


@dataclass(frozen=True, slots=True)
class Volumes:
    """What compose.yaml calls volumes, as directories of the image's user."""

    made: Path
    state: Path
    audit: Path

    @classmethod
    def below(cls, directory: Path) -> Volumes:
        volumes = cls(directory / "made", directory / "state", directory / "audit")
        for volume in (volumes.made, volumes.state, volumes.audit):
            volume.mkdir()
            os.chown(volume, USER, USER)
        return volumes


@pytest.fixture
def volumes(image: Image, tmp_path: Path) -> Volumes:
    """With what prepare.py makes in the image."""
    volumes = Volumes.below(tmp_path)
    mounts = {"/prepare.py:ro": composed.DIRECTORY / "prepare.py", MADE: volumes.made}
    done = images.run_once(image, tmp_path / "prepare", mounts, *composed.services()["prepare"]["entrypoint"])
    assert done.returncode == 0, done.stderr
    return volumes


@asynccontextmanager
async def application(image: Image, volumes: Volumes, directory: Path) -> AsyncIterator[int]:
    """The one of compose.yaml, by its name there but on a free port: that port."""
    port = unused_port()
    command = [str(port) if word == "5501" else word for word in composed.services()["application"]["command"]]
    mounts = {"/etc/hosts:ro": _hosts(directory), f"{MADE}:ro": volumes.made}
    with images.running(image, directory / "application", mounts, command=command) as container:
        await _says(container, f'"port": {port}')
        yield port


@asynccontextmanager
async def gateway(
    image: Image, volumes: Volumes, directory: Path, upstream: str = "http://application:1"
) -> AsyncIterator[tuple[Container, str]]:
    """One that serves, with the settings of compose.yaml but on free ports; and its base URL."""
    port, admin_port = unused_port(), unused_port()
    mounts = {
        "/etc/hosts:ro": _hosts(directory),
        f"{SETTINGS}:ro": composed.DIRECTORY / "gateway.toml",
        f"{MADE}:ro": volumes.made,
        STATE: volumes.state,
        LOGS: volumes.audit,
    }
    environment = {
        "SCIM_GATEWAY__GATEWAY__PUBLIC_URL": f"https://localhost:{port}",
        "SCIM_GATEWAY__LISTEN__ADDRESS": f"127.0.0.1:{port}",
        "SCIM_GATEWAY__ADMIN__ADDRESS": f"127.0.0.1:{admin_port}",
        "SCIM_GATEWAY__METRICS__ADDRESS": f"127.0.0.1:{unused_port()}",
        "SCIM_GATEWAY__TENANTS__DEMO__UPSTREAM": f'["{upstream}"]',
        "SCIM_GATEWAY_HEALTH_URL": f"http://127.0.0.1:{admin_port}/livez",
    }
    with images.running(image, directory / "gateway", mounts, environment) as container:
        await _says(container, '"ready"')
        yield container, f"https://localhost:{port}{composed.settings()['tenants']['demo']['path']}"


def _hosts(directory: Path) -> Path:
    file = directory / "hosts"
    file.write_text("127.0.0.1 localhost application\n")
    return file


async def _says(container: Container, text: str) -> None:
    await until(lambda: text in container.said() or container.process.poll() is not None, START_SECONDS)
    assert text in container.said(), container.said()


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run((PROGRAMS / "hadolint", images.CONTAINERFILE), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_image_says_how_it_wants_to_be_run(image: Image) -> None:
    config = image.config

    assert config["User"] == f"{USER}:{USER}"
    assert set(config["Volumes"]) == {STATE, LOGS}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "scim-gateway", "health"]
    assert config["Labels"]["org.opencontainers.image.version"] == _version()


def _version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def test_only_what_the_gateway_runs_with_is_installed(image: Image) -> None:
    (packages,) = image.files.glob("opt/scim-gateway/lib/python3.*/site-packages")
    installed = {entry.name.split("-")[0].lower() for entry in packages.glob("*.dist-info")}
    locked = (ROOT / "requirements" / "run.txt").read_text()
    wanted = {line.split("==")[0].replace("-", "_") for line in locked.splitlines() if "==" in line}

    assert installed == wanted | {"scim_gateway"}


@pytest.mark.parametrize(
    "place", ["tools", "source", "wheels", "empty", "etc/pip.conf", "etc/pip-ca.pem", "root/.cache"]
)
def test_nothing_of_the_building_is_left(image: Image, place: str) -> None:
    assert not (image.files / place).exists()


def test_the_files_of_the_gateway_belong_to_root_and_nobody_else_may_write_to_them(image: Image) -> None:
    files = [file for file in (image.files / "opt").rglob("*") if not file.is_symlink()]

    assert len(files) > 500
    assert [file for file in files if file.stat().st_uid != 0 or file.stat().st_mode & 0o022] == []


@pytest.mark.parametrize("place", [MADE, STATE, LOGS])
def test_a_new_volume_belongs_to_the_user(image: Image, place: str) -> None:
    status = (image.files / place.lstrip("/")).stat()  # a runtime gives a new volume the owner of what it covers

    assert (status.st_uid, status.st_gid) == (USER, USER)


@pytest.mark.parametrize("dialect", ["oin", "aiw"])
async def test_a_gateway_in_a_container_passes_the_rehearsal(
    image: Image, application_image: Image, volumes: Volumes, tmp_path: Path, dialect: str
) -> None:
    async with (
        application(application_image, volumes, tmp_path) as port,
        gateway(image, volumes, tmp_path, f"http://application:{port}") as (container, url),
    ):
        report = json.loads(await asyncio.to_thread(_rehearse, url, dialect, volumes))
        verified = container.run("scim-gateway", "audit", "verify", f"{LOGS}/audit")

    assert [step for step in report["steps"] if step["outcome"] != "passed"] == []
    assert report["passed"] == len(report["steps"]) > 25
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _rehearse(url: str, dialect: str, volumes: Volumes) -> str:
    secrets = ("--ca-file", volumes.made / "tls/ca.pem", "--token-file", volumes.made / "client-token")
    words = (PROGRAMS / "scim-gateway", "rehearse", "--url", url, "--dialect", dialect, *secrets, "--json")
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()[-1]


LOOK_AROUND = """
import json, os
def refusal(place):
    try:
        open(place + "/written", "x").close()
    except OSError as error:
        return error.strerror
    return ""
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
places = ("/", "/etc/scim-gateway", "/opt/scim-gateway", "/run/scim-gateway", "/var/lib/scim-gateway",
          "/var/log/scim-gateway")
print(json.dumps({"user": os.getuid(), "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
                  "writable": [place for place in places if not refusal(place)]}))
"""


async def test_it_has_no_rights_and_writes_to_its_volumes_alone(image: Image, volumes: Volumes, tmp_path: Path) -> None:
    async with gateway(image, volumes, tmp_path) as (container, _):
        done = container.run("python", "-c", LOOK_AROUND)

    assert json.loads(done.stdout) == {"user": USER, "capabilities": 0, "writable": [STATE, LOGS]}


async def test_its_health_check_says_whether_the_gateway_answers(
    image: Image, volumes: Volumes, tmp_path: Path
) -> None:
    check = image.config["Healthcheck"]["Test"][1:]
    async with gateway(image, volumes, tmp_path) as (container, _):
        well = container.run(*check)
        unwell = container.run(*check, "--url", f"http://127.0.0.1:{unused_port()}/livez")

    assert (well.returncode, well.stdout) == (0, "ok\n")
    assert unwell.returncode == 1


async def test_the_commands_that_ask_an_instance_work_in_its_container(
    image: Image, volumes: Volumes, tmp_path: Path
) -> None:
    async with gateway(image, volumes, tmp_path) as (container, _):
        asked = container.run("scim-gateway", "guard", "list", "--json")
        searched = container.run("scim-gateway", "audit", "search", f"{LOGS}/audit", "--json")

    assert asked.returncode == 0, asked.stderr
    assert (searched.returncode, searched.stderr) == (0, "")  # the index has a place


async def test_a_stop_is_a_clean_one(image: Image, volumes: Volumes, tmp_path: Path) -> None:
    async with gateway(image, volumes, tmp_path) as (container, _):
        code = container.stop(image.config["StopSignal"])
        said = container.said()

    assert code == 0, said
    assert json.loads(said.splitlines()[-1])["message"] == "stopped"
