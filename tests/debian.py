"""Debian's packages for tests: fetched into build/ and unpacked there, without root and without a service.

apt-get resolves and checks them, dpkg unpacks them; nothing of the system is touched. Without them a test is skipped,
and in CI it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

BUILD = Path(__file__).parent.parent / "build"
FETCH_SECONDS = 300


def fetch(place: str, *packages: str) -> str:
    """Into build/`place`/root, with what they depend on and the system lacks; what went wrong, "" for nothing."""
    fetched = BUILD / place
    if shutil.which("apt-get") is None:
        return "there is no apt-get to fetch it with"
    for directory in ("lists/partial", "cache/archives/partial", "root"):
        (fetched / directory).mkdir(parents=True, exist_ok=True)
    ours = (f"Dir::State::lists={fetched}/lists", f"Dir::Cache={fetched}/cache")
    options = [word for option in (*ours, "Debug::NoLocking=1", "APT::Sandbox::User=root") for word in ("-o", option)]
    download = ("--quiet", "--yes", "--no-install-recommends", "--download-only", "install", *packages)
    try:
        _run("apt-get", *options, "--quiet", "update")
        _run("apt-get", *options, *download)
        for archive in sorted((fetched / "cache/archives").glob("*.deb")):
            _run("dpkg", "--extract", str(archive), str(fetched / "root"))
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return ""


def find(place: str, program: str, *packages: str) -> str:
    """A program's path: the system's, else the one that was fetched with `packages`; else the test ends here."""
    own = shutil.which(program)
    if own:
        return own
    file = BUILD / place / "root/usr/bin" / program
    problem = "" if file.is_file() else fetch(place, *packages)
    return str(file) if file.is_file() else missing(program, problem, *packages)


def missing(what: str, problem: str, *packages: str) -> NoReturn:
    """Skip the test; in CI, fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not here: {problem}")
    pytest.skip(f"install {' and '.join(packages)}: {problem}")


def _run(*words: str) -> None:
    subprocess.run(words, capture_output=True, timeout=FETCH_SECONDS, check=True)


def call(place: str, program: str, *packages: str) -> tuple[str, ...]:
    """What calls a program: the system's, else the fetched one with the libraries that came with it."""
    own = shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")
    if own:
        return (own,)
    root = BUILD / place / "root"
    problem = "" if _fetched(root, program) else fetch(place, *packages)
    file = _fetched(root, program)
    if file is None:
        missing(program, problem, *packages)
    libraries = ":".join(map(str, (*root.glob("**/lib/*-linux-gnu"), *root.glob("**/lib/*-linux-gnu/systemd"))))
    return ("env", f"LD_LIBRARY_PATH={libraries}", str(file))


def _fetched(root: Path, program: str) -> Path | None:
    places = (root / directory / program for directory in ("usr/bin", "usr/sbin", "bin", "sbin"))
    return next((file for file in places if file.is_file()), None)
