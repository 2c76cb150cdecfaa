"""docs/settings.md, made from the models of the settings: every key with its form, default, bounds and meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.settings.models import Settings
from gateway.settings.reloading import _fixed

HEAD = """# Every setting

Generated from `gateway/settings/models.py` by `docs/generate.py`; a test holds the two together. A commented file to start from is
[gateway.example.toml](../deploy/gateway.example.toml). `scim-gateway check` judges all that stands here, and what takes two settings or a look at
the files that they name.

**Where a value comes from.** The later one wins:

1. The settings file, TOML: `--config`, else `SCIM_GATEWAY_CONFIG`, else `/etc/scim-gateway/gateway.toml`.
2. A file in systemd's credentials directory (`LoadCredential=`), named by the key with `__` for each dot: `tenants__jira__upstream_token`.
3. A variable of the environment: `SCIM_GATEWAY__`, then the key in upper case with `__` for each dot and `_` for each `-`. Lists and tables are written
   as in TOML, positions in lists are numbers: `SCIM_GATEWAY__TENANTS__JIRA__LIMITS__BURST=400`, `SCIM_GATEWAY__TENANTS__JIRA__CREDENTIALS__0__NAME=okta`.

`NAME` is yours: small letters and digits, with single `-` or `_` between, at most 64. Relative paths start at the settings file. A key that is not
listed here is an error, and the one that was probably meant is named. Secrets belong into files (`..._file`) or credentials, one line each, mode 600.

**When a change takes effect.** At a *reload* (SIGHUP), all or nothing; connections and requests under way are not cut. What says *restart* is bound,
locked or opened at the start: a reload that would change it is refused as a whole, and the old settings stay in use. The content of the
two files of `[listen]` and of feeds of networks is looked at every 5 s, and taken without either. Secrets and what is for TLS towards an upstream are
read at a reload, what is for TLS towards a syslog server at the next connection to it.
"""

KINDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true, false"}
FORMATS = {"path": "path", "password": "secret", "date-time": "time"}


@dataclass(frozen=True, slots=True)
class Row:
    """One setting."""

    key: str  # in full, with NAME where the operator chooses
    form: str
    default: str  # as TOML writes it; "" when there is none, and REQUIRED when there must be one
    says: str


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the settings file."""

    heading: str  # as TOML writes it
    says: str
    rows: tuple[Row, ...]


REQUIRED = "required"


def settings_page() -> str:
    """docs/settings.md: every setting."""
    return HEAD + "".join(_shown(section) for section in sections())


def sections() -> tuple[Section, ...]:
    """Every table of the settings file, in the models' order, each before those below it."""
    schema = Settings.model_json_schema()
    return tuple(_sections_of(schema, schema, "", ""))


def fixed_keys() -> tuple[str, ...]:
    """What a reload refuses to change: keys, and sections as a whole."""
    return tuple(_fixed(_SMALLEST))


_SMALLEST = Settings.model_validate(
    {
        "gateway": {"public_url": "https://scim.example.com"},
        "listen": {"certificate_file": "chain.pem", "key_file": "key.pem"},
        "tenants": {"jira": {"path": "/scim/x/v2", "upstream": ["http://jira-1.internal:5501"]}},
    }
)


def _sections_of(schema: Mapping[str, Any], node: Mapping[str, Any], prefix: str, heading: str) -> Iterator[Section]:
    rows, below = [], []
    required = node.get("required", ())
    for name, field in node["properties"].items():
        key = f"{prefix}{name}"
        inner = _table_within(schema, field)
        if inner is None:
            rows.append(
                Row(key, _form(schema, field), _default(field, is_required=name in required), field["description"])
            )
            continue
        table, suffix, brackets = inner
        below.append((table, f"{key}{suffix}.", f"[[{key}]]" if brackets else f"[{key}{suffix}]"))
    if heading:
        says = str(node["description"]).splitlines()[0].partition("]")[2].lstrip("]:; ")
        yield Section(heading, f"{says[:1].upper()}{says[1:]}", tuple(rows))
    for table, below_prefix, below_heading in below:
        yield from _sections_of(schema, table, below_prefix, below_heading)


def _table_within(schema: Mapping[str, Any], field: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, bool] | None:
    """The table that a field holds; what stands behind its key; whether it is one of several."""
    choices = [choice for choice in field.get("anyOf", (field,)) if choice.get("type") != "null"]
    (only, *more) = choices
    if more:
        return None
    if "additionalProperties" in only and only.get("type") == "object":
        inner = _table_within(schema, only["additionalProperties"])
        return (inner[0], ".NAME", False) if inner else None
    if only.get("type") == "array":
        inner = _table_within(schema, only.get("items", {}))
        return (inner[0], "", True) if inner else None
    reference = only.get("$ref", "").removeprefix("#/$defs/")
    found = schema["$defs"].get(reference)
    return (found, "", False) if found and "properties" in found else None


def _form(schema: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    (only, *_) = [choice for choice in field.get("anyOf", (field,)) if choice.get("type") != "null"]
    only = schema["$defs"][only["$ref"].removeprefix("#/$defs/")] if "$ref" in only else only
    if "enum" in only:
        return ", ".join(f"`{choice}`" for choice in only["enum"])
    if only["type"] == "array":
        return f"list of {_form(schema, only['items'])}s" + _at_most(only.get("maxItems"), "entries")
    form = FORMATS.get(only.get("format", ""), KINDS[only["type"]])
    return form + _bounds(only) + _at_most(only.get("maxLength"), "characters")


def _bounds(field: Mapping[str, Any]) -> str:
    """What a number may be, behind its form."""
    least, above, most = (field.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    if least is not None and most is not None:
        return f", {least} to {most}"
    told = (("above", above), ("at least", least), ("at most", most))
    return "".join(f", {word} {number}" for word, number in told if number is not None)


def _at_most(most: int | None, of_what: str) -> str:
    return "" if most is None else f", at most {most} {of_what}"


def _default(field: Mapping[str, Any], *, is_required: bool) -> str:
    if is_required:
        return REQUIRED
    default = field.get("default")
    if default is None:
        return ""
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{json.dumps(default)}`"


def _shown(section: Section) -> str:
    lines = [f"\n## `{section.heading}`\n", f"{section.says}\n" if section.says else ""]
    if section.rows:
        lines += ["| Setting | Form | Default | Change at | Says |", "|---|---|---|---|---|"]
        lines += [_line(row) for row in section.rows]
    return "\n".join(line for line in lines if line) + "\n"


def _line(row: Row) -> str:
    name = row.key.rpartition(".")[2]
    return f"| `{name}` | {row.form} | {row.default} | {_takes_effect(row.key)} | {row.says} |"


def _takes_effect(key: str) -> str:
    return "restart" if any(key == fixed or key.startswith(f"{fixed}.") for fixed in fixed_keys()) else "reload"
