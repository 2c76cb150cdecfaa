"""How one reading finds every mistake: explain what the models refused, put something harmless there, try again. Pure.

A model stops judging a section at its first malformed value, and rules need whole settings. So each refused value is
explained once and then replaced by a stand-in (or left out, where there is a default), until the rest can be judged.
Settings that were mended are never served: whoever mends says which keys are stand-ins, and what is found wrong
with those later is not reported.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.settings.models import Settings
from gateway.settings.problems import Problem, dotted, lies_within

Raw = dict[str, object]

_TENANT: Raw = {"path": "/stand-in", "upstream": ["http://stand-in.internal"]}
_CREDENTIAL: Raw = {"name": "stand-in", "password_sha256": "0" * 64, "username": "stand-in"}
_STAND_INS: tuple[tuple[tuple[str, ...], object], ...] = (
    (("gateway",), {"public_url": "https://stand-in.invalid"}),
    (("gateway", "public_url"), "https://stand-in.invalid"),
    (("listen",), {"certificate_file": "stand-in", "key_file": "stand-in"}),
    (("listen", "certificate_file"), "stand-in"),
    (("listen", "key_file"), "stand-in"),
    (("tenants",), {"stand-in": _TENANT}),
    (("tenants", "*"), _TENANT),
    (("tenants", "*", "path"), "/stand-in"),
    (("tenants", "*", "upstream"), _TENANT["upstream"]),
    (("tenants", "*", "upstream", "*"), "http://stand-in.internal"),
    (("tenants", "*", "upstream_token"), "stand-in"),
    (("tenants", "*", "upstream_password"), "stand-in"),
    (("tenants", "*", "sources", "*"), "192.0.2.0/24"),
    (("tenants", "*", "operations", "*"), "*"),
    (("tenants", "*", "extensions", "*"), "Roles"),
    (("tenants", "*", "credentials", "*"), _CREDENTIAL),
    (("tenants", "*", "credentials", "*", "name"), "stand-in"),
    (("tenants", "*", "guard", "exempt_groups", "*"), "stand-in"),
    (("sources", "*"), {"file": "stand-in"}),
    (("sources", "*", "file"), "stand-in"),
)
_MOST_ROUNDS = 5  # a value, its section, the section around it: three are enough, more would be a fault of ours
_LATER = {
    "tunnel": "this version has no tunnel; leave the section out until one has",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """Settings, everything that was wrong with their form, and the keys that hold stand-ins."""

    settings: Settings | None  # None only when no stand-in helped
    problems: tuple[Problem, ...]
    mended: frozenset[str] = frozenset()

    def still_stands(self, problem: Problem) -> bool:
        """Whether a later finding is about what the operator wrote, not about a stand-in."""
        return not lies_within(problem.key, self.mended)


def draft(raw: Raw, directory: Path) -> Draft:
    """Validate what was read; `raw` is changed where it must be mended. Relative paths start at `directory`."""
    problems: dict[str, Problem] = {}
    for _ in range(_MOST_ROUNDS):
        try:
            settings = Settings.model_validate(raw, context={"directory": directory})
        except ValidationError as error:
            for detail in _unknown_keys_first(error):
                location = detail["loc"]
                key = dotted(*location)
                follows = any(lies_within(told, (key,)) for told in problems)  # "is empty": of what was refused in it
                if not lies_within(key, problems) and not follows:
                    problems[key] = Problem(key, _explain(detail, location))
                _mend(raw, detail, location)
        else:
            return Draft(settings, tuple(problems.values()), frozenset(problems))
    return Draft(None, tuple(problems.values()), frozenset(problems))


def _unknown_keys_first(error: ValidationError) -> list[ErrorDetails]:
    """Misspelt keys alone, if there are any: mending one may supply what another error says is missing."""
    details = error.errors(include_url=False, include_input=False)
    return [detail for detail in details if detail["type"] == "extra_forbidden"] or details


_KINDS = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
}


def _explain(detail: ErrorDetails, location: tuple[str | int, ...]) -> str:
    kind, message = detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        return _explain_unknown(location)
    if kind == "missing":
        return f"is missing: {_description(location)}"
    if kind == "too_short":
        return f"is empty: {_description(location)}"
    if kind == "string_pattern_mismatch":
        return "must be made of letters, digits, '.', '_' and '-'"
    if kind in ("model_type", "model_attributes_type", "dict_type", "mapping_type"):
        return f"must be a section: [{dotted(*location)}]"
    if kind == "tuple_type":
        return 'must be a list, such as ["..."]'
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}"
    message = message.removeprefix("Value error, ")
    return message.replace("Input should be", "must be").replace("Input should", "must").replace("Value should", "must")


def _explain_unknown(location: tuple[str | int, ...]) -> str:
    name = str(location[-1])
    if name in _LATER:
        return _LATER[name]
    meant = _meant(location)
    return f"unknown key; did you mean {meant}?" if meant else f"unknown key; known are {', '.join(_known(location))}"


def _meant(location: tuple[str | int, ...]) -> str | None:
    nearest = difflib.get_close_matches(str(location[-1]), _known(location), n=1, cutoff=0.6)
    return nearest[0] if nearest else None


def _known(location: tuple[str | int, ...]) -> list[str]:
    return list(_section(location[:-1]).model_fields)


def _description(location: tuple[str | int, ...]) -> str:
    field = _section(location[:-1]).model_fields.get(str(location[-1]))
    return (field.description if field else None) or "it has no default"


def _section(location: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that a location is judged by; names of tenants and feeds and positions in lists count for nothing."""
    model: type[BaseModel] = Settings
    for part in location:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(iter(_models(field.annotation)), model)
    return model


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _mend(raw: Raw, detail: ErrorDetails, location: tuple[str | int, ...]) -> None:
    *above, last = location
    holder: object = raw
    for part in above:
        holder = _step(holder, part)
    if isinstance(holder, dict) and detail["type"] == "extra_forbidden":
        meant, value = _meant(location), holder.pop(last)
        if meant and last not in _LATER:
            holder.setdefault(meant, value)
        return
    if isinstance(holder, dict):
        holder.pop(last, None)
    stand_in = next((_copy(value) for pattern, value in _STAND_INS if _matches(pattern, location)), None)
    if stand_in is not None:
        _put(holder, last, stand_in)


def _put(holder: object, place: str | int, value: object) -> None:
    if isinstance(holder, dict):
        holder[place] = value
    if isinstance(holder, list) and isinstance(place, int):
        holder[place] = value


def _step(holder: object, part: str | int) -> object:
    if isinstance(holder, dict):
        return holder.get(part)
    if isinstance(holder, list) and isinstance(part, int) and part < len(holder):
        return holder[part]
    return None


def _matches(pattern: tuple[str, ...], location: tuple[str | int, ...]) -> bool:
    return len(pattern) == len(location) and all(
        p in ("*", str(part)) for p, part in zip(pattern, location, strict=True)
    )


def _copy(value: object) -> object:
    """A stand-in of its own for each place, since raw settings are changed in place."""
    if isinstance(value, Mapping):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
