"""The page of every setting: nothing is missing, and forms, defaults and bounds are those that hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from docs.settings_page import HEAD, REQUIRED, Row, fixed_keys, sections
from gateway.settings.models import Settings
from gateway.settings.origins import collect
from gateway.settings.reading import examine
from gateway.settings.reloading import refuse_fixed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text("utf-8")
ROWS = {row.key: row for section in sections() for row in section.rows}
LEAST: dict[str, Any] = {
    "gateway": {"public_url": "https://scim.example.com"},
    "listen": {"certificate_file": "chain.pem", "key_file": "key.pem"},
    "audit": {"syslog": {"address": "logs.example.com:6514"}, "stdout": {}},
    "tenants": {
        "NAME": {
            "path": "/scim/x/v2",
            "upstream": ["http://jira-1.internal:5501"],
            "credentials": [{"name": "okta", "token_sha256": "0" * 64}],
        }
    },
    "sources": {"NAME": {"file": "ranges.json"}},
}


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key below a model, found by its annotations and not by its schema."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        models = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, BaseModel)]
        named = ".NAME" if get_origin(annotation) is Mapping else ""
        for inner in models:
            yield from keys_of(inner, f"{prefix}{name}{named}.")
        if not models:
            yield prefix + name


def put(key: str, value: object) -> dict[str, Any]:
    """The least settings with one more."""

    def within(holder: Any, parts: list[str]) -> Any:
        first, *rest = parts
        if isinstance(holder, list):
            return [within(holder[0], parts)]
        return {**(holder or {}), first: within((holder or {}).get(first), rest) if rest else value}

    settings: dict[str, Any] = within(LEAST, key.split("."))
    return settings


def accepts(key: str, value: object) -> bool:
    try:
        Settings.model_validate(put(key, value))
    except ValidationError:
        return False
    return True


def test_every_setting_has_a_row_and_every_row_is_a_setting() -> None:
    assert sorted(ROWS) == sorted(keys_of(Settings))
    assert all(f"| `{key.rpartition('.')[2]}` |" in PAGE for key in ROWS)


@pytest.mark.parametrize("row", [r for r in ROWS.values() if r.default not in ("", REQUIRED)], ids=lambda row: row.key)
def test_a_default_that_is_written_out_changes_nothing(row: Row) -> None:
    written = tomllib.loads(f"value = {row.default.strip('`')}")["value"]

    assert Settings.model_validate(put(row.key, written)) == Settings.model_validate(LEAST)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if re.search(r"\d$", row.form)], ids=lambda row: row.key)
def test_bounds_are_those_that_hold(row: Row) -> None:
    least, most = (float(number) for number in re.findall(r"[\d.]+", row.form))
    step = 1 if row.form.startswith("integer") else 0.001

    assert accepts(row.key, most)
    assert not accepts(row.key, most + step)
    assert accepts(row.key, least) == ("above" not in row.form)
    assert not accepts(row.key, least - step)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.form.startswith("`")], ids=lambda row: row.key)
def test_choices_are_those_that_are_taken(row: Row) -> None:
    choices = re.findall(r"`([^`]+)`", row.form)

    assert [choice for choice in choices if not accepts(row.key, choice)] == []
    assert not accepts(row.key, "something-else")


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.default == REQUIRED], ids=lambda row: row.key)
def test_what_is_called_required_is(row: Row) -> None:
    assert not accepts(row.key, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("listen.address", "127.0.0.1:443"),
        ("audit.syslog.format", "ocsf"),
        ("audit.keep_days", 30),
        ("alerts.webhook_url", "https://chat.example.com"),
    ],
)
def test_what_needs_a_restart_is_refused_by_a_reload(key: str, value: object) -> None:
    with pytest.raises(ValueError, match="restart"):
        refuse_fixed(Settings.model_validate(LEAST), Settings.model_validate(put(key, value)))

    assert any(key.startswith(fixed) for fixed in fixed_keys())
    assert re.search(rf"^\| `{key.rpartition('.')[2]}` \|.*\| restart \|", PAGE, re.MULTILINE)


def test_the_variables_that_are_shown_set_what_they_name(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[tenants.jira]\n[[tenants.jira.credentials]]\nname = "old"\n')
    shown = dict(re.findall(r"`(SCIM_GATEWAY__\w+)=(\w+)`", HEAD))
    (secret,) = re.findall(r"`(tenants__\w+)`", HEAD)
    (tmp_path / secret).write_text("hidden\n")

    raw: Any = collect(file, shown | {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert len(shown) == 2
    assert raw["tenants"]["jira"] == {
        "credentials": [{"name": "okta"}],
        "limits": {"burst": "400"},
        "upstream_token": "hidden",
    }


def test_a_key_that_is_not_listed_is_an_error_that_names_the_one_meant(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[listen]\nmax_conections = 5\n")

    assert any("max_connections" in problem.text for problem in examine(file, {}).errors)
