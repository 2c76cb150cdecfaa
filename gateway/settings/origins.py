"""Where settings come from: the file, the service manager's credentials, the environment; the later one wins.

A variable is the key in upper case behind SCIM_GATEWAY__, with "__" for each dot:
SCIM_GATEWAY__TENANTS__JIRA__LIMITS__BURST=400. A credential of systemd is a file in $CREDENTIALS_DIRECTORY with the
key as its name: tenants__jira__upstream_token. Positions in lists are numbers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from gateway.settings.problems import Problem, SettingsInvalid

PREFIX = "SCIM_GATEWAY__"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
MAX_FILE_BYTES = 4 << 20
_SECTIONS = ("gateway", "listen", "admin", "audit", "alerts", "tenants", "sources")

Raw = dict[str, object]


def collect(path: Path, environ: Mapping[str, str]) -> Raw:
    """Everything the operator said, not yet judged.

    Raises:
        SettingsInvalid: the file cannot be read, or is no TOML; a variable names what no section can hold.
    """
    raw = _read_toml(path)
    problems: list[Problem] = []
    for origin, values in (("credential", _credentials(environ)), ("variable", _variables(environ))):
        for key, value in values.items():
            if not _put(raw, key.lower().split("__"), value):
                problems.append(
                    Problem(key.lower().replace("__", "."), f"is set by a {origin} but lies within a single value")
                )
    if problems:
        raise SettingsInvalid(tuple(problems))
    return raw


def _read_toml(path: Path) -> Raw:
    try:
        content = path.read_bytes()[: MAX_FILE_BYTES + 1]
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        text = f"cannot be read: {error.strerror}; give another with --config or SCIM_GATEWAY_CONFIG"
        raise SettingsInvalid((Problem(str(path), text),)) from None
    except UnicodeDecodeError as error:
        raise SettingsInvalid((Problem(str(path), f"is not UTF-8, at byte {error.start}"),)) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid((Problem(str(path), f"is not TOML: {error}"),)) from None


def _credentials(environ: Mapping[str, str]) -> Raw:
    directory = environ.get(CREDENTIALS_VARIABLE)
    if not directory or not Path(directory).is_dir():
        return {}
    files = (
        file
        for file in sorted(Path(directory).iterdir())
        if file.name.split("__")[0] in _SECTIONS and "__" in file.name
    )
    try:
        return {file.name: file.read_text("utf-8").strip() for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid((Problem(directory, f"a credential cannot be read: {type(error).__name__}"),)) from None


def variables_by_key(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The names of the variables that set something, by its key with "_" for each "-"."""
    return {n.removeprefix(PREFIX).lower().replace("__", "."): n for n in environ if n.startswith(PREFIX)}


def _variables(environ: Mapping[str, str]) -> Raw:
    names = sorted(name for name in environ if name.startswith(PREFIX))
    return {name.removeprefix(PREFIX): _value(environ[name]) for name in names}


def _value(text: str) -> object:
    """Lists and tables are written as in TOML; the models read numbers and booleans out of plain text."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(raw: Raw, parts: list[str], value: object) -> bool:
    holder: object = raw
    for position, part in enumerate(parts):
        is_last = position == len(parts) - 1
        if isinstance(holder, dict):
            key = next((known for known in holder if known.replace("-", "_") == part), part)
            if is_last:
                holder[key] = value
            holder = holder.setdefault(key, {})
        elif isinstance(holder, list) and part.isdecimal() and int(part) < len(holder):
            if is_last:
                holder[int(part)] = value
            holder = holder[int(part)]
        else:
            return False
    return True
