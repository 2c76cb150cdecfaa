"""The shape of the code, held by a test: who may import whom, what stays pure, and how large things may grow.

A new arrow is a change of design: change MAY_IMPORT and say why in the commit.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "gateway"

MAY_IMPORT: dict[str, set[str]] = {
    "refusal": set(),
    "settings": set(),
    "tls": set(),  # contexts of connections that we make: of two parts that know nothing of each other
    "wire": {"refusal"},
    "scim": {"refusal"},
    "caller": {"refusal"},  # between the server, which has the connection, and the stages, which wait for it
    "exchange": {"refusal", "settings", "wire", "scim"},
    "audit": {"exchange", "scim"},  # the names of operations: a search for one that is none is a slip
    "journal": {"settings", "audit"},
    "sinks": {"settings", "tls", "audit", "journal"},
    "state": {"settings"},
    "metrics": {"refusal", "exchange"},  # refusals, for a counter of each must begin at 0 to be seen rising
    "stages": {
        "refusal",
        "caller",
        "settings",
        "tls",
        "exchange",
        "wire",
        "scim",
        "audit",
        "journal",
        "state",
        "metrics",
    },
    "pipeline": {"refusal", "caller", "settings", "exchange", "stages"},
    "server": {"refusal", "settings", "tls", "exchange", "wire", "metrics", "pipeline"},
    "webhook": set(),  # an event is a mapping; whom it is about, its sender knows
    "admin": {"settings", "audit", "journal", "state", "metrics"},
    "rehearsal": {"scim"},
    "doctor": {"settings", "scim", "audit", "journal", "rehearsal"},
    # The caller, for the gateway has questions of its own; the exchange, for what they are answered with.
    "app": {
        "settings",
        "caller",
        "exchange",
        "stages",
        "pipeline",
        "server",
        "state",
        "journal",
        "sinks",
        "metrics",
        "admin",
        "webhook",
        "vitals",
        "surroundings",
        "desk",
        "keyring",
        "overview",
        "rounds",
        "history",
    },
    "vitals": {"admin", "metrics", "stages", "state", "app"},  # beside app, which would not fit in a head with it
    "desk": {"server", "stages", "state", "settings", "app"},  # as vitals: what operators decide about holds
    "surroundings": {"settings", "app"},  # as vitals: what ends or fills up by itself
    "keyring": {"server", "stages", "state", "settings", "metrics"},  # what operators do with credentials
    "overview": {"server", "settings", "stages", "state", "app"},  # as vitals: what operators see of it all
    "rounds": {"state", "app"},  # as vitals: what goes on beside the requests
    # As vitals: what becomes of the settings goes on record, and is remembered in a file written as the journal's are.
    "history": {"settings", "journal", "stages"},
    "cli": {"settings", "audit", "journal", "server", "rehearsal", "doctor", "app"},
    "__main__": {"cli"},
}

PURE_PARTS = (
    "refusal",
    "exchange",
    "wire",
    "scim",
    "audit",
    "settings/models",
    "settings/operators",
    "settings/reloading",
    "settings/tokens",
    "settings/feeds",
    "settings/differences",
    "state/ledger/",
    "state/credentials/",
    "overview/facts",
    "overview/findings",
    "overview/recent",
)
IMPURE_MODULES = {"asyncio", "aiohttp", "logging", "os", "time", "random", "socket", "threading", "secrets", "uvloop"}

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50

MODULES = sorted(ROOT.rglob("*.py"))


def _part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _name(path: Path) -> str:
    return ".".join(("gateway", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_part_imports_only_what_the_table_allows(path: Path) -> None:
    part = _part(_name(path))
    if part == "":
        return
    tree = ast.parse(path.read_text())
    targets = {_part(name) for name in _imports(tree) if name.startswith("gateway.")} - {part, ""}

    assert part in MAY_IMPORT, f"{part} has no place in the table: a new part is a change of design"
    assert targets <= MAY_IMPORT[part], f"{part} may not import {targets - MAY_IMPORT[part]}"


@pytest.mark.parametrize("path", [p for p in MODULES if "stages" in p.parts], ids=_name)
def test_stages_never_import_one_another(path: Path) -> None:
    own = _name(path).split(".")[2:3]
    others = {
        name
        for name in _imports(ast.parse(path.read_text()))
        if name.startswith("gateway.stages.") and name.split(".")[2:3] != own
    }

    assert not others


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_pure_parts_touch_neither_clock_nor_network_nor_disk(path: Path) -> None:
    place = path.relative_to(ROOT).with_suffix("").as_posix()
    if not place.startswith(PURE_PARTS):
        return
    roots = {name.split(".")[0] for name in _imports(ast.parse(path.read_text()))}

    assert not roots & IMPURE_MODULES


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_says_what_it_is_and_fits_in_a_head(path: Path) -> None:
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text)), "a module opens with what it is"
    assert text.count("\n") <= MAX_MODULE_LINES


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]

    assert not long
