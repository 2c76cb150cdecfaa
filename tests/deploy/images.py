"""The container image as it is built and run for real: Debian's mmdebstrap, buildah and runc, fetched into build/.

No registry of images is needed: the base is Debian's own Python, unpacked by mmdebstrap and kept in build/. All of it
takes root; without that, or on another system, the test is skipped, and in CI it fails.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import debian

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
PLACE = "container"
BUILD = debian.BUILD / PLACE
PACKAGES = ("mmdebstrap", "buildah", "runc")
IN_THE_BASE = ("python3", "python3-venv", "ca-certificates", "dash", "coreutils")
BASE = "localhost/scim-gateway-base"
BUILD_SECONDS = 400
STOP_SECONDS = 20
AUTHORITIES = "/etc/pip-ca.pem"  # as the Containerfile mounts it

# Programs that were fetched find their libraries in the system's places, for buildah starts itself anew without our
# environment. Nobody outside of this mount namespace sees the system changed.
AT_HOME = 'mount -t overlay overlay -o "lowerdir=$0/usr:/usr" /usr && exec "$@"'


@dataclass(frozen=True, slots=True)
class Image:
    """What was built: its configuration, and its files in a directory."""

    config: Mapping[str, Any]
    files: Path


def build(target: str) -> Image:
    """A stage of the Containerfile, from what lies in the working tree."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        debian.missing("root", "an image is built and run by root here")
    _make_base()
    name, files = f"localhost/scim-gateway-{target}", BUILD / "files" / target
    shutil.rmtree(files, ignore_errors=True)
    _buildah(
        *("build", "--format=docker", "--isolation=chroot", "--layers", "--pull=never", f"--target={target}"),
        *(f"--signature-policy={_policy()}", f"--build-arg=BASE={BASE}", *_package_source()),
        *(f"--file={CONTAINERFILE}", f"--output=type=local,dest={files}", f"--tag={name}", str(ROOT)),
    )
    files.chmod(0o755)  # as an image's root is
    config = json.loads(_buildah("inspect", "--type=image", name))["Docker"]["config"]
    return Image(config, files)


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs."""

    name: str
    process: subprocess.Popen[bytes]
    said_file: Path

    def said(self) -> str:
        """What it said until now, on both of its outputs."""
        return self.said_file.read_text()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One more program in it, as its user."""
        return _said((*_runc(), "exec", self.name, *words))

    def stop(self, signal: str) -> int:
        """As a runtime does, with the image's signal; its exit code."""
        _said((*_runc(), "kill", self.name, signal.removeprefix("SIG")))
        return self.process.wait(STOP_SECONDS)


def run_once(image: Image, place: Path, mounts: Mapping[str, Path], *words: str) -> subprocess.CompletedProcess[str]:
    """A container that ends by itself; `words` in place of the image's entry point."""
    bundle = _bundle(image, place, mounts, words, {})
    return _said((*_runc(), "run", "--bundle", str(bundle), _name(place)))


@contextmanager
def running(
    image: Image,
    place: Path,
    mounts: Mapping[str, Path],
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
) -> Iterator[Container]:
    """A container of the image's entry point with its own command, or another, until the block ends."""
    words = (*image.config["Entrypoint"], *(command or image.config["Cmd"]))
    bundle = _bundle(image, place, mounts, words, environment or {})
    name, said = _name(place), place / "said"
    with said.open("wb") as output:
        run = (*_runc(), "run", "--bundle", str(bundle), name)
        process = subprocess.Popen(run, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield Container(name, process, said)
    finally:
        _said((*_runc(), "delete", "--force", name))
        process.wait(STOP_SECONDS)


def _name(place: Path) -> str:
    """Names of control groups are the whole machine's, and another run of the tests may go on beside this one."""
    return f"scim-gateway-tests-{os.getpid()}-{place.name}"


def _bundle(
    image: Image, place: Path, mounts: Mapping[str, Path], words: Sequence[str], environment: Mapping[str, str]
) -> Path:
    """What runc runs: the image's user, a root that cannot be written to, no capability; the host's network.

    A mount whose target ends in ":ro" cannot be written to either.
    """
    user, _, group = image.config["User"].partition(":")
    bound = [
        {
            "destination": target.removesuffix(":ro"),
            "type": "bind",
            "source": str(source),
            "options": ["bind", "nosuid", "nodev", "ro" if target.endswith(":ro") else "rw"],
        }
        for target, source in mounts.items()
    ]
    configuration = {
        "ociVersion": "1.0.2",
        "root": {"path": str(image.files), "readonly": True},
        "process": {
            "user": {"uid": int(user), "gid": int(group)},
            "args": list(words),
            "cwd": "/",
            "env": [*image.config["Env"], *(f"{name}={value}" for name, value in environment.items())],
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},  # noqa: S108 - the container's
            *bound,
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
    }
    place.mkdir()
    (place / "config.json").write_text(json.dumps(configuration))
    return place


def _make_base() -> None:
    """Debian's Python: unpacked once, and put into each new storage."""
    if _said((*_buildah_words(), "inspect", "--type=image", BASE)).returncode == 0:
        return
    for old in BUILD.glob("storage-*"):
        if old != _storage():
            shutil.rmtree(old)
    tree = BUILD / "base"
    if not (tree / "usr/bin/python3").exists():
        release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
        mmdebstrap = debian.call(PLACE, "mmdebstrap", *PACKAGES)
        shutil.rmtree(tree, ignore_errors=True)
        _must((*mmdebstrap, "--quiet", "--variant=extract", f"--include={','.join(IN_THE_BASE)}", release, str(tree)))
    container = _buildah("from", "scratch").strip()
    _buildah("add", "--quiet", container, f"{tree}/", "/")
    _buildah("commit", "--quiet", "--rm", f"--signature-policy={_policy()}", container, BASE)


def _storage() -> Path:
    """Where buildah keeps layers: another place for another Containerfile, and another week.

    For buildah a COPY with another --chown is the same layer; and nothing else removes old layers.
    """
    digest = hashlib.sha256(CONTAINERFILE.read_bytes()).hexdigest()[:12]
    return BUILD / f"storage-{datetime.now(UTC):%G-%V}-{digest}"


def _package_source() -> list[str]:
    """As this machine's pip is set up: its mirror, and its authority."""
    listed = _must((sys.executable, "-m", "pip", "config", "list")).splitlines()
    pairs = (line.partition("=")[::2] for line in listed if "=" in line)
    settings = {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in pairs}
    kept = {key: value for key, value in settings.items() if key in {"index-url", "proxy", "trusted-host", "timeout"}}
    secrets = []
    if "cert" in settings:
        kept["cert"] = AUTHORITIES
        secrets = [f"--secret=id=pip-ca.pem,src={settings['cert']}"]
    file = BUILD / "pip.conf"
    file.write_text("\n".join(("[global]", *(f"{key} = {value}" for key, value in kept.items()), "")))
    return [f"--secret=id=pip.conf,src={file}", *secrets]


def _policy() -> Path:
    """buildah asks whom to trust; the only image here is our own."""
    file = BUILD / "policy.json"
    file.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    return file


def _buildah(*words: str) -> str:
    return _must((*_buildah_words(), *words))


def _buildah_words() -> tuple[str, ...]:
    storage = (f"--root={_storage()}", f"--runroot={BUILD / 'run'}", "--storage-driver=overlay")
    call = debian.call(PLACE, "buildah", *PACKAGES)
    at_home = ("unshare", "--mount", "sh", "-c", AT_HOME, str(BUILD / "root")) if len(call) > 1 else ()
    return (*at_home, "buildah", *storage)


def _runc() -> tuple[str, ...]:
    return (*debian.call(PLACE, "runc", *PACKAGES), f"--root={BUILD / 'runc'}")


def _must(words: Sequence[str]) -> str:
    done = _said(words)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _said(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
