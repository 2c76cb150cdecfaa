"""The programs of a bench: from the system, else fetched into build/ without touching the system.

HAProxy, nginx, wrk and h2load are Debian's: apt-get resolves and checks them, dpkg unpacks them, nobody needs to be
root, and no service is started. (nginx on PyPI is linked with an OpenSSL that costs twice as much.) Caddy and py-spy
are from PyPI: requirements/bench.txt, in .venv-bench.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
REGISTRY = ROOT / ".venv-bench" / "bin"
FETCHED = ROOT / "build" / "bench-programs"
PACKAGES = {"haproxy": "haproxy", "nginx": "nginx", "wrk": "wrk", "h2load": "nghttp2-client"}
FETCH_SECONDS = 300


class ProgramMissing(Exception):
    """With what to do about it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """How each is called: the words before its arguments."""

    haproxy: tuple[str, ...]
    nginx: tuple[str, ...]
    caddy: tuple[str, ...]
    wrk: tuple[str, ...]
    h2load: tuple[str, ...]
    py_spy: tuple[str, ...]


def find_programs() -> Programs:
    """All of them; what the system lacks is fetched.

    Raises:
        ProgramMissing: says which packages to install.
    """
    found = {name: _find(name) for name in PACKAGES}
    if None in found.values():
        _fetch()
        found = {name: _find(name) for name in PACKAGES}
    words = {name: call for name, call in found.items() if call is not None}
    if missing := sorted(set(PACKAGES) - set(words)):
        raise ProgramMissing(f"{', '.join(missing)}: install {' '.join(PACKAGES[name] for name in missing)}")
    return Programs(
        haproxy=words["haproxy"],
        nginx=words["nginx"],
        caddy=_from_registry("caddy"),
        wrk=words["wrk"],
        h2load=words["h2load"],
        py_spy=_from_registry("py-spy"),
    )


def _find(name: str) -> tuple[str, ...] | None:
    """On the system (a user's PATH may lack sbin), or among what was fetched, with the libraries fetched with it."""
    own = next(
        (path for path in (shutil.which(name), shutil.which(name, path="/usr/local/sbin:/usr/sbin")) if path), ""
    )
    if own:
        return (own,)
    for file in (FETCHED / "root/usr/bin" / name, FETCHED / "root/usr/sbin" / name):
        if file.is_file():
            libraries = ":".join(str(path) for path in sorted((FETCHED / "root").glob("**/lib/*-linux-gnu")))
            return ("env", f"LD_LIBRARY_PATH={libraries}", str(file)) if libraries else (str(file),)
    return None


def _from_registry(name: str) -> tuple[str, ...]:
    file = REGISTRY / name
    if not file.is_file():
        raise ProgramMissing(f"{file}: `make bench` installs requirements/bench.txt there")
    return (str(file),)


def _fetch() -> None:
    """Debian's packages, with whatever of their libraries the system lacks, into FETCHED.

    Raises:
        ProgramMissing: apt-get is not there, or cannot.
    """
    for place in ("lists/partial", "cache/archives/partial", "root"):
        (FETCHED / place).mkdir(parents=True, exist_ok=True)
    ours = (f"Dir::State::lists={FETCHED}/lists", f"Dir::Cache={FETCHED}/cache")
    options = [word for option in (*ours, "Debug::NoLocking=1", "APT::Sandbox::User=root") for word in ("-o", option)]
    _run("apt-get", *options, "--quiet", "update")
    _run("apt-get", *options, "--quiet", "--yes", "--no-install-recommends", "--download-only", "install",
         *PACKAGES.values())  # fmt: skip
    for archive in sorted((FETCHED / "cache/archives").glob("*.deb")):
        _run("dpkg", "--extract", str(archive), str(FETCHED / "root"))


def _run(*words: str) -> None:
    advice = f"install these packages yourself: {' '.join(PACKAGES.values())}"
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except FileNotFoundError as error:
        raise ProgramMissing(f"{words[0]} is not here to fetch them; {advice}") from error
    if done.returncode:
        raise ProgramMissing(f"{' '.join(words)} failed; {advice}\n{done.stderr[-2000:]}")


def versions(programs: Programs) -> Mapping[str, str]:
    """What was measured, and with what."""
    return {
        "gateway": version("scim-gateway"),
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "uvloop": version("uvloop"),
        "haproxy": _first_line(*programs.haproxy, "-v"),
        "nginx": _first_line(*programs.nginx, "-v"),
        "caddy": _first_line(*programs.caddy, "version"),
        "wrk": _first_line(*programs.wrk, "-v"),
        "h2load": _first_line(*programs.h2load, "--version"),
        "kernel": platform.release(),
    }


def _first_line(*words: str) -> str:
    """What a program says of itself, wherever it says it; wrk ends with 1 after it."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    return (done.stdout + done.stderr).partition("\n")[0].strip()
