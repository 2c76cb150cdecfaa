"""Every document: its links lead somewhere, its commands and settings exist, its TOML is what the gateway takes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from docs.settings_page import sections
from gateway.cli import main
from gateway.settings.models import Settings
from tests.docs.reading import blocks_in, commands_in, files_in, headings_in, links_in, settings_in, short_commands_in

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "grafana").glob("*.md"),
        *(ROOT / "certs").glob("*.md"),
    }
)
README = (ROOT / "README.md").read_text("utf-8")
KEYS = {row.key for section in sections() for row in section.rows}
TABLES = {section.heading.strip("[]") for section in sections()}
LEAST: dict[str, Any] = {
    "gateway": {"public_url": "https://scim.example.com"},
    "listen": {"certificate_file": "chain.pem", "key_file": "key.pem"},
    "tenants": {},
}
A_TENANT = {"path": "/scim/zbs848185728/v2", "upstream": ["http://jira-1.internal:5501"]}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_no_link_leads_nowhere(page: Path) -> None:
    assert [link for link in links_in(page.read_text("utf-8")) if not _leads_somewhere(page, link)] == []


@each_page
def test_every_command_exists_with_its_options(page: Path) -> None:
    text = page.read_text("utf-8")
    commands = [*commands_in(text), *short_commands_in(text)]

    assert [wrong for words in commands if (wrong := _mistake(words))] == []


@each_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    assert {name for name in settings_in(page.read_text("utf-8")) if not _is_setting(name)} == set()


@each_page
def test_every_file_of_the_project_that_is_named_exists(page: Path) -> None:
    assert [path for path in files_in(page.read_text("utf-8")) if not (ROOT / path).exists()] == []


@each_page
def test_every_block_of_toml_is_taken(page: Path) -> None:
    for language, text in blocks_in(page.read_text("utf-8")):
        if language == "toml":
            Settings.model_validate(_completed(tomllib.loads(text.replace('"..."', f'"{"0" * 64}"'))))


def test_the_index_names_every_document() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link).resolve() for link in links_in(index.read_text("utf-8"))}

    assert {str(page.relative_to(ROOT)) for page in PAGES if page not in {*named, index}} == set()


def test_the_shop_window_shows_every_command() -> None:
    shown = set(re.findall(r"`([a-z ]+)`", "".join(re.findall(r"^\| (`.*?) \|", README, re.MULTILINE))))

    assert shown == set(_commands_below(main))


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (["check", "--config", "F"], ""),
        (["audit", "search", "DIR", "--since", "7d", "--json"], ""),
        (["--version"], ""),
        (["serve", "--confg", "F"], "serve has no --confg"),
        (["guard", "aprove", "hold-1"], "guard has no command aprove"),
        (["tokens"], "there is no command tokens"),
        (["check", "here"], "check takes no here"),
    ],
)
def test_a_mistake_in_a_command_is_found(words: list[str], mistake: str) -> None:
    assert _mistake(words) == mistake


def test_what_a_page_says_is_found() -> None:
    page = (
        "# A page: its *title*\n\nSee [b](b.md#c), `limits.burst`, `gateway.toml`, `scim-gateway check --json`.\n\n"
        "1. So:\n\n   ```toml\n   [limits]\n   burst = 1\n   ```\n\n"
        '```sh\nTOKEN=x scim-gateway rehearse --url "a b"  # y\n'
        "cat f | scim-gateway token check && runuser -u scim-gateway -- /opt/scim-gateway/bin/scim-gateway serve\n```\n"
    )

    assert links_in(page) == ["b.md#c"]
    assert short_commands_in("`guard list`, `audit sink NAME`, `token`") == [["guard", "list"]]
    assert headings_in(page) == {"a-page-its-title"}
    assert settings_in(page) == {"limits.burst"}
    assert commands_in(page) == [["rehearse", "--url", "a b"], ["token", "check"], ["serve"], ["check", "--json"]]
    assert files_in("`docs/a.md`, `tests/x`, `/work/tests/x`, `python docs/b.py`") == ["docs/a.md", "tests/x"]
    assert blocks_in(page)[0] == ("toml", "[limits]\nburst = 1\n")


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"https?:", link):
        return True
    path, _, heading = link.partition("#")
    there = (page.parent / path).resolve() if path else page
    return there.exists() and (not heading or heading in headings_in(there.read_text("utf-8")))


def _found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words lead to, and what is left of them."""
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        below = command.get_command(click.Context(command), rest[0])
        if below is None:
            break
        command, rest = below, rest[1:]
    return command, rest


def _commands_below(group: click.Group, before: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands_below(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def _mistake(words: list[str]) -> str:
    """What is wrong with a command, by the command line's own parser; "" when nothing is."""
    command, rest = _found(words)
    name = " ".join(words[: len(words) - len(rest)])
    options = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in options]
    if unknown:
        return f"{name} has no {unknown[0]}".strip()
    if isinstance(command, click.Group):
        astray = [word for word in rest if not word.startswith("-")]
        return (f"{name} has no command {astray[0]}" if name else f"there is no command {astray[0]}") if astray else ""
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    return f"{name} takes no {rest[0]}" if rest and not rest[0].startswith("-") and not arguments else ""


def _is_setting(name: str) -> bool:
    """Whether a key, whole or without its beginning, is one; `*` and the examples' names stand for NAME."""
    pattern = re.sub(r"^(tenants|sources)\.(?:\*|NAME|[a-z0-9_-]+)", r"\1.NAME", name)
    known = KEYS | TABLES
    return any(key == pattern or key.endswith(f".{pattern}") for key in known)


def _completed(raw: dict[str, Any]) -> dict[str, Any]:
    """Settings of which a page shows a part."""
    tenants = {name: A_TENANT | tenant for name, tenant in raw.get("tenants", {"jira": {}}).items()}
    return {**LEAST, **raw, **{key: LEAST[key] | raw.get(key, {}) for key in ("gateway", "listen")}, "tenants": tenants}
