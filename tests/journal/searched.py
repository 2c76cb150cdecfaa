"""Random logs about a few people, what may happen to one between two searches, and a search of the plainest kind."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

NAMES = (
    "anna",
    "Anna",
    "bo",
    "1",
    "2",
    "3",
    "00u1",
    "00u2",
    "stra\N{LATIN SMALL LETTER SHARP S}e",
    "STRASSE",
    'a"b',
    "a/b",
)
OPERATIONS = ("user.get", "user.create", "user.deactivate", "group.members.add", "group.delete", "bulk")
RESULTS = ("executed", "not-executed", "unknown")
REASONS = ("guard-held", "guard-denied", "credential-unknown")
PATHS = ("/scim/v2/Users/1", "/scim/v2/Users/%31", "/scim/Users/a%2Fb", "/scim/v2/Groups/1", "/scim/v2/Users", "/1")
VERBS = {"GET": "get", "PUT": "replace", "DELETE": "delete", "PATCH": ""}
HOLDS = ("hold-1", "hold-2")
NOTICES = ("wave-held", "guard-decision")

Happening: TypeAlias = Callable[[Path, random.Random], None]


def random_line(dice: random.Random) -> bytes:
    if dice.random() < 0.03:
        return dice.choice([b"", b"{", b'{"seq":1,"peo', b"\x00\xff", b"[1]"])
    record: dict[str, Any] = {"time": f"2027-01-15T09:00:{dice.randrange(60):02}.000000Z"}
    record["event"] = dice.choice(["intent", "outcome", "outcome", "refusal", "interrupted", "notice"])
    if record["event"] == "notice":
        where = f"{dice.choice(NAMES)} (/Users/{dice.choice(NAMES[:7])})"
        record["notice"] = dice.choice(NOTICES)
        record["details"] = {
            "hold": dice.choice(HOLDS),
            "tenant": dice.choice(["jira", "wiki"]),
            "whom": where,
            "request": f"r{dice.randrange(9)}",
        }
        return json.dumps(record).encode()
    record |= {"request": f"r{dice.randrange(9)}", "tenant": dice.choice(["jira", "wiki"])}
    if record["event"] == "refusal":
        record |= {"method": dice.choice(sorted(VERBS)), "path": dice.choice(PATHS), "reason": dice.choice(REASONS)}
        return json.dumps(record).encode()
    record["operation"] = dice.choice(OPERATIONS)
    if dice.random() < 0.4:
        kinds = dice.sample(["id", "userName", "externalId"], dice.randint(1, 3))
        record["people"] = [{kind: dice.choice(NAMES) for kind in kinds} for _ in range(dice.randint(1, 2))]
    if dice.random() < 0.2:
        record["lost"] = [dice.choice(NAMES)]
    if dice.random() < 0.2:
        record["resource"] = "/Users/" + dice.choice(["1", "%31", "anna", "a%2Fb"])
    if dice.random() < 0.2:
        record["resource_name"] = dice.choice(NAMES)
    if dice.random() < 0.7:
        record["outcome"] = dice.choice(RESULTS)
    if dice.random() < 0.2:
        record["guard"] = {"verdict": "hold", "hold": dice.choice(HOLDS)}
    if dice.random() < 0.3:
        record["reason"] = dice.choice(REASONS)
    return json.dumps(record, ensure_ascii=dice.random() < 0.8).encode()


# What may happen ----------------------------------------------------------------------------------


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("audit-*.jsonl"))


def append(directory: Path, dice: random.Random) -> None:
    """Lines come, and perhaps half a one."""
    paths = segments(directory)
    path = paths[-1] if paths else directory / "audit-000001.jsonl"
    with path.open("ab") as file:
        for _ in range(dice.randrange(60)):
            file.write(random_line(dice) + b"\n")
        if dice.random() < 0.3:
            file.write(b'{"seq":9,"people":[{"id":"1"}')


def rotate(directory: Path, dice: random.Random) -> None:
    last = int(segments(directory)[-1].stem.rpartition("-")[2])
    (directory / f"audit-{last + 1:06}.jsonl").touch()
    append(directory, dice)


def expire(directory: Path, dice: random.Random) -> None:
    if len(paths := segments(directory)) > 1:
        paths[0].unlink()


def truncate(directory: Path, dice: random.Random) -> None:
    path = dice.choice(segments(directory))
    content = path.read_bytes()
    path.write_bytes(content[: dice.randint(0, len(content))])


def edit(directory: Path, dice: random.Random) -> None:
    """A line becomes another one of the same length; no more names than `people.MOST_NAMES` can come of it."""
    path = dice.choice(segments(directory))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"anna"', b'"00u2"') if dice.random() < 0.5 else content.replace(b'"2"', b'"1"'))


def replace(directory: Path, dice: random.Random) -> None:
    """Another log's file comes into the place of one."""
    path = dice.choice(segments(directory))
    fresh = path.with_suffix(".new")
    fresh.write_bytes(b"".join(random_line(dice) + b"\n" for _ in range(dice.randrange(60))))
    fresh.replace(path)


HAPPENINGS: tuple[Happening, ...] = (append, rotate, expire, truncate, edit, replace)


# The search that anybody would write --------------------------------------------------------------


def naive_search(
    directory: Path,
    *,
    person: str | None = None,
    tenant: str | None = None,
    operation: str | None = None,
    result: str | None = None,
    request: str | None = None,
    since: str = "",
    until: str = "~",
) -> list[bytes]:
    """The lines that answer, by the plainest means; `operation` is a name, or all up to a dot."""
    content = b"".join(path.read_bytes()[: path.read_bytes().rfind(b"\n") + 1] for path in segments(directory))
    lines = [(line, record) for line in content.split(b"\n") if isinstance(record := _read(line), dict)]
    same = _same_person(person, tenant, [record for _, record in lines]) if person else set()

    def answers(record: dict[str, Any]) -> bool:
        details = record.get("details", {})
        found = {(record.get("tenant", details.get("tenant")), *name) for name in _names(record)}
        is_same = bool(found & same) or any(value == (person or "").casefold() for _, _, value in found)
        end = {record.get("outcome")} if record["event"] in ("outcome", "interrupted") else set()
        end |= {"interrupted"} if record["event"] == "interrupted" else set()
        reason = record.get("reason", "") if record["event"] != "intent" else ""
        if reason == "guard-held":
            end.add("held")
        elif (reason and record.get("outcome") not in ("executed", "unknown")) or record["event"] == "refusal":
            end.add("refused")
        return (
            (person is None or is_same)
            and tenant in (None, record.get("tenant", details.get("tenant")))
            and (operation is None or _operation(record).startswith(operation))
            and (result is None or result in end)
            and request in (None, record.get("request"), details.get("request"))
            and since <= record["time"] < until
        )

    return [line for line, record in lines if answers(record)]


def _read(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _operation(record: dict[str, Any]) -> str:
    path = record.get("path", "")
    if "/Users" not in path and "/Groups" not in path:
        return str(record.get("operation", ""))
    verb = VERBS[record["method"]] if path[-1] in "1b" else {"GET": "list"}.get(record["method"], "")
    return f"{'user' if '/Users' in path else 'group'}.{verb}"


def _names(record: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(kind, value) for who in record.get("people", []) for kind, value in who.items()]
    found += [("id", value) for value in record.get("lost", [])]
    found += [("id", unquote(record["resource"].removeprefix("/Users/")))] if "resource" in record else []
    if "/Users/" in record.get("path", ""):
        found.append(("id", unquote(record["path"].rpartition("/")[2])))
    if record.get("operation", "").startswith("user.") and "resource_name" in record:
        found.append(("userName", record["resource_name"]))
    if "details" in record:
        name, _, path = record["details"]["whom"].rpartition(" (/Users/")
        found += [("userName", name), ("id", path[:-1].partition("/")[0])]
    return [(kind, value.casefold()) for kind, value in found]


def _same_person(person: str, only: str | None, records: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    entries = [
        {(record["tenant"], kind, value.casefold()) for kind, value in who.items()}
        for record in records
        for who in record.get("people", [])
        if only in (None, record["tenant"]) and len(who) > 1
    ]
    same: set[tuple[str, str, str]] = set()
    while True:
        more = same.union(*(e for e in entries if e & same or any(value == person.casefold() for _, _, value in e)))
        if more == same:
            return same
        same = more
